// SPDX-License-Identifier: Apache-2.0
// Sizes, pixels and rectangles of pictures and fields: integers, origin top left, x to the right, y
// down.
#pragma once

#include <cstdint>

namespace loftscope {

struct Extent {
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t area() const { return height * width; }
    friend bool operator==(const Extent&, const Extent&) = default;
};

struct Pixel {
    std::int64_t x = 0;
    std::int64_t y = 0;
    friend bool operator==(const Pixel&, const Pixel&) = default;
};

struct Rect {
    std::int64_t x = 0;
    std::int64_t y = 0;
    std::int64_t width = 0;
    std::int64_t height = 0;
    std::int64_t right() const { return x + width; }   ///< one past the last column
    std::int64_t bottom() const { return y + height; } ///< one past the last row
    std::int64_t area() const { return width * height; }
    friend bool operator==(const Rect&, const Rect&) = default;
};

inline Rect wholeOf(const Extent& extent) {
    return {0, 0, extent.width, extent.height};
}

inline bool contains(const Extent& extent, const Pixel& pixel) {
    return pixel.x >= 0 && pixel.y >= 0 && pixel.x < extent.width && pixel.y < extent.height;
}

/// True if `rect` is not empty and lies inside `extent`.
inline bool contains(const Extent& extent, const Rect& rect) {
    return rect.width > 0 && rect.height > 0 && rect.x >= 0 && rect.y >= 0 &&
           rect.x <= extent.width - rect.width && rect.y <= extent.height - rect.height;
}

} // namespace loftscope
