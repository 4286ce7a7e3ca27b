// SPDX-License-Identifier: Apache-2.0
#include "ui/render/layer_picture.h"

#include <glm/common.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace loftscope {

namespace {

constexpr Rgb nothingThere{0.25F, 0.25F, 0.25F};

/// Reads one map at points of the photo, as the texture units do: the pixel that contains the
/// point, or bilinearly with clamped edges.
class MapReader {
public:
    MapReader(const MapBuffer& map, const Box& region, Filter filter)
        : map_(map)
        , region_(region)
        , filter_(filter) {}

    void moveTo(glm::dvec2 photoPoint) {
        const glm::dvec2 at = mapPoint(map_, region_, photoPoint);
        nearest_ = pixelContaining(at, map_.extent());
        if (filter_ == Filter::Nearest) return;
        const Extent extent = map_.extent();
        const auto axis = [](double position, std::int64_t length) {
            const double inside = std::clamp(position - 0.5, 0.0, static_cast<double>(length - 1));
            const auto low = static_cast<std::int64_t>(inside);
            return Axis{low, std::min(low + 1, length - 1),
                        static_cast<float>(inside - static_cast<double>(low))};
        };
        x_ = axis(at.x, extent.width);
        y_ = axis(at.y, extent.height);
    }
    bool covered() const { return map_.covered(nearest_); }
    float value(int channel) const {
        if (filter_ == Filter::Nearest) return map_.at(channel, nearest_);
        const auto along = [&](std::int64_t row) {
            const float left = map_.at(channel, {x_.low, row});
            const float right = map_.at(channel, {x_.high, row});
            return left + (right - left) * x_.share;
        };
        const float top = along(y_.low);
        return top + (along(y_.high) - top) * y_.share;
    }
    int channels() const { return map_.channels(); }

private:
    struct Axis {
        std::int64_t low = 0;
        std::int64_t high = 0;
        float share = 0; ///< of the value at `high`
    };
    const MapBuffer& map_;
    Box region_;
    Filter filter_;
    Pixel nearest_;
    Axis x_;
    Axis y_;
};

struct Shown {
    Rgb color = nothingThere;
    float opacity = 0;
};

/// The map's colour at points of the photo.
class MapColors {
public:
    explicit MapColors(const Layer& layer)
        : layer_(layer)
        , map_(*layer.map, layer.region, layer.filter)
        , scores_(static_cast<std::size_t>(layer.map->channels())) {
        // What stands in for tiles to come is a guess: it is drawn smoothly, as on screen.
        if (layer.fallback) fallback_.emplace(*layer.fallback, layer.region, Filter::Smooth);
        if (layer.other) other_.emplace(*layer.other, layer.otherRegion, layer.filter);
    }

    Shown at(glm::dvec2 point) {
        if (!layer_.region.contains(point)) return {};
        if (layer_.kind == LayerKind::Difference && !layer_.otherRegion.contains(point)) return {};
        MapReader* source = &map_;
        map_.moveTo(point);
        if (!map_.covered()) {
            if (!fallback_) return {};
            source = &*fallback_;
            source->moveTo(point);
        }
        if (layer_.kind == LayerKind::Scores) {
            for (std::size_t c = 0; c < scores_.size(); ++c)
                scores_[c] = source->value(static_cast<int>(c));
            return {colorOf(layer_.scores, scores_), layer_.opacity};
        }
        float value = layer_.sign * source->value(layer_.scalar.channel);
        if (layer_.kind == LayerKind::Difference) {
            other_->moveTo(point);
            value -= layer_.otherSign * other_->value(layer_.otherChannel);
        }
        float opacity = layer_.opacity;
        if (layer_.scalar.opacityByValue && layer_.kind == LayerKind::Scalar) {
            const Affine affine = affineOf(layer_.scalar);
            opacity *= std::clamp(value * affine.gain + affine.bias, 0.0F, 1.0F);
        }
        return {colorOf(layer_.scalar, value), opacity};
    }

private:
    const Layer& layer_;
    MapReader map_;
    std::optional<MapReader> fallback_;
    std::optional<MapReader> other_;
    std::vector<float> scores_;
};

/// The pyramid's level that a picture of `extent` of the part shows without gaps.
Rgb photoAt(const ImagePyramid& photo, int level, glm::dvec2 point) {
    const Image& image = photo.level(level);
    const glm::dvec2 scale = boxOf(image.extent()).size / boxOf(photo.extent()).size;
    const Pixel at = pixelContaining(point * scale, image.extent());
    const std::uint8_t* rgb = image.row(at.y) + 3 * at.x;
    return {static_cast<float>(rgb[0]) / 255, static_cast<float>(rgb[1]) / 255,
            static_cast<float>(rgb[2]) / 255};
}

bool isWhole(const Box& part, const Box& covered) {
    const glm::dvec2 off =
        glm::abs(part.origin - covered.origin) + glm::abs(part.size - covered.size);
    return off.x + off.y < 1e-6;
}

} // namespace

