// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/seen_part.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

TEST(SeenPart, IsAllOfTheMapUntilTheScreenSaysOtherwise) {
    EXPECT_EQ(seenRect({}, {2160, 3840}), (Rect{0, 0, 3840, 2160}));
    EXPECT_EQ(seenStride({}, {2160, 3840}), 1);
}

TEST(SeenPart, IsRoundedOutwardsAndCutAtTheMapsBorder) {
    EXPECT_EQ(seenRect({0.25, 0.5, 0.501, 1.75}, {100, 200}), (Rect{50, 50, 51, 50}));
    EXPECT_EQ(seenRect({-2, 0, -1, 1}, {100, 200}).area(), 0);
    EXPECT_EQ(seenRect({0.6, 0, 0.4, 1}, {100, 200}).area(), 0) << "nothing, not less than nothing";
}

TEST(SeenPart, AMapFinerThanTheScreenIsComputedAsCoarselyAsThatShows) {
    const Extent map{2160, 3840};
    EXPECT_EQ(seenStride({.screenWidth = 3840}, map), 1);
    EXPECT_EQ(seenStride({.screenWidth = 1000}, map), 1);
    EXPECT_EQ(seenStride({.screenWidth = 960}, map), 4);
    EXPECT_EQ(seenStride({.screenWidth = 300}, map), 8);
    EXPECT_EQ(seenStride({.screenWidth = 20}, map), 16);
}

TEST(CoarseStride, LeavesAFewThousandPixels) {
    EXPECT_EQ(coarseStride({224, 224}), 8);
    EXPECT_EQ(coarseStride({2160, 3840}), 45);
}

} // namespace
} // namespace loftscope
