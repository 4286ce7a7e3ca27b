// SPDX-License-Identifier: Apache-2.0
#include "ui/render/layer.h"

#include "ui/render/gl_functions.h"
#include "ui/render/shader_program.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace loftscope {
namespace {

constexpr std::int64_t tileSide = 512;
/// 1 MB each; far more than a screen shows, so that panning does not upload the same tile twice.
constexpr std::size_t tileBudget = 128;

enum Unit { MapUnit, FallbackUnit, CoverageUnit, ColorMapUnit, OtherUnit };

std::array<float, 4> uniformOf(const Box& region) {
    return {static_cast<float>(region.origin.x), static_cast<float>(region.origin.y),
            static_cast<float>(1 / region.size.x), static_cast<float>(1 / region.size.y)};
}

std::array<float, 4> corners(glm::dvec2 first, glm::dvec2 second) {
    return {static_cast<float>(first.x), static_cast<float>(first.y), static_cast<float>(second.x),
            static_cast<float>(second.y)};
}

bool hasFallback(const Layer& layer) {
    return layer.fallback && layer.fallback->channels() >= layer.map->channels();
}

/// Fewer device pixels than map pixels.
bool isMinified(const MapBuffer& map, const Box& region, const ViewTransform& view) {
    const double devicePerPixel = view.widgetPerPixel() * view.frame().devicePixelRatio;
    return region.size.x * devicePerPixel < static_cast<double>(map.extent().width) ||
           region.size.y * devicePerPixel < static_cast<double>(map.extent().height);
}

} // namespace

struct LayerRenderer::Resources {
    struct TileKey {
        const ImagePyramid* photo;
        int level;
        std::int64_t column;
        std::int64_t row;
        auto operator<=>(const TileKey&) const = default;
    };

    struct CachedTile {
        std::weak_ptr<const ImagePyramid> owner;
        PhotoTile tile;
        std::uint64_t usedAt;
    };

    struct CachedMap {
        std::weak_ptr<const MapBuffer> owner;
        MapTexture texture;
    };

    ShaderProgram photo{"quad.vert", {"photo.frag"}};
    /// Compiled when first needed, by file and choices.
    std::map<QString, ShaderProgram> mapPrograms;
    std::map<ColorMap, Texture> colorMaps;
    std::map<TileKey, CachedTile> tiles;
    std::map<const MapBuffer*, CachedMap> maps;
    GLuint vertexArray = 0; // core profile draws nothing without one
    std::uint64_t frame = 0;

    const PhotoTile& tileOf(const std::shared_ptr<const ImagePyramid>& pyramid, const TileKey& key);
    const MapTexture& textureOf(const std::shared_ptr<const MapBuffer>& map);
    ShaderProgram& programOf(const Layer& layer);
    void bindColors(ShaderProgram& program, const ScalarStyle& style, float sign);
    void bindMap(ShaderProgram& program, const Layer& layer, const ViewTransform& view);

    /// The part of `pixels` that is inside `clip`, as a quad with `pixels`' own coordinates.
    static std::optional<Box> visiblePart(const Box& pixels, const ViewTransform& view,
                                          const Box& clip);
    static std::array<float, 4> clipSpace(const Box& pixels, const ViewTransform& view,
                                          const Extent& framebuffer);
    void drawPhoto(const std::shared_ptr<const ImagePyramid>& pyramid, Filter filter,
                   const ViewTransform& view, const Box& clip, const Extent& framebuffer);
    void drawMap(const Layer& layer, const ViewTransform& view, const Box& clip,
                 const Extent& framebuffer);
};

LayerRenderer::LayerRenderer()
    : resources_(std::make_unique<Resources>()) {
    glFunctions()->glGenVertexArrays(1, &resources_->vertexArray);
    // Those of every session now, so that a broken driver is told at the start.
    const auto map = std::make_shared<MapBuffer>(1, Extent{1, 1});
    for (const LayerKind kind : {LayerKind::Scores, LayerKind::Scalar, LayerKind::Difference}) {
        Layer layer;
        layer.kind = kind;
        layer.map = map;
        resources_->programOf(layer);
    }
}

LayerRenderer::~LayerRenderer() {
    if (auto* gl = glFunctions()) gl->glDeleteVertexArrays(1, &resources_->vertexArray);
}

