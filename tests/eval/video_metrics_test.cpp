// SPDX-License-Identifier: Apache-2.0
#include "core/eval/video_metrics.h"

#include <gtest/gtest.h>

#include <functional>

namespace loftscope {
namespace {

ObjectMask maskWhere(const Extent& extent,
                     const std::function<bool(std::int64_t x, std::int64_t y)>& inside) {
    ObjectMask mask{extent, {}};
    for (std::int64_t y = 0; y < extent.height; ++y)
        for (std::int64_t x = 0; x < extent.width; ++x)
            mask.inside.push_back(inside(x, y) ? 1 : 0);
    return mask;
}

ObjectMask square(const Extent& extent, std::int64_t left, std::int64_t top, std::int64_t side) {
    return maskWhere(extent, [=](std::int64_t x, std::int64_t y) {
        return x >= left && x < left + side && y >= top && y < top + side;
    });
}

TEST(VideoMetrics, RegionSimilarityByHand) {
    const Extent extent{10, 10};
    // 4 x 4 squares one pixel apart: 12 in common, 20 together.
    EXPECT_DOUBLE_EQ(regionSimilarity(square(extent, 2, 2, 4), square(extent, 3, 2, 4)), 0.6);
    EXPECT_DOUBLE_EQ(regionSimilarity(square(extent, 0, 0, 2), square(extent, 5, 5, 2)), 0);
    EXPECT_DOUBLE_EQ(regionSimilarity(square(extent, 0, 0, 0), square(extent, 0, 0, 0)), 1);
}

TEST(VideoMetrics, BoundaryIsWhereRightLowerOrDiagonalNeighbourDiffers) {
    const ObjectMask point = boundaryOf(square({5, 5}, 2, 2, 1));
    EXPECT_EQ(point.inside, maskWhere({5, 5}, [](std::int64_t x, std::int64_t y) {
                                return x >= 1 && x <= 2 && y >= 1 && y <= 2;
                            }).inside);
    // On the last row only the right neighbour counts, in the last column only the lower one, and
    // the last corner is never a boundary.
    const ObjectMask corner = boundaryOf(square({3, 3}, 2, 2, 1));
    EXPECT_EQ(corner.inside, (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 1, 0, 1, 0}));
}

TEST(VideoMetrics, BoundaryMeasureForgivesWithinTheTolerance) {
    // 100 x 100: 0.008 of the diagonal is 1.13, rounded up to 2 pixels.
    const Extent extent{100, 100};
    const auto leftOf = [&](std::int64_t edge) {
        return maskWhere(extent, [=](std::int64_t x, std::int64_t) { return x < edge; });
    };
    EXPECT_DOUBLE_EQ(boundaryMeasure(leftOf(50), leftOf(50)), 1);
    EXPECT_DOUBLE_EQ(boundaryMeasure(leftOf(52), leftOf(50)), 1);
    EXPECT_DOUBLE_EQ(boundaryMeasure(leftOf(53), leftOf(50)), 0);
}

TEST(VideoMetrics, BoundaryMeasureIsTheHarmonicMeanOfPrecisionAndRecall) {
    // Two vertical edges are predicted, one of them is true: precision 1/2, recall 1.
    const Extent extent{100, 100};
    const ObjectMask stripe =
        maskWhere(extent, [](std::int64_t x, std::int64_t) { return x >= 30 && x < 60; });
    const ObjectMask half = maskWhere(extent, [](std::int64_t x, std::int64_t) { return x >= 30; });
    EXPECT_DOUBLE_EQ(boundaryMeasure(stripe, half), 2.0 / 3.0);
    EXPECT_DOUBLE_EQ(boundaryMeasure(half, stripe), 2.0 / 3.0);
}

TEST(VideoMetrics, BoundaryMeasureOfEmptyMasks) {
    const Extent extent{20, 20};
    const ObjectMask nothing = square(extent, 0, 0, 0);
    EXPECT_DOUBLE_EQ(boundaryMeasure(nothing, nothing), 1);
    EXPECT_DOUBLE_EQ(boundaryMeasure(nothing, square(extent, 5, 5, 5)), 0);
    EXPECT_DOUBLE_EQ(boundaryMeasure(square(extent, 5, 5, 5), nothing), 0);
}

TEST(VideoMetrics, StatisticsOfAClip) {
    // Bins of 8 frames end at 1, 2.75, 4.5, 6.25, 8, rounded to 1, 3, 5, 6, 8 (a half goes up by
    // the toolkit's 1e-10), counted from 1 and both ends included: the first bin is frames 1-3,
    // the last one 6-8.
    const std::vector<double> values{1.0, 0.8, 0.9, 0.5, 0.4, 0.6, 0.2, 0.1};
    const ClipStatistics statistics = clipStatistics(values);
    EXPECT_DOUBLE_EQ(statistics.mean, 4.5 / 8);
    EXPECT_DOUBLE_EQ(statistics.recall, 4.0 / 8);
    EXPECT_NEAR(statistics.decay, 0.9 - 0.3, 1e-12);
    EXPECT_DOUBLE_EQ(clipStatistics(std::vector<double>{0.7}).decay, 0);
}

} // namespace
} // namespace loftscope
