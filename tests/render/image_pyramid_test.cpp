// SPDX-License-Identifier: Apache-2.0
#include "ui/render/image_pyramid.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

Image ramp(Extent extent) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            pixels.push_back(static_cast<std::uint8_t>(x * 10));
            pixels.push_back(static_cast<std::uint8_t>(y * 10));
            pixels.push_back(7);
        }
    }
    return {extent, std::move(pixels)};
}

TEST(ImagePyramid, HalvesUntilSmallAndAveragesFourPixels) {
    const auto pyramid = ImagePyramid::of(ramp({8, 12}), 3);
    ASSERT_EQ(pyramid->levels(), 3);
    EXPECT_EQ(pyramid->level(1).extent(), (Extent{4, 6}));
    EXPECT_EQ(pyramid->level(2).extent(), (Extent{2, 3}));
    const std::uint8_t* pixel = pyramid->level(1).row(1) + 3 * 2; // covers x 4..5, y 2..3
    EXPECT_EQ(pixel[0], 45);
    EXPECT_EQ(pixel[1], 25);
    EXPECT_EQ(pixel[2], 7);
}

TEST(ImagePyramid, OddSizesKeepTheirLastRowAndColumn) {
    const auto pyramid = ImagePyramid::of(ramp({3, 5}), 3);
    ASSERT_EQ(pyramid->levels(), 2);
    EXPECT_EQ(pyramid->level(1).extent(), (Extent{2, 3}));
    EXPECT_EQ(pyramid->level(1).row(1)[3 * 2], 40) << "the corner pixel alone";
}

TEST(ImagePyramid, EveryScreenPixelHasAtLeastOnePhotoPixel) {
    const auto pyramid = ImagePyramid::of(ramp({16, 16}), 1);
    ASSERT_EQ(pyramid->levels(), 5);
    EXPECT_EQ(pyramid->levelForZoom(4), 0);
    EXPECT_EQ(pyramid->levelForZoom(0.51), 0);
    EXPECT_EQ(pyramid->levelForZoom(0.5), 1);
    EXPECT_EQ(pyramid->levelForZoom(0.2), 2);
    EXPECT_EQ(pyramid->levelForZoom(1e-6), 4);
}

TEST(ImagePyramid, ExtremePhotos) {
    EXPECT_EQ(ImagePyramid::of(Image())->levels(), 0);
    EXPECT_EQ(ImagePyramid::of(Image())->extent(), Extent{});
    EXPECT_EQ(ImagePyramid::of(ramp({1, 1}))->levels(), 1);
    EXPECT_EQ(ImagePyramid::of(ramp({1, 25}), 4)->level(3).extent(), (Extent{1, 4}));
}

} // namespace
} // namespace loftscope
