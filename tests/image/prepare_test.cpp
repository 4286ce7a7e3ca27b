// SPDX-License-Identifier: Apache-2.0
#include "core/image/normalise.h"
#include "core/image/prepare.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace loftscope {
namespace {

using testing::HasSubstr;

/// Red grows with x, green with y, so that a place can be read off a pixel.
Image ramp(Extent extent) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t y = 0; y < extent.height; ++y)
        for (std::int64_t x = 0; x < extent.width; ++x) {
            pixels.push_back(
                static_cast<std::uint8_t>(x * 255 / std::max<std::int64_t>(extent.width - 1, 1)));
            pixels.push_back(
                static_cast<std::uint8_t>(y * 255 / std::max<std::int64_t>(extent.height - 1, 1)));
            pixels.push_back(7);
        }
    return {extent, std::move(pixels)};
}

PreparedPicture prepared(Extent photo, const PrepareRequest& request) {
    auto result = preparePicture(ramp(photo), request);
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(PreparedPicture{});
}

TEST(Prepare, KeepsTheWholePhotoInMultiplesOfThePatch) {
    const auto landscape = prepared({512, 768}, {.shortSide = 224, .patch = 14});
    EXPECT_EQ(landscape.picture.extent(), (Extent{224, 336}));
    EXPECT_FALSE(landscape.mapping.cropped());
    EXPECT_EQ(landscape.mapping.describe(), "768 x 512 photo, resized to 336 x 224");
    EXPECT_EQ(prepared({768, 512}, {.shortSide = 224, .patch = 14}).picture.extent(),
              (Extent{336, 224}));
    // 500 is rounded to 504 = 36 patches; 504 * 750 / 500 = 756 = 54 patches.
    EXPECT_EQ(prepared({500, 750}, {.shortSide = 500, .patch = 14}).picture.extent(),
              (Extent{504, 756}));
}

TEST(Prepare, HandlesPhotosOfExtremeShape) {
    EXPECT_EQ(prepared({1, 1}, {.shortSide = 224, .patch = 14}).picture.extent(),
              (Extent{224, 224}));
    EXPECT_EQ(prepared({384, 3072}, {.shortSide = 224, .patch = 14}).picture.extent(),
              (Extent{224, 1792}));
    // A patch larger than the side that was asked for still gives one patch.
    EXPECT_EQ(prepared({30, 50}, {.shortSide = 5, .patch = 16}).picture.extent(), (Extent{16, 32}));
    EXPECT_EQ(prepared({30, 50}, {.shortSide = 30, .patch = 1}).picture.extent(), (Extent{30, 50}));
    EXPECT_EQ(prepared({30, 50}, {.shortSide = 30, .patch = 1}).mapping.describe(),
              "50 x 30 photo, not resized");
}

TEST(Prepare, CutsTheSquareThatTorchvisionCuts) {
    // Resize(56): 56 x int(56 * 113 / 75) = 84; CenterCrop(56): int(round(28 / 2)) = 14.
    const auto even =
        prepared({75, 113}, {.shortSide = 56, .patch = 14, .fit = FitRule::CenterSquare});
    EXPECT_EQ(even.mapping.resized, (Extent{56, 84}));
    EXPECT_EQ(even.mapping.kept, (Rect{14, 0, 56, 56}));
    EXPECT_EQ(even.mapping.describe(),
              "113 x 75 photo, resized to 84 x 56, cropped to 56 x 56 at (14, 0)");
    // int(42 * 131 / 90) = 61; 19 / 2 = 9.5 rounds to the even 10. 42 * 99 / 64 = 64.97: 64.
    EXPECT_EQ(prepared({131, 90}, {.shortSide = 42, .fit = FitRule::CenterSquare}).mapping.kept,
              (Rect{0, 10, 42, 42}));
    EXPECT_EQ(prepared({64, 99}, {.shortSide = 42, .fit = FitRule::CenterSquare}).mapping.resized,
              (Extent{42, 64}));
    // 5 / 2 = 2.5 rounds to the even 2.
    EXPECT_EQ(centeredRect({10, 15}, {10, 10}), (Rect{2, 0, 10, 10}));
}

TEST(Prepare, MapsPixelsThereAndBack) {
    const auto square =
        prepared({300, 400}, {.shortSide = 60, .patch = 10, .fit = FitRule::CenterSquare});
    const PhotoMapping& mapping = square.mapping;
    ASSERT_EQ(mapping.resized, (Extent{60, 80}));
    ASSERT_EQ(mapping.kept, (Rect{10, 0, 60, 60}));
    // Five photo pixels to a prepared one; ten prepared columns are cut off on the left.
    EXPECT_EQ(mapping.preparedFromPhoto({50, 0}), (Pixel{0, 0}));
    EXPECT_EQ(mapping.preparedFromPhoto({54, 4}), (Pixel{0, 0}));
    EXPECT_EQ(mapping.preparedFromPhoto({55, 5}), (Pixel{1, 1}));
    EXPECT_EQ(mapping.preparedFromPhoto({49, 0}), (Pixel{-1, 0}));
    EXPECT_EQ(mapping.preparedFromPhoto({-1, -1}), (Pixel{-11, -1}));
    EXPECT_EQ(mapping.photoFromPrepared({0, 0}), (Pixel{52, 2}));
    EXPECT_EQ(mapping.photoFromPrepared({-11, -1}), (Pixel{-3, -3}));
    EXPECT_EQ(mapping.photoFromPrepared({59, 59}), (Pixel{347, 297}));
    for (std::int64_t i = 0; i < 60; ++i)
        EXPECT_EQ(mapping.preparedFromPhoto(mapping.photoFromPrepared({i, 59 - i})),
                  (Pixel{i, 59 - i}));
}

