// SPDX-License-Identifier: Apache-2.0
#include "ui/render/map_buffer.h"

#include <gtest/gtest.h>

#include <numeric>

namespace loftscope {
namespace {

std::vector<float> counting(std::size_t count, float from = 1) {
    std::vector<float> values(count);
    std::iota(values.begin(), values.end(), from);
    return values;
}

TEST(MapBuffer, TilesLandWhereTheyBelongInEveryChannel) {
    MapBuffer map(2, {4, 6}, {2, 3});
    ASSERT_TRUE(map.put({3, 2, 3, 2}, counting(12)));
    EXPECT_EQ(map.at(0, {3, 2}), 1);
    EXPECT_EQ(map.at(0, {5, 3}), 6);
    EXPECT_EQ(map.at(1, {3, 2}), 7);
    EXPECT_EQ(map.at(1, {5, 3}), 12);
    EXPECT_TRUE(map.covered({3, 2}));
    EXPECT_FALSE(map.covered({2, 2}));
    EXPECT_FALSE(map.covered({3, 1}));
    EXPECT_DOUBLE_EQ(map.coveredFraction(), 0.25);
}

TEST(MapBuffer, IsCompleteOnceEveryPixelHasArrivedAlsoWithOverlaps) {
    MapBuffer map(1, {2, 4});
    ASSERT_TRUE(map.put({0, 0, 3, 2}, counting(6)));
    EXPECT_FALSE(map.complete());
    ASSERT_TRUE(map.put({1, 0, 2, 2}, counting(4)));
    EXPECT_FALSE(map.complete());
    ASSERT_TRUE(map.put({3, 0, 1, 2}, counting(2)));
    EXPECT_TRUE(map.complete());
}

TEST(MapBuffer, AFirstLookFillsWhatHasNotArrived) {
    MapBuffer map(1, {4, 5}, {2, 3});
    ASSERT_TRUE(map.put({0, 0, 1, 1}, counting(1, 50)));
    EXPECT_FALSE(map.fill(2, {2, 2}, counting(4))) << "a row of 5 has 3 every second pixel";
    ASSERT_TRUE(map.fill(2, {2, 3}, counting(6)));
    EXPECT_TRUE(map.covered({4, 3}));
    EXPECT_FALSE(map.complete()) << "most pixels show a neighbour's value";
    EXPECT_DOUBLE_EQ(map.coveredFraction(), 0.05);
    EXPECT_EQ(map.at(0, {0, 0}), 50);
    EXPECT_EQ(map.at(0, {1, 1}), 1);
    EXPECT_EQ(map.at(0, {4, 1}), 3);
    EXPECT_EQ(map.at(0, {4, 3}), 6);
    EXPECT_EQ(map.changesSince(1).front(), (Rect{0, 0, 5, 4}));
    ASSERT_TRUE(map.put({0, 0, 5, 4}, counting(20)));
    EXPECT_TRUE(map.complete());
}

TEST(MapBuffer, RefusesWhatDoesNotFitAndChangesNothing) {
    MapBuffer map(2, {4, 4});
    EXPECT_FALSE(map.put({3, 0, 2, 1}, counting(4))) << "reaches out";
    EXPECT_FALSE(map.put({-1, 0, 2, 1}, counting(4)));
    EXPECT_FALSE(map.put({0, 0, 0, 4}, {}));
    EXPECT_FALSE(map.put({0, 0, 2, 2}, counting(4))) << "values of one channel only";
    EXPECT_EQ(map.revision(), 0U);
    EXPECT_DOUBLE_EQ(map.coveredFraction(), 0);
}

TEST(MapBuffer, NamesWhatChangedSinceARevision) {
    MapBuffer map(1, {4, 4});
    map.put({0, 0, 2, 2}, counting(4));
    const std::size_t seen = map.revision();
    map.put({2, 2, 2, 2}, counting(4));
    map.put({0, 2, 2, 2}, counting(4));
    const auto changes = map.changesSince(seen);
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_EQ(changes[0], (Rect{2, 2, 2, 2}));
    EXPECT_EQ(changes[1], (Rect{0, 2, 2, 2}));
    EXPECT_TRUE(map.changesSince(map.revision()).empty());
}

TEST(MapBuffer, WholeIsComplete) {
    const auto map = MapBuffer::whole(2, {1, 3}, counting(6));
    EXPECT_TRUE(map->complete());
    EXPECT_EQ(map->at(1, {2, 0}), 6);
}

} // namespace
} // namespace loftscope
