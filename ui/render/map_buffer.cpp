// SPDX-License-Identifier: Apache-2.0
#include "ui/render/map_buffer.h"

#include <algorithm>

namespace loftscope {
namespace {

/// Coverage of a pixel that shows a neighbour's value: drawn as if it had come, but a map of such
/// pixels is not complete.
constexpr std::uint8_t stoodFor = 254;
constexpr std::uint8_t arrived = 255;

std::size_t count(std::int64_t n) {
    return static_cast<std::size_t>(std::max<std::int64_t>(n, 0));
}

} // namespace

MapBuffer::MapBuffer(int channels, Extent extent, Extent tile)
    : channels_(std::max(channels, 1))
    , extent_(extent)
    , tile_(tile)
    , values_(count(channels_ * extent.area()), 0.0F)
    , coverage_(count(extent.area()), 0) {}

std::shared_ptr<MapBuffer> MapBuffer::whole(int channels, Extent extent,
                                            std::vector<float> values) {
    auto map = std::make_shared<MapBuffer>(channels, extent);
    map->put(wholeOf(extent), values);
    return map;
}

bool MapBuffer::put(const Rect& rect, std::span<const float> values) {
    if (!contains(extent_, rect)) return false;
    if (values.size() != count(channels_ * rect.area())) return false;
    const float* source = values.data();
    for (int c = 0; c < channels_; ++c) {
        for (std::int64_t y = rect.y; y < rect.bottom(); ++y) {
            std::copy_n(source, rect.width,
                        values_.data() + (c * extent_.height + y) * extent_.width + rect.x);
            source += rect.width;
        }
    }
    for (std::int64_t y = rect.y; y < rect.bottom(); ++y) {
        std::uint8_t* row = coverage_.data() + y * extent_.width + rect.x;
        coveredPixels_ += rect.width - std::count(row, row + rect.width, arrived);
        std::fill_n(row, rect.width, arrived);
    }
    changes_.push_back(rect);
    return true;
}

std::span<const float> MapBuffer::channel(int index) const {
    const int c = std::clamp(index, 0, channels_ - 1);
    return std::span(values_).subspan(count(c * extent_.area()), count(extent_.area()));
}

bool MapBuffer::fill(std::int64_t stride, const Extent& few, std::span<const float> values) {
    if (stride < 1 || few.height != (extent_.height + stride - 1) / stride ||
        few.width != (extent_.width + stride - 1) / stride ||
        values.size() != count(channels_ * few.area()))
        return false;
    for (std::int64_t y = 0; y < extent_.height; ++y) {
        for (std::int64_t x = 0; x < extent_.width; ++x) {
            const std::size_t pixel = count(y * extent_.width + x);
            if (coverage_[pixel] != 0) continue;
            coverage_[pixel] = stoodFor;
            const std::size_t from = count((y / stride) * few.width + x / stride);
            for (std::size_t c = 0; c < count(channels_); ++c)
                values_[c * count(extent_.area()) + pixel] = values[c * count(few.area()) + from];
        }
    }
    changes_.push_back(wholeOf(extent_));
    return true;
}

float MapBuffer::at(int index, const Pixel& pixel) const {
    return channel(index)[count(pixel.y * extent_.width + pixel.x)];
}

bool MapBuffer::covered(const Pixel& pixel) const {
    return contains(extent_, pixel) && coverage_[count(pixel.y * extent_.width + pixel.x)] != 0;
}

double MapBuffer::coveredFraction() const {
    if (extent_.area() == 0) return 1;
    return static_cast<double>(coveredPixels_) / static_cast<double>(extent_.area());
}

std::span<const Rect> MapBuffer::changesSince(std::size_t revision) const {
    return std::span(changes_).subspan(std::min(revision, changes_.size()));
}

} // namespace loftscope