QString LayerRenderer::error() const {
    if (!resources_->photo.ok()) return resources_->photo.log();
    for (const auto& [name, program] : resources_->mapPrograms) {
        if (!program.ok()) return program.log();
    }
    return {};
}

void LayerRenderer::beginFrame() {
    Resources& r = *resources_;
    ++r.frame;
    std::erase_if(r.maps, [](const auto& entry) { return entry.second.owner.expired(); });
    std::erase_if(r.tiles, [](const auto& entry) { return entry.second.owner.expired(); });
    while (r.tiles.size() > tileBudget) {
        const auto oldest =
            std::min_element(r.tiles.begin(), r.tiles.end(), [](const auto& a, const auto& b) {
                return a.second.usedAt < b.second.usedAt;
            });
        if (oldest->second.usedAt + 1 >= r.frame) break; // on screen
        r.tiles.erase(oldest);
    }
}

const PhotoTile&
LayerRenderer::Resources::tileOf(const std::shared_ptr<const ImagePyramid>& pyramid,
                                 const TileKey& key) {
    auto found = tiles.find(key);
    // A new photo may live where an old one was freed.
    if (found != tiles.end() && found->second.owner.lock() != pyramid) {
        tiles.erase(found);
        found = tiles.end();
    }
    if (found == tiles.end()) {
        const Image& picture = pyramid->level(key.level);
        const Rect rect{key.column * tileSide, key.row * tileSide,
                        std::min(tileSide, picture.width() - key.column * tileSide),
                        std::min(tileSide, picture.height() - key.row * tileSide)};
        found = tiles.emplace(key, CachedTile{pyramid, PhotoTile(picture, rect), frame}).first;
    }
    found->second.usedAt = frame;
    return found->second.tile;
}

const MapTexture& LayerRenderer::Resources::textureOf(const std::shared_ptr<const MapBuffer>& map) {
    auto found = maps.find(map.get());
    if (found != maps.end() && found->second.owner.lock() != map) {
        maps.erase(found);
        found = maps.end();
    }
    if (found == maps.end()) {
        found = maps.emplace(map.get(), CachedMap{map, MapTexture(*map)}).first;
    }
    found->second.texture.update(*map);
    return found->second.texture;
}

std::optional<Box> LayerRenderer::Resources::visiblePart(const Box& pixels,
                                                         const ViewTransform& view,
                                                         const Box& clip) {
    const Box inClip{view.pixelFromWidget(clip.origin),
                     view.pixelFromWidget(clip.end()) - view.pixelFromWidget(clip.origin)};
    const Box part = intersectionOf(pixels, inClip);
    return part.empty() ? std::nullopt : std::optional(part);
}

std::array<float, 4> LayerRenderer::Resources::clipSpace(const Box& pixels,
                                                         const ViewTransform& view,
                                                         const Extent& framebuffer) {
    const glm::dvec2 size(static_cast<double>(framebuffer.width),
                          static_cast<double>(framebuffer.height));
    const auto toClip = [&](glm::dvec2 pixel) {
        const glm::dvec2 device = view.deviceFromPixel(pixel);
        return glm::dvec2(2 * device.x / size.x - 1, 1 - 2 * device.y / size.y);
    };
    return corners(toClip(pixels.origin), toClip(pixels.end()));
}

