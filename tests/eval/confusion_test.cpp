// SPDX-License-Identifier: Apache-2.0
#include "core/eval/bootstrap.h"
#include "core/eval/confusion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

TEST(Confusion, MeanIoUByHand) {
    // Class 0: 3 of truth 4, predicted 4 -> 3 / 5. Class 1: 1 of truth 2, predicted 2 -> 1 / 3.
    // Class 2 occurs nowhere and does not count; 255 does not count either.
    const at::Tensor truth = at::tensor({0, 0, 0, 0, 1, 1, 255, 255}, at::kByte);
    const at::Tensor guess = at::tensor({0, 0, 0, 1, 1, 0, 0, 1}, at::kByte);
    const at::Tensor confusion = confusionMatrix(truth, guess, 3);
    EXPECT_EQ(confusion.sum().item<std::int64_t>(), 6);
    EXPECT_EQ(confusion[0][1].item<std::int64_t>(), 1);
    const SegmentationScores scores = segmentationScores(confusion);
    EXPECT_DOUBLE_EQ(*scores.classIoU[0], 0.6);
    EXPECT_DOUBLE_EQ(*scores.classIoU[1], 1.0 / 3.0);
    EXPECT_FALSE(scores.classIoU[2]);
    EXPECT_DOUBLE_EQ(scores.meanIoU, (0.6 + 1.0 / 3.0) / 2);
    EXPECT_DOUBLE_EQ(scores.pixelAccuracy, 4.0 / 6.0);
}

TEST(Confusion, AClassThatIsOnlyPredictedCountsAsZero) {
    const SegmentationScores scores = segmentationScores(
        confusionMatrix(at::tensor({0, 0}, at::kByte), at::tensor({0, 1}, at::kByte), 2));
    EXPECT_DOUBLE_EQ(*scores.classIoU[1], 0);
    EXPECT_DOUBLE_EQ(scores.meanIoU, 0.25);
}

TEST(Bootstrap, DrawsAreWithReplacementAndTheSameForASeed) {
    const auto draws = bootstrapDraws(5, 200, 3);
    ASSERT_EQ(draws.size(), 200U);
    bool repeated = false;
    for (const auto& counts : draws) {
        std::int64_t sum = 0;
        for (const std::int64_t count : counts) {
            sum += count;
            repeated = repeated || count > 1;
        }
        EXPECT_EQ(sum, 5);
    }
    EXPECT_TRUE(repeated);
    EXPECT_EQ(draws, bootstrapDraws(5, 200, 3));
    EXPECT_NE(draws, bootstrapDraws(5, 200, 4));
}

TEST(Bootstrap, Middle95LeavesOutTheTails) {
    std::vector<double> values;
    for (int i = 1000; i >= 0; --i)
        values.push_back(i);
    const Interval interval = middle95(values);
    EXPECT_DOUBLE_EQ(interval.low, 25);
    EXPECT_DOUBLE_EQ(interval.high, 975);
}

} // namespace
} // namespace loftscope
