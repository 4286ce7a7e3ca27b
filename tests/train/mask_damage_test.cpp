// SPDX-License-Identifier: Apache-2.0
// Masks that are damaged on purpose: by as much as was asked for, and nothing else changes.
#include "core/train/mask_damage.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

CounterRandom draws(std::uint64_t index) {
    return {7, RandomPurpose::MaskDamage, index};
}

/// 20 x 20 masks of 4 x 4 pixels.
at::Tensor checks() {
    const at::Tensor cell = at::arange(80, at::kLong).floor_divide(4);
    return cell.unsqueeze(1) * 20 + cell;
}

double shareOf(const at::Tensor& wanted) {
    return wanted.to(at::kDouble).mean().item<double>();
}

TEST(MaskDamage, ErosionLeavesWhatLiesFartherFromBordersThanAsked) {
    // Two masks side by side; the picture's own border is none.
    at::Tensor labels = at::full({3, 8}, 4, at::kLong);
    labels.narrow(1, 4, 4).fill_(9);
    const at::Tensor row = at::tensor(std::vector<std::int64_t>{4, 4, -1, -1, -1, -1, 9, 9});
    EXPECT_TRUE(damagedMasks(labels, {.eroded = 2}, draws(0)).equal(row.expand({3, 8})));
    // A mask of one pixel takes its neighbours with it, diagonal ones too.
    at::Tensor speck = at::full({5, 5}, 1, at::kLong);
    speck[2][2] = 2;
    at::Tensor left = at::full({5, 5}, 1, at::kLong);
    left.narrow(0, 1, 3).narrow(1, 1, 3).fill_(-1);
    EXPECT_TRUE(damagedMasks(speck, {.eroded = 1}, draws(0)).equal(left));
}

TEST(MaskDamage, MissingMasksAreMissingAsAWhole) {
    const at::Tensor labels = checks();
    const at::Tensor found = damagedMasks(labels, {.missing = 0.3}, draws(1));
    EXPECT_TRUE(found.eq(labels).logical_or(found.eq(-1)).all().item<bool>());
    // 400 masks: a standard deviation is 2.3 %.
    EXPECT_NEAR(shareOf(found.eq(-1)), 0.3, 0.08);
    for (std::int64_t y = 0; y < 80; y += 4)
        for (std::int64_t x = 0; x < 80; x += 4) {
            const at::Tensor mask = found.narrow(0, y, 4).narrow(1, x, 4);
            EXPECT_TRUE(mask.eq(mask[0][0]).all().item<bool>());
        }
    EXPECT_TRUE(damagedMasks(labels, {.missing = 1}, draws(2)).eq(-1).all().item<bool>());
}

TEST(MaskDamage, FalseMasksCoverTheShareAskedFor) {
    const at::Tensor labels = checks();
    for (const double share : {0.1, 0.5, 0.95}) {
        const at::Tensor found = damagedMasks(labels, {.invented = share}, draws(3));
        const double covered = shareOf(found.gt(399));
        EXPECT_GE(covered, share);
        EXPECT_LT(covered, share + 0.25); // a quarter of the picture is the largest rectangle
        EXPECT_TRUE(found.eq(labels).logical_or(found.gt(399)).all().item<bool>());
    }
    // Where there is no mask at all, too.
    const at::Tensor nothing = at::full({40, 40}, -1, at::kLong);
    EXPECT_GE(shareOf(damagedMasks(nothing, {.invented = 0.5}, draws(4)).ge(0)), 0.5);
}

TEST(MaskDamage, DependsOnItsDrawsAlone) {
    const MaskDamage damage{.missing = 0.5, .invented = 0.3, .eroded = 1};
    EXPECT_TRUE(
        damagedMasks(checks(), damage, draws(5)).equal(damagedMasks(checks(), damage, draws(5))));
    EXPECT_FALSE(
        damagedMasks(checks(), damage, draws(5)).equal(damagedMasks(checks(), damage, draws(6))));
    EXPECT_TRUE(damagedMasks(checks(), {}, draws(5)).equal(checks()));
}

TEST(MaskDamage, IsReadFromTexts) {
    const auto damage = maskDamageOf({"eroded=3", "false=0.25"});
    ASSERT_TRUE(damage) << damage.error().message;
    EXPECT_EQ(damage->eroded, 3);
    EXPECT_DOUBLE_EQ(damage->invented, 0.25);
    EXPECT_EQ(damage->missing, 0);
    EXPECT_EQ(damage->describe(), "false=0.25,eroded=3");
    EXPECT_FALSE(maskDamageOf({})->any());
    for (const char* text : {"eroded", "eroded=", "eroded=1.5", "eroded=65", "missing=1.1",
                             "missing=-1", "false=1", "blurred=2", "missing=0.5x", "missing=nan"})
        EXPECT_FALSE(maskDamageOf({text})) << text;
}

} // namespace
} // namespace loftscope