void LayerRenderer::Resources::drawPhoto(const std::shared_ptr<const ImagePyramid>& pyramid,
                                         Filter filter, const ViewTransform& view, const Box& clip,
                                         const Extent& framebuffer) {
    const auto visible = visiblePart(boxOf(pyramid->extent()), view, clip);
    if (!visible) return;
    const double zoom = view.widgetPerPixel() * view.frame().devicePixelRatio;
    const int level = pyramid->levelForZoom(zoom);
    const Image& picture = pyramid->level(level);
    // Levels of odd sizes are not exact halves; the whole picture always covers the whole photo.
    const glm::dvec2 photoPerPixel = boxOf(pyramid->extent()).size / boxOf(picture.extent()).size;
    const glm::dvec2 first = visible->origin / photoPerPixel / static_cast<double>(tileSide);
    const glm::dvec2 last = visible->end() / photoPerPixel / static_cast<double>(tileSide);

    photo.bind();
    photo.set("uPhoto", 0);
    auto* gl = glFunctions();
    for (auto row = static_cast<std::int64_t>(first.y);
         row < static_cast<std::int64_t>(std::ceil(last.y)); ++row) {
        for (auto column = static_cast<std::int64_t>(first.x);
             column < static_cast<std::int64_t>(std::ceil(last.x)); ++column) {
            const PhotoTile& tile = tileOf(pyramid, {pyramid.get(), level, column, row});
            const Box inPicture{glm::dvec2(tile.rect().x, tile.rect().y),
                                glm::dvec2(tile.rect().width, tile.rect().height)};
            const Box inPhoto{inPicture.origin * photoPerPixel, inPicture.size * photoPerPixel};
            const auto part = visiblePart(inPhoto, view, clip);
            if (!part) continue;
            const auto coordOf = [&](glm::dvec2 pixel) {
                const glm::dvec2 point = pixel / photoPerPixel;
                return glm::dvec2(tile.coordX(point.x), tile.coordY(point.y));
            };
            tile.texture().bind(0);
            tile.texture().setFilter(filter, zoom < 1);
            photo.set("uQuad", clipSpace(*part, view, framebuffer));
            photo.set("uCoord", corners(coordOf(part->origin), coordOf(part->end())));
            gl->glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
        }
    }
}

ShaderProgram& LayerRenderer::Resources::programOf(const Layer& layer) {
    QString file = "scalar.frag";
    if (layer.kind == LayerKind::Scores) file = "scores.frag";
    if (layer.kind == LayerKind::Difference) file = "difference.frag";
    QStringList defines;
    const auto define = [&](bool wanted, const char* name) {
        if (wanted) defines << name;
    };
    define(!layer.map->complete(), "PENDING");
    define(!layer.map->complete() && hasFallback(layer), "FALLBACK");
    if (layer.kind == LayerKind::Scores) {
        define(layer.scores.scaling == ScoreScaling::Sigmoid, "SIGMOID");
        define(layer.scores.mask.enabled, "MASK");
    } else if (layer.kind == LayerKind::Scalar) {
        define(layer.scalar.opacityByValue, "OPACITY_BY_VALUE");
    }
    const QString key = file + " " + defines.join(" ");
    auto found = mapPrograms.find(key);
    if (found == mapPrograms.end()) {
        found = mapPrograms
                    .emplace(key, ShaderProgram("quad.vert", {"map_sampling.glsl", file}, defines))
                    .first;
    }
    return found->second;
}

void LayerRenderer::Resources::bindColors(ShaderProgram& program, const ScalarStyle& style,
                                          float sign) {
    auto found = colorMaps.find(style.map);
    if (found == colorMaps.end()) {
        found = colorMaps.emplace(style.map, colorMapTexture(style.map)).first;
    }
    found->second.bind(ColorMapUnit);
    program.set("uColorMap", ColorMapUnit);
    const Affine affine = affineOf(style);
    program.set("uRange", sign * affine.gain, affine.bias);
    program.set("uNotANumber", colorOf(style, std::numeric_limits<float>::quiet_NaN()));
}

void LayerRenderer::Resources::bindMap(ShaderProgram& program, const Layer& layer,
                                       const ViewTransform& view) {
    const MapTexture& map = textureOf(layer.map);
    const MapTexture& fallback = hasFallback(layer) ? textureOf(layer.fallback) : map;
    fallback.values().bind(FallbackUnit);
    fallback.values().setFilter(Filter::Smooth, false);
    map.coverage().bind(CoverageUnit);
    map.values().bind(MapUnit);
    map.values().setFilter(layer.filter, isMinified(*layer.map, layer.region, view));
    program.set("uMap", MapUnit);
    program.set("uFallback", FallbackUnit);
    program.set("uCoverage", CoverageUnit);
    program.set("uRegion", uniformOf(layer.region));
    const Extent tile = layer.map->tile();
    const auto tilesAlong = [](std::int64_t size, std::int64_t part) {
        return part > 0 ? static_cast<float>(size) / static_cast<float>(part) : 1.0F;
    };
    program.set("uTiles", tilesAlong(layer.map->extent().width, tile.width),
                tilesAlong(layer.map->extent().height, tile.height));
    program.set("uHatchStep", static_cast<float>(6 * view.frame().devicePixelRatio));
    program.set("uOpacity", layer.opacity);
}

