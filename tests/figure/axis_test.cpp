// SPDX-License-Identifier: Apache-2.0
#include "core/figure/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace loftscope {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> labels(const Axis& axis) {
    std::vector<std::string> texts;
    for (const Tick& tick : axis.ticks)
        texts.push_back(tick.label);
    return texts;
}

TEST(NiceAxis, ChoosesRoundNumbers) {
    EXPECT_THAT(labels(niceAxis(0, 1)), ElementsAre("0.00", "0.25", "0.50", "0.75", "1.00"));
    EXPECT_THAT(labels(niceAxis(-0.21, 1)), ElementsAre("0.00", "0.25", "0.50", "0.75", "1.00"));
    EXPECT_THAT(labels(niceAxis(0, 0.0137)), ElementsAre("0.000", "0.005", "0.010"));
    EXPECT_THAT(labels(niceAxis(-1, 1)), ElementsAre("−1.0", "−0.5", "0.0", "0.5", "1.0"));
    EXPECT_THAT(labels(niceAxis(3, 38)), ElementsAre("10", "20", "30"));
    EXPECT_THAT(labels(niceAxis(12.2, 12.3)),
                ElementsAre("12.200", "12.225", "12.250", "12.275", "12.300"));
}

TEST(NiceAxis, TakesPowersOfTenOutOfSmallAndLargeNumbers) {
    const Axis small = niceAxis(0, 2.3e-6);
    EXPECT_EQ(small.factor, "×10⁻⁶");
    EXPECT_THAT(labels(small), ElementsAre("0.0", "0.5", "1.0", "1.5", "2.0"));
    EXPECT_NEAR(small.ticks[1].value, 0.5e-6, 1e-12);
    const Axis large = niceAxis(0, 4.0e7);
    EXPECT_EQ(large.factor, "×10⁶");
    EXPECT_THAT(labels(large), ElementsAre("0", "10", "20", "30", "40"));
    EXPECT_THAT(niceAxis(0, 0.01).factor, IsEmpty());
}

TEST(NiceAxis, GivesAConstantOneTick) {
    EXPECT_THAT(labels(niceAxis(3, 3)), ElementsAre("3"));
    EXPECT_THAT(labels(niceAxis(0, 0)), ElementsAre("0"));
    EXPECT_THAT(labels(niceAxis(-0.125, -0.125)), ElementsAre("−0.125"));
    EXPECT_THAT(labels(niceAxis(1, 1 + 1e-9)), ElementsAre("1"));
}

TEST(NiceAxis, StaysWithinTheRangeAndTheNumberOfTicks) {
    for (const double low : {-1234.5, -1.0, -0.0313, 0.0, 1e-9, 0.7, 99.0})
        for (const double range : {2e-3, 0.017, 0.4, 1.0, 2.6, 33.0, 870.0, 5.5e6})
            for (const int most : {2, 3, 5}) {
                const Axis axis = niceAxis(low, low + range, most);
                ASSERT_GE(axis.ticks.size(), most == 5 ? 3U : 1U) << low << " + " << range;
                EXPECT_LE(axis.ticks.size(), static_cast<std::size_t>(most));
                for (std::size_t i = 0; i < axis.ticks.size(); ++i) {
                    EXPECT_GE(axis.ticks[i].value, low);
                    EXPECT_LE(axis.ticks[i].value, low + range);
                    if (i > 0) {
                        EXPECT_GT(axis.ticks[i].value, axis.ticks[i - 1].value);
                        EXPECT_NE(axis.ticks[i].label, axis.ticks[i - 1].label);
                    }
                }
            }
}

} // namespace
} // namespace loftscope
