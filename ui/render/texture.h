// SPDX-License-Identifier: Apache-2.0
// Textures: 8-bit photos, float maps with any number of channels, colour maps. All need the
// context that made them to be current, also when they are destroyed.
#pragma once

#include "core/base/geometry.h"
#include "core/image/color_map.h"
#include "core/image/image.h"
#include "ui/render/map_buffer.h"

#include <cstdint>
#include <utility>

namespace loftscope {

enum class Filter {
    Nearest, ///< magnified pixels have sharp edges; minified ones are averaged
    Smooth   ///< bilinear
};

/// Owns one texture name; movable.
class Texture {
public:
    Texture() = default;
    /// `target`: GL_TEXTURE_2D or GL_TEXTURE_2D_ARRAY. Edges are clamped.
    explicit Texture(std::uint32_t target);
    ~Texture() { release(); }
    Texture(Texture&& other) noexcept
        : target_(other.target_)
        , id_(std::exchange(other.id_, 0)) {}
    Texture& operator=(Texture&& other) noexcept {
        if (this != &other) {
            release();
            target_ = other.target_;
            id_ = std::exchange(other.id_, 0);
        }
        return *this;
    }
    Texture(const Texture&) = delete;
    Texture& operator=(const Texture&) = delete;

    void bind(int unit) const;
    /// Of the bound texture. `minified`: the screen shows fewer pixels than the texture has, which
    /// are then averaged whatever the filter.
    void setFilter(Filter filter, bool minified) const;
    void release();
    std::uint32_t id() const { return id_; }

private:
    std::uint32_t target_ = 0;
    std::uint32_t id_ = 0;
};

/// A part of a picture with one pixel more on every side (repeated at the picture's border), so
/// that smooth sampling meets its neighbours without a seam.
class PhotoTile {
public:
    PhotoTile(const Image& picture, const Rect& rect);
    const Rect& rect() const { return rect_; }
    const Texture& texture() const { return texture_; }
    /// Texture coordinate of a point of the picture.
    double coordX(double pictureX) const;
    double coordY(double pictureY) const;

private:
    Rect rect_;
    Texture texture_;
};

/// A MapBuffer on the GPU: one float layer per channel, and which pixels have arrived.
class MapTexture {
public:
    /// A map with a side longer than `largestSide` (0: what the driver allows) is stored at every
    /// n-th pixel.
    explicit MapTexture(const MapBuffer& map, int largestSide = 0);
    /// Uploads what changed since the last call.
    void update(const MapBuffer& map);
    const Texture& values() const { return values_; }
    const Texture& coverage() const { return coverage_; }
    std::int64_t step() const { return step_; }

private:
    void upload(const MapBuffer& map, const Rect& rect);

    Texture values_;
    Texture coverage_;
    std::int64_t step_ = 1;
    std::size_t revision_ = 0;
};

/// 256 x 1 colours of a map, for lookup at (t * 255 + 0.5) / 256.
Texture colorMapTexture(ColorMap map);

} // namespace loftscope