void LayerRenderer::Resources::drawMap(const Layer& layer, const ViewTransform& view,
                                       const Box& clip, const Extent& framebuffer) {
    const bool isDifference = layer.kind == LayerKind::Difference;
    Box covered = layer.region;
    if (isDifference) covered = intersectionOf(covered, layer.otherRegion);
    const auto part = visiblePart(covered, view, clip);
    if (!part) return;

    const int lastChannel = layer.map->channels() - 1;
    ShaderProgram& program = programOf(layer);
    program.bind();
    bindMap(program, layer, view);
    if (isDifference) {
        const MapTexture& other = textureOf(layer.other);
        other.values().bind(OtherUnit);
        other.values().setFilter(layer.filter, isMinified(*layer.other, layer.otherRegion, view));
        program.set("uOther", OtherUnit);
        program.set("uOtherRegion", uniformOf(layer.otherRegion));
        program.set("uChannel", std::clamp(layer.scalar.channel, 0, lastChannel));
        program.set("uOtherChannel",
                    std::clamp(layer.otherChannel, 0, layer.other->channels() - 1));
        program.set("uSigns", layer.sign, layer.otherSign);
        bindColors(program, layer.scalar, 1);
    } else if (layer.kind == LayerKind::Scores) {
        std::array<float, 3> gain{};
        std::array<float, 3> bias{};
        for (int i = 0; i < 3; ++i) {
            const Affine affine = affineOf(layer.scores, i);
            gain[static_cast<std::size_t>(i)] = affine.gain;
            bias[static_cast<std::size_t>(i)] = affine.bias;
        }
        const ForegroundMask& mask = layer.scores.mask;
        std::array<int, 3> components = layer.scores.components;
        for (int& component : components)
            component = std::clamp(component, 0, lastChannel);
        program.set("uComponents", components);
        program.set("uGain", gain);
        program.set("uBias", bias);
        program.set("uMaskComponent", std::clamp(mask.component, 0, lastChannel));
        program.set("uMask", mask.threshold, mask.keepAbove ? 1.0F : 0.0F);
    } else {
        program.set("uChannel", std::clamp(layer.scalar.channel, 0, lastChannel));
        bindColors(program, layer.scalar, layer.sign);
    }
    program.set("uQuad", clipSpace(*part, view, framebuffer));
    program.set("uCoord", corners(part->origin, part->end()));
    auto* gl = glFunctions();
    gl->glEnable(GL_BLEND);
    gl->glBlendFuncSeparate(GL_SRC_ALPHA, GL_ONE_MINUS_SRC_ALPHA, GL_ONE, GL_ONE);
    gl->glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
    gl->glDisable(GL_BLEND);
}

void LayerRenderer::draw(const Layer& layer, const ViewTransform& view, const Box& clip,
                         const Extent& framebuffer) {
    Resources& r = *resources_;
    const bool isMap = layer.kind != LayerKind::Empty && layer.kind != LayerKind::Photo;
    const bool hasMap = isMap && layer.map && !layer.region.empty() &&
                        (layer.kind != LayerKind::Difference || layer.other);
    const bool hasPhoto = layer.photo && layer.photo->levels() > 0;
    // A map that hides the photo, with nothing of it missing or see-through, saves drawing both.
    const bool photoShows = layer.kind == LayerKind::Photo || layer.opacity < 1 ||
                            (layer.kind == LayerKind::Scalar && layer.scalar.opacityByValue);
    auto* gl = glFunctions();
    gl->glBindVertexArray(r.vertexArray);
    gl->glDisable(GL_DEPTH_TEST);
    gl->glDisable(GL_CULL_FACE);
    gl->glDisable(GL_BLEND);
    if (hasPhoto && photoShows) {
        r.drawPhoto(layer.photo, isMap ? Filter::Smooth : layer.filter, view, clip, framebuffer);
    }
    if (hasMap) r.drawMap(layer, view, clip, framebuffer);
    gl->glActiveTexture(GL_TEXTURE0);
    gl->glBindVertexArray(0);
}

} // namespace loftscope
