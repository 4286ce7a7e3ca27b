// SPDX-License-Identifier: Apache-2.0
// Segments of photos whose right answer is known.
#include "core/train/counter_random.h"
#include "core/train/over_segmentation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

/// Three flat fields with noise of a few grey levels: left half, upper right, lower right.
at::Tensor threeFields() {
    at::Tensor photo = at::empty({60, 80, 3}, at::kByte);
    auto* pixels = photo.mutable_data_ptr<std::uint8_t>();
    CounterRandom random(4, RandomPurpose::Augmentation, 0);
    for (std::int64_t y = 0; y < 60; ++y) {
        for (std::int64_t x = 0; x < 80; ++x) {
            const int base = x < 40 ? 40 : (y < 30 ? 120 : 220);
            for (std::int64_t c = 0; c < 3; ++c)
                pixels[(y * 80 + x) * 3 + c] = static_cast<std::uint8_t>(base + random.below(5));
        }
    }
    return photo;
}

TEST(OverSegment, FindsTheFieldsOfAPicture) {
    const auto maps = overSegment(threeFields(), {.scales = {150}});
    ASSERT_EQ(maps.size(), 1U);
    const at::Tensor& labels = maps[0];
    const std::int64_t left = labels[30][10].item<std::int64_t>();
    const std::int64_t upper = labels[10][60].item<std::int64_t>();
    const std::int64_t lower = labels[50][60].item<std::int64_t>();
    EXPECT_NE(left, upper);
    EXPECT_NE(upper, lower);
    // Away from the smoothed borders every field is one segment.
    EXPECT_TRUE(labels.slice(1, 0, 36).eq(left).all().item<bool>());
    EXPECT_TRUE(labels.slice(1, 44).slice(0, 0, 26).eq(upper).all().item<bool>());
    EXPECT_TRUE(labels.slice(1, 44).slice(0, 34).eq(lower).all().item<bool>());
}

TEST(OverSegment, LargerScalesMakeFewerSegmentsAndNoneIsTooSmall) {
    at::Tensor photo = at::empty({64, 64, 3}, at::kByte);
    auto* pixels = photo.mutable_data_ptr<std::uint8_t>();
    CounterRandom random(5, RandomPurpose::Augmentation, 0);
    for (std::int64_t i = 0; i < photo.numel(); ++i)
        pixels[i] = static_cast<std::uint8_t>(random.below(256));
    const auto maps = overSegment(photo, {.scales = {20, 100, 1000}, .smallest = 20});
    std::int64_t before = 1 << 20;
    for (const at::Tensor& labels : maps) {
        const std::int64_t segments = labels.max().item<std::int64_t>() + 1;
        EXPECT_LE(segments, before);
        before = segments;
        EXPECT_GE(labels.flatten().bincount().min().item<std::int64_t>(), 20);
    }
    EXPECT_GT(maps[0].max().item<std::int64_t>(), maps[2].max().item<std::int64_t>());
}

TEST(ConnectedComponents, SplitsALabelIntoItsPartsAndKeepsNegativesOut) {
    const at::Tensor labels =
        at::tensor({7, 7, -1, 7, 2, 2, -1, 7, 7, 2, 7, 7}, at::kLong).reshape({3, 4});
    const at::Tensor expected =
        at::tensor({0, 0, -1, 1, 2, 2, -1, 1, 3, 2, 1, 1}, at::kLong).reshape({3, 4});
    EXPECT_TRUE(connectedComponents(labels).equal(expected));
}

} // namespace
} // namespace loftscope
