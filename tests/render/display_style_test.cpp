// SPDX-License-Identifier: Apache-2.0
#include "ui/render/display_style.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace loftscope {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

ScoreStyle unitStyle() {
    ScoreStyle style;
    style.ranges = {ValueRange{-1, 1}, ValueRange{0, 2}, ValueRange{10, 20}};
    return style;
}

TEST(ScoreColors, RangesMapToZeroAndOneAndClamp) {
    const ScoreStyle style = unitStyle();
    EXPECT_EQ(colorOf(style, std::array{-1.0F, 1.0F, 20.0F}), (Rgb{0, 0.5F, 1}));
    EXPECT_EQ(colorOf(style, std::array{-9.0F, 9.0F, 15.0F}), (Rgb{0, 1, 0.5F}));
}

TEST(ScoreColors, AFlipMirrorsTheColourWithoutTouchingTheRange) {
    ScoreStyle style = unitStyle();
    const std::array scores{0.5F, 0.25F, 12.0F};
    const Rgb plain = colorOf(style, scores);
    style.flipped = {true, true, true};
    const Rgb flipped = colorOf(style, scores);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_NEAR(flipped[i], 1 - plain[i], 1e-6);
}

TEST(ScoreColors, ComponentsAreChosenFreely) {
    ScoreStyle style;
    style.components = {3, 0, 99};
    style.ranges = {ValueRange{0, 10}, ValueRange{0, 10}, ValueRange{0, 10}};
    EXPECT_EQ(colorOf(style, std::array{1.0F, 2.0F, 3.0F, 4.0F, 5.0F}), (Rgb{0.4F, 0.1F, 0.5F}));
}

TEST(ScoreColors, SigmoidIsTheLogisticOfTwiceTheWhitenedScore) {
    ScoreStyle style;
    style.scaling = ScoreScaling::Sigmoid;
    style.whitening = {0.5F, 1, 1};
    style.flipped = {false, true, false};
    const Rgb color = colorOf(style, std::array{3.0F, 1.0F, 0.0F});
    EXPECT_NEAR(color[0], 1 / (1 + std::exp(-3.0)), 1e-6);
    EXPECT_NEAR(color[1], 1 / (1 + std::exp(2.0)), 1e-6);
    EXPECT_NEAR(color[2], 0.5, 1e-6);
}

TEST(ScoreColors, MaskBlackensBackgroundOnEitherSide) {
    ScoreStyle style = unitStyle();
    style.mask = {true, 1, 0.5F, true};
    const std::array below{0.0F, 0.4F, 15.0F};
    EXPECT_EQ(colorOf(style, below), (Rgb{0, 0, 0}));
    style.mask.keepAbove = false;
    EXPECT_NE(colorOf(style, below), (Rgb{0, 0, 0}));
}

TEST(ScoreColors, NotANumberAndFlatRangesAreGrey) {
    ScoreStyle style = unitStyle();
    EXPECT_EQ(colorOf(style, std::array{nan, 1.0F, 15.0F}), (Rgb{0.5F, 0.5F, 0.5F}));
    style.ranges = {ValueRange{2, 2}, ValueRange{2, 2}, ValueRange{2, 2}};
    EXPECT_EQ(colorOf(style, std::array{2.0F, 2.0F, 2.0F}), (Rgb{0.5F, 0.5F, 0.5F}));
}

TEST(ScalarColors, EndsOfTheRangeAreEndsOfTheMap) {
    ScalarStyle style;
    style.range = {-2, 6};
    for (const ColorMap map : allColorMaps()) {
        style.map = map;
        for (const auto& [value, t] : {std::pair{-2.0F, 0.0F}, {6.0F, 1.0F}, {2.0F, 0.5F}}) {
            const auto bytes = colorAt(map, t);
            EXPECT_FLOAT_EQ(colorOf(style, value)[1], static_cast<float>(bytes[1]) / 255);
        }
    }
}

TEST(SymmetricRange, ReachesTheFartherEndOnBothSides) {
    EXPECT_EQ(symmetric({-0.25F, 4}), (ValueRange{-4, 4}));
    EXPECT_EQ(symmetric({-3, 1}), (ValueRange{-3, 3}));
}

TEST(PercentileRange, InterpolatesBetweenValues) {
    std::vector<float> values{5, 1, 4, 2, 3};
    const auto map = MapBuffer::whole(1, {1, 5}, values);
    EXPECT_EQ(percentileRange(*map, 0, 0, 100), (ValueRange{1, 5}));
    EXPECT_EQ(percentileRange(*map, 0, 25, 75), (ValueRange{2, 4}));
    const ValueRange between = percentileRange(*map, 0, 10, 90);
    EXPECT_NEAR(between.low, 1.4, 1e-6);
    EXPECT_NEAR(between.high, 4.6, 1e-6);
}

TEST(PercentileRange, LeavesOutWhatIsNotFiniteOrHasNotArrived) {
    MapBuffer map(1, {1, 6});
    map.put({0, 0, 4, 1}, std::array{2.0F, nan, 4.0F, std::numeric_limits<float>::infinity()});
    EXPECT_EQ(percentileRange(map, 0, 0, 100), (ValueRange{2, 4}));
    EXPECT_EQ(percentileRange(MapBuffer(1, {2, 2}), 0, 1, 99), (ValueRange{0, 0}));
}

TEST(PercentileRange, SamplesLargeMapsInEveryColumn) {
    // 1024 columns: a step that divides the width would see only some of them.
    const Extent extent{1024, 1024};
    std::vector<float> values(static_cast<std::size_t>(extent.area()));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(i % 1024);
    const ValueRange range = percentileRange(*MapBuffer::whole(1, extent, values), 0, 25, 75);
    EXPECT_NEAR(range.low, 255.75, 2);
    EXPECT_NEAR(range.high, 767.25, 2);
}

TEST(HistogramOfMap, CountsEveryValueOnce) {
    const auto map = MapBuffer::whole(1, {2, 4}, {0, 0, 1, 2, 3, 4, 4, nan});
    const Histogram histogram = histogramOf(*map, 0, 4);
    EXPECT_EQ(histogram.range, (ValueRange{0, 4}));
    EXPECT_EQ(histogram.bins, (std::vector<std::uint32_t>{2, 1, 1, 3}));
    const auto flat = MapBuffer::whole(1, {1, 3}, {7, 7, 7});
    EXPECT_EQ(histogramOf(*flat, 0, 4).bins, (std::vector<std::uint32_t>{3, 0, 0, 0}));
}

} // namespace
} // namespace loftscope