glm::dvec2 mapPoint(const MapBuffer& map, const Box& region, glm::dvec2 photoPoint) {
    return (photoPoint - region.origin) / region.size * boxOf(map.extent()).size;
}

Box coveredPart(const Layer& layer) {
    if (layer.kind == LayerKind::Photo) return layer.photo ? boxOf(layer.photo->extent()) : Box{};
    if (layer.kind == LayerKind::Empty || !layer.map) return {};
    if (layer.kind == LayerKind::Difference) return intersectionOf(layer.region, layer.otherRegion);
    return layer.region;
}

LayerPicture pictureOf(const Layer& layer, const Box& wanted, std::int64_t longest) {
    LayerPicture picture;
    const Box part = intersectionOf(wanted, coveredPart(layer));
    if (part.empty()) return picture;
    const bool hasMap = layer.kind != LayerKind::Photo;
    const bool opaque = layer.opacity >= 1 && !layer.scalar.opacityByValue;
    picture.crisp = hasMap && opaque && layer.filter == Filter::Nearest;

    glm::dvec2 pixels = part.size; // photo pixels
    if (hasMap) {
        const glm::dvec2 own = part.size / layer.region.size * boxOf(layer.map->extent()).size;
        const bool exact = picture.crisp && layer.kind != LayerKind::Difference &&
                           isWhole(part, layer.region) && layer.map->complete();
        pixels = exact ? own : glm::max(pixels, own);
    }
    const double reduce =
        std::min(1.0, static_cast<double>(longest) / std::max(pixels.x, pixels.y));
    const glm::dvec2 rounded = glm::max(glm::round(pixels * reduce), glm::dvec2(1));
    const Extent extent{static_cast<std::int64_t>(rounded.y), static_cast<std::int64_t>(rounded.x)};

    std::optional<MapColors> colors;
    if (hasMap) colors.emplace(layer);
    const bool hasPhoto = layer.photo && layer.photo->levels() > 0;
    const int level = hasPhoto ? layer.photo->levelForZoom(rounded.x / part.size.x) : 0;
    std::vector<std::uint8_t> bytes;
    bytes.reserve(static_cast<std::size_t>(extent.area() * 3));
    std::int64_t missing = 0;
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const glm::dvec2 point = part.origin + part.size * (glm::dvec2(x, y) + 0.5) / rounded;
            Shown shown;
            if (colors) shown = colors->at(point);
            if (colors && shown.opacity == 0 && shown.color == nothingThere) ++missing;
            Rgb color = shown.color;
            if (shown.opacity < 1 && hasPhoto) {
                const Rgb beneath = photoAt(*layer.photo, level, point);
                for (std::size_t i = 0; i < 3; ++i)
                    color[i] = beneath[i] + (color[i] - beneath[i]) * shown.opacity;
            }
            for (const float value : color)
                bytes.push_back(
                    static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0F, 1.0F) * 255.0F)));
        }
    }
    picture.missing = static_cast<double>(missing) / static_cast<double>(extent.area());
    picture.image = Image(extent, std::move(bytes));
    return picture;
}

} // namespace loftscope
