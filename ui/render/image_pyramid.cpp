// SPDX-License-Identifier: Apache-2.0
#include "ui/render/image_pyramid.h"

#include <algorithm>
#include <utility>

namespace loftscope {
namespace {

Image halved(const Image& image) {
    const Extent half{(image.height() + 1) / 2, (image.width() + 1) / 2};
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(half.area() * 3));
    std::uint8_t* target = pixels.data();
    for (std::int64_t y = 0; y < half.height; ++y) {
        const std::uint8_t* upper = image.row(2 * y);
        const std::uint8_t* lower = image.row(std::min(2 * y + 1, image.height() - 1));
        for (std::int64_t x = 0; x < half.width; ++x) {
            const std::int64_t left = 6 * x;
            const std::int64_t right = 3 * std::min(2 * x + 1, image.width() - 1);
            for (int c = 0; c < 3; ++c) {
                const int sum =
                    upper[left + c] + upper[right + c] + lower[left + c] + lower[right + c];
                *target++ = static_cast<std::uint8_t>((sum + 2) / 4);
            }
        }
    }
    return {half, std::move(pixels)};
}

} // namespace

std::shared_ptr<const ImagePyramid> ImagePyramid::of(const Image& photo, std::int64_t smallest) {
    auto pyramid = std::make_shared<ImagePyramid>();
    if (photo.empty()) return pyramid;
    pyramid->levels_.push_back(photo);
    while (std::max(pyramid->levels_.back().height(), pyramid->levels_.back().width()) >
           std::max<std::int64_t>(smallest, 1)) {
        pyramid->levels_.push_back(halved(pyramid->levels_.back()));
    }
    return pyramid;
}

int ImagePyramid::levelForZoom(double zoom) const {
    int level = 0;
    while (level + 1 < levels() && zoom <= 0.5) {
        zoom *= 2;
        ++level;
    }
    return level;
}

} // namespace loftscope
