// SPDX-License-Identifier: Apache-2.0
#include "core/eval/contour_matching.h"
#include "core/eval/feature_contours.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>

namespace loftscope {
namespace {

ObjectMask maskOf(const std::vector<std::string>& rows) {
    ObjectMask mask{
        {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows.front().size())},
        {}};
    for (const std::string& row : rows)
        for (const char letter : row)
            mask.inside.push_back(letter == '#' ? 1 : 0);
    return mask;
}

std::vector<std::string> rowsOf(const ObjectMask& mask) {
    std::vector<std::string> rows(static_cast<std::size_t>(mask.extent.height));
    for (std::size_t i = 0; i < mask.inside.size(); ++i)
        rows[i / static_cast<std::size_t>(mask.extent.width)] += mask.inside[i] != 0 ? '#' : '.';
    return rows;
}

TEST(Contours, ThinningLeavesOnePixelLines) {
    const ObjectMask thin = thinned(maskOf({".........", //
                                            ".#######.", //
                                            ".#######.", //
                                            ".#######.", //
                                            "........."}));
    EXPECT_EQ(rowsOf(thin)[1], ".........");
    EXPECT_NE(rowsOf(thin)[2].find("####"), std::string::npos);
    EXPECT_EQ(rowsOf(thin)[3], ".........");
    const std::vector<std::string> line{".....", "..#..", "..#..", "..#..", "....."};
    EXPECT_EQ(rowsOf(thinned(maskOf(line))), line);
}

TEST(Contours, OfSegmentsLieBetweenThem) {
    const std::vector<std::uint8_t> labels{3, 3, 7, 7, //
                                           3, 3, 7, 7, //
                                           3, 3, 7, 7};
    EXPECT_EQ(rowsOf(contoursOfSegments({3, 4}, labels)),
              (std::vector<std::string>{".#..", ".#..", ".#.."}));
}

TEST(ContourMatching, PairsWithinTheTolerance) {
    ObjectMask drawn{{20, 20}, std::vector<std::uint8_t>(400, 0)};
    for (std::size_t y = 0; y < 20; ++y)
        drawn.inside[y * 20 + 10] = 1;
    for (const auto& [column, pairs] : {std::pair{10, 20}, {12, 20}, {13, 0}}) {
        ContourMatching matching(drawn, 2.5);
        std::vector<Pixel> found;
        for (std::int64_t y = 0; y < 20; ++y)
            found.push_back({column, y});
        matching.add(found);
        EXPECT_EQ(matching.pairs(), pairs) << "column " << column;
    }
}

TEST(ContourMatching, IsOneToOne) {
    // Two found pixels near one drawn one: only one of them is right.
    ObjectMask drawn = maskOf({".....", "..#..", "....."});
    ContourMatching matching(drawn, 1.5);
    matching.add(std::vector<Pixel>{{1, 1}, {3, 1}});
    EXPECT_EQ(matching.pairs(), 1);
    EXPECT_NE(matching.paired(0), matching.paired(1));
}

TEST(ContourMatching, FindsTheLargestPairing) {
    // Nearest first would give drawn 2 to found 2 (distance 0) and leave found 3 (which reaches
    // drawn 2 alone) without; only a detour pairs all three: 3-2, 2-1, 1-0.
    ObjectMask drawn = maskOf({"###....."});
    ContourMatching matching(drawn, 1.0);
    matching.add(std::vector<Pixel>{{2, 0}, {1, 0}, {3, 0}});
    EXPECT_EQ(matching.pairs(), 3);
}

/// All ways of pairing, one by one.
std::int64_t bestByTrying(const std::vector<Pixel>& found, const std::vector<Pixel>& drawn,
                          double tolerance, std::size_t i, std::vector<bool>& used) {
    if (i == found.size()) return 0;
    std::int64_t best = bestByTrying(found, drawn, tolerance, i + 1, used);
    for (std::size_t j = 0; j < drawn.size(); ++j) {
        const auto dx = static_cast<double>(found[i].x - drawn[j].x);
        const auto dy = static_cast<double>(found[i].y - drawn[j].y);
        if (used[j] || dx * dx + dy * dy > tolerance * tolerance) continue;
        used[j] = true;
        best = std::max(best, 1 + bestByTrying(found, drawn, tolerance, i + 1, used));
        used[j] = false;
    }
    return best;
}

TEST(ContourMatching, AgreesWithTryingAllPairings) {
    std::uint32_t state = 1;
    const auto random = [&](std::uint32_t count) {
        state = state * 1664525U + 1013904223U;
        return static_cast<std::int64_t>((state >> 8U) % count);
    };
    for (int round = 0; round < 200; ++round) {
        ObjectMask mask{{6, 7}, std::vector<std::uint8_t>(42, 0)};
        std::vector<Pixel> drawn;
        std::vector<Pixel> found;
        for (std::int64_t i = 0; i < 42; ++i) {
            if (random(6) == 0 && drawn.size() < 7) {
                drawn.push_back({i % 7, i / 7});
                mask.inside[static_cast<std::size_t>(i)] = 1;
            }
            if (random(6) == 0 && found.size() < 7) found.push_back({i % 7, i / 7});
        }
        ContourMatching matching(mask, 1.5);
        const std::size_t half = found.size() / 2; // in two instalments
        matching.add(std::span(found).first(half));
        matching.add(std::span(found).subspan(half));
        std::vector<bool> used(drawn.size(), false);
        EXPECT_EQ(matching.pairs(), bestByTrying(found, drawn, 1.5, 0, used));
        std::int64_t paired = 0;
        for (std::size_t i = 0; i < found.size(); ++i)
            paired += matching.paired(i) ? 1 : 0;
        EXPECT_EQ(paired, matching.pairs());
    }
}

TEST(ContourScores, ByHand) {
    // Two pictures, two thresholds. Sums: 0.5 precision and 0.25 recall (F 1/3), then 0.4 and 0.8
    // (F 8/15). Own thresholds: 2nd for the first picture, 1st for the other one.
    const ContourCounts a0{1, 1, 1, 10};
    const ContourCounts a1{6, 10, 10, 10};
    const ContourCounts b0{4, 9, 4, 10};
    const ContourCounts b1{6, 20, 6, 10};
    const std::vector<std::vector<ContourCounts>> counts{{a0, a1}, {b0, b1}};
    const ContourScores scores = contourScores(counts, std::array<std::int64_t, 2>{1, 1});
    const auto f = [](double p, double r) { return 2 * p * r / (p + r); };
    EXPECT_DOUBLE_EQ(scores.ods, f(12.0 / 30, 16.0 / 20));
    EXPECT_EQ(scores.odsThreshold, 1U);
    EXPECT_DOUBLE_EQ(scores.ois, f(10.0 / 19, 14.0 / 20));
    // Precision falls from .5 at recall .25 to .4 at recall .8; 0 outside: 56 samples.
    double area = 0;
    for (int i = 25; i <= 80; ++i)
        area += (0.5 - 0.1 * (i / 100.0 - 0.25) / 0.55) / 100;
    EXPECT_NEAR(scores.averagePrecision, area, 1e-9);
    EXPECT_DOUBLE_EQ(contourScores(counts, std::array<std::int64_t, 2>{0, 2}).ods,
                     f(8.0 / 18, 8.0 / 20));
}

TEST(FeatureContours, FollowTheEdgesOfAnyChannel) {
    // A step between columns 11 and 12 in one channel, one between rows 5 and 6 in another.
    at::Tensor map = at::zeros({3, 20, 24});
    map[0].slice(1, 12).fill_(2);
    map[2].slice(0, 6).fill_(1);
    const std::vector<ContourPixel> contours = featureContours(map, 1.0);
    int vertical = 0;
    int horizontal = 0;
    for (const ContourPixel& contour : contours) {
        const bool onVertical = std::abs(static_cast<double>(contour.pixel.x) - 11.5) < 1;
        const bool onHorizontal = std::abs(static_cast<double>(contour.pixel.y) - 5.5) < 1;
        const bool corner = std::abs(static_cast<double>(contour.pixel.x) - 11.5) < 5 &&
                            std::abs(static_cast<double>(contour.pixel.y) - 5.5) < 5;
        if (corner || contour.strength < 0.05F) continue;
        EXPECT_TRUE(onVertical || onHorizontal) << contour.pixel.x << ", " << contour.pixel.y;
        vertical += onVertical ? 1 : 0;
        horizontal += onHorizontal ? 1 : 0;
        // Half a pixel off the middle of the step the sampled kernel answers 0.365 to a height
        // of 1.
        EXPECT_NEAR(contour.strength, onVertical ? 2 * 0.365F : 0.365F, 0.005F);
    }
    EXPECT_EQ(vertical, 10) << "one pixel a row: 0 and 11 to 19";
    EXPECT_EQ(horizontal, 14) << "one pixel a column: 0 to 6 and 17 to 23";
}

TEST(FeatureContours, AConstantMapHasNone) {
    EXPECT_TRUE(featureContours(at::zeros({2, 8, 9}) + 3, 1.5).empty());
}

} // namespace
} // namespace loftscope