TEST(Prepare, EnlargedPhotosMapToo) {
    const auto large = prepared({3, 5}, {.shortSide = 30, .patch = 10});
    ASSERT_EQ(large.mapping.resized, (Extent{30, 50}));
    EXPECT_EQ(large.mapping.photoFromPrepared({49, 29}), (Pixel{4, 2}));
    EXPECT_EQ(large.mapping.photoFromPrepared({9, 10}), (Pixel{0, 1}));
    EXPECT_EQ(large.mapping.preparedFromPhoto({0, 2}), (Pixel{5, 25}));
}

TEST(Prepare, ShowsTheSamePartInAnotherSize) {
    const Image photo = ramp({300, 400});
    const auto square =
        preparePicture(photo, {.shortSide = 60, .patch = 10, .fit = FitRule::CenterSquare});
    ASSERT_TRUE(square);
    const auto larger = preparePictureLike(photo, square->mapping, {120, 120});
    ASSERT_TRUE(larger) << larger.error().message;
    EXPECT_EQ(larger->picture.extent(), (Extent{120, 120}));
    EXPECT_EQ(larger->mapping.resized, (Extent{120, 160}));
    EXPECT_EQ(larger->mapping.kept, (Rect{20, 0, 120, 120}));
    // The same place of the photo in both.
    EXPECT_NEAR(square->picture.row(30)[3 * 30], larger->picture.row(60)[3 * 60], 2);
    EXPECT_NEAR(square->picture.row(10)[3 * 50 + 1], larger->picture.row(20)[3 * 100 + 1], 3);

    const auto odd = preparePictureLike(photo, square->mapping, {77, 31});
    ASSERT_TRUE(odd) << odd.error().message;
    EXPECT_EQ(odd->picture.extent(), (Extent{77, 31}));
    EXPECT_EQ(preparePictureLike(ramp({3, 3}), square->mapping, {77, 31}).error().code,
              ErrorCode::Mismatch);
}

TEST(Prepare, RefusesWhatMakesNoSense) {
    const auto refused = [](const Image& photo, const PrepareRequest& request) {
        const auto result = preparePicture(photo, request);
        EXPECT_FALSE(result);
        return result ? Error{} : result.error();
    };
    EXPECT_EQ(refused(Image(), {}).code, ErrorCode::InvalidArgument);
    EXPECT_EQ(refused(ramp({2, 2}), {.shortSide = 0}).code, ErrorCode::InvalidArgument);
    EXPECT_EQ(refused(ramp({2, 2}), {.shortSide = -5}).code, ErrorCode::InvalidArgument);
    EXPECT_EQ(refused(ramp({2, 2}), {.shortSide = 10, .patch = 0}).code,
              ErrorCode::InvalidArgument);
    EXPECT_EQ(refused(ramp({2, 2}), {.shortSide = std::int64_t{1} << 60}).code,
              ErrorCode::InvalidArgument);
    EXPECT_THAT(refused(ramp({1, 1000}), {.shortSide = 518, .patch = 14}).message,
                HasSubstr("more than 32768"));
    EXPECT_THAT(
        refused(ramp({1000, 1}), {.shortSide = 518, .patch = 14, .fit = FitRule::CenterSquare})
            .message,
        HasSubstr("more than 32768"));
}

TEST(PillowResize, CopiesWhatKeepsItsSize) {
    const Image image = ramp({7, 9});
    for (const PillowFilter filter :
         {PillowFilter::Box, PillowFilter::Bilinear, PillowFilter::Bicubic, PillowFilter::Lanczos})
        EXPECT_TRUE(
            std::ranges::equal(pillowResize(image, {7, 9}, filter).pixels(), image.pixels()));
}

TEST(PillowResize, RoundsEveryPass) {
    // (10, 11) becomes 10.5, rounded to 11; with the 0 below it 5.5, rounded to 6. The mean of all
    // four is 5.25, which would be 5.
    std::vector<std::uint8_t> pixels;
    for (const int level : {10, 11, 0, 0})
        pixels.insert(pixels.end(), 3, static_cast<std::uint8_t>(level));
    const Image picture({2, 2}, std::move(pixels));
    EXPECT_THAT(pillowResize(picture, {1, 1}, PillowFilter::Box).pixels(),
                testing::ElementsAre(6, 6, 6));
}

TEST(PillowResize, RefusesEmptySizes) {
    EXPECT_THROW(pillowResize(ramp({2, 2}), {0, 2}, PillowFilter::Box), std::invalid_argument);
    EXPECT_THROW(pillowResize(Image(), {2, 2}, PillowFilter::Box), std::invalid_argument);
    EXPECT_THROW(crop(ramp({2, 2}), {1, 1, 2, 1}), std::invalid_argument);
    EXPECT_THROW(Image({2, 2}, {1, 2, 3}), std::invalid_argument);
}

TEST(ImageFromTensor, RoundsAndClamps) {
    at::Tensor tensor = at::full({3, 1, 2}, 0.5, at::kFloat);
    tensor.data_ptr<float>()[0] = 2.0F;
    tensor.data_ptr<float>()[1] = -1.0F;
    tensor.data_ptr<float>()[2] = std::nanf("");
    tensor.data_ptr<float>()[3] = 100.6F / 255.0F;
    const Image image = imageFromTensor(tensor);
    ASSERT_EQ(image.extent(), (Extent{1, 2}));
    EXPECT_THAT(image.pixels(), testing::ElementsAre(255, 0, 128, 0, 101, 128));
    EXPECT_TRUE(std::ranges::equal(imageFromTensor(tensor.unsqueeze(0)).pixels(), image.pixels()));
}

} // namespace
} // namespace loftscope
