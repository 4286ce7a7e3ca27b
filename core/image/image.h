// SPDX-License-Identifier: Apache-2.0
// An 8-bit RGB picture: the form in which every photo enters the program and every map leaves it.
#pragma once

#include "core/base/geometry.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace loftscope {

/// Immutable H x W x 3 picture (R, G, B; row by row, no padding), cheap to copy: the pixels are
/// shared.
class Image {
public:
    Image() = default;
    /// `pixels` holds height * width * 3 values.
    Image(Extent extent, std::vector<std::uint8_t> pixels);

    Extent extent() const { return extent_; }
    std::int64_t height() const { return extent_.height; }
    std::int64_t width() const { return extent_.width; }
    bool empty() const { return extent_.area() == 0; }
    std::span<const std::uint8_t> pixels() const;
    const std::uint8_t* row(std::int64_t y) const;

private:
    Extent extent_;
    std::shared_ptr<const std::vector<std::uint8_t>> pixels_;
};

} // namespace loftscope
