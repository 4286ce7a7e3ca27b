// SPDX-License-Identifier: Apache-2.0
#include "core/image/image.h"

#include <stdexcept>
#include <utility>

namespace loftscope {

Image::Image(Extent extent, std::vector<std::uint8_t> pixels)
    : extent_(extent) {
    if (extent.height < 0 || extent.width < 0 ||
        pixels.size() != static_cast<std::size_t>(extent.area()) * 3)
        throw std::invalid_argument("an Image needs height * width * 3 values");
    pixels_ = std::make_shared<const std::vector<std::uint8_t>>(std::move(pixels));
}

std::span<const std::uint8_t> Image::pixels() const {
    if (!pixels_) return {};
    return *pixels_;
}

const std::uint8_t* Image::row(std::int64_t y) const {
    return pixels_->data() + y * extent_.width * 3;
}

} // namespace loftscope
