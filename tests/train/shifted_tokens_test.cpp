// SPDX-License-Identifier: Apache-2.0
// Tokens of moved views, put together: against one pooling at the finer stride.
#include "core/train/shifted_tokens.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/reflection_pad2d.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

constexpr std::int64_t patch = 8;

at::Tensor patchMeans(const at::Tensor& pictures) {
    return at::avg_pool2d(pictures, {patch, patch});
}

TEST(ShiftedTokens, OfPatchMeansAreMeansAtTheFinerStride) {
    const at::Tensor pictures = at::rand({2, 3, 16, 24});
    for (const std::int64_t shifts : {1, 2, 4}) {
        const at::Tensor tokens = shiftedTokens(pictures, patch, shifts, patchMeans);
        const std::int64_t margin = (patch - patch / shifts) / 2;
        const at::Tensor padded = at::reflection_pad2d(pictures, {margin, margin, margin, margin});
        const at::Tensor expected =
            at::avg_pool2d(padded, {patch, patch}, {patch / shifts, patch / shifts});
        ASSERT_EQ(tokens.sizes(), expected.sizes()) << shifts;
        EXPECT_LT((tokens - expected).abs().max().item<double>(), 1e-6) << shifts;
    }
}

TEST(ShiftedTokens, LieWhereTheFinerMapHasThem) {
    // Columns count up: a token's mean is the place of its centre, away from the border.
    const at::Tensor ramp = at::arange(32, at::kFloat).view({1, 1, 1, 32}).expand({1, 3, 16, 32});
    const at::Tensor tokens = shiftedTokens(ramp.contiguous(), patch, 2, patchMeans);
    for (std::int64_t x = 1; x < 7; ++x) {
        const double centre = (static_cast<double>(x) + 0.5) * patch / 2 - 0.5;
        EXPECT_NEAR(tokens[0][0][0][x].item<double>(), centre, 1e-5) << x;
    }
}

TEST(ShiftedTokens, RefusesMovesOfPartsOfAPixel) {
    EXPECT_TRUE(checkTokenShifts(2, 16));
    EXPECT_TRUE(checkTokenShifts(7, 14));
    EXPECT_FALSE(checkTokenShifts(2, 14)); // by three and a half pixels
    EXPECT_FALSE(checkTokenShifts(3, 16));
    EXPECT_FALSE(checkTokenShifts(0, 16));
}

} // namespace
} // namespace loftscope
