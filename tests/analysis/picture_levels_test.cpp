// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/coordinate_encoder.h"
#include "core/upsample/picture_levels.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

at::Tensor photo() {
    return (at::randint(0, 256, {3, 40, 70}, at::make_generator<at::CPUGeneratorImpl>(3)) / 255.0 -
            0.45) /
           0.225;
}

TEST(PictureLevels, HoldEveryValueOfAPhotoExactly) {
    const at::Tensor picture = photo();
    const auto levels = levelsOf(picture);
    ASSERT_TRUE(levels);
    EXPECT_EQ(levels->index.scalar_type(), at::kByte);
    for (std::int64_t c = 0; c < 3; ++c) {
        const at::Tensor& values = levels->values[static_cast<std::size_t>(c)];
        EXPECT_LE(values.size(0), 256);
        EXPECT_TRUE(values.index_select(0, levels->index[c].flatten().to(at::kLong))
                        .equal(picture[c].flatten()));
    }
}

TEST(PictureLevels, ThereAreNoneOfAPictureWithMoreThan256) {
    EXPECT_TRUE(levelsOf(at::arange(256).to(at::kFloat).view({1, 16, 16}).repeat({3, 1, 1})));
    EXPECT_FALSE(levelsOf(at::arange(257).to(at::kFloat).view({1, 1, 257}).repeat({3, 1, 1})));
}

TEST(UnitRangePicture, ScalesTheSameFromLevelsAsFromThePicture) {
    const at::Tensor picture = photo();
    const UnitRangePicture unit(picture);
    ASSERT_TRUE(unit.levels());
    const at::Tensor low = picture.amin({1, 2}, true);
    const at::Tensor expected = (picture - low) / (picture.amax({1, 2}, true) - low) - 0.5;
    const Rect rect{7, 11, 30, 20};
    EXPECT_TRUE(unit.scaled(rect).equal(expected.slice(1, 11, 31).slice(2, 7, 37)));
}

} // namespace
} // namespace loftscope
