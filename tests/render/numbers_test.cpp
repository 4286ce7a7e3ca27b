// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FormatNumber, FourSignificantDigits) {
    EXPECT_EQ(formatNumber(0.123456), "0.1235");
    EXPECT_EQ(formatNumber(1234.56), "1235");
    EXPECT_EQ(formatNumber(-0.0), "0");
}

TEST(FormatInRange, NumbersOfOnePaneHaveTheSameDecimals) {
    EXPECT_EQ(formatInRange(0.5, 1.5), "0.500");
    EXPECT_EQ(formatInRange(-0.0204, 1.5), "-0.020");
    EXPECT_EQ(formatInRange(-0.0001, 1.5), "0.000");
    EXPECT_EQ(formatInRange(0.0012345, 0.006), "0.00123");
    EXPECT_EQ(formatInRange(41.234, 100), "41.2");
    EXPECT_EQ(formatInRange(128, 0), "128");
}

TEST(Ticks, AreRoundInsideTheRangeAndNotTooMany) {
    EXPECT_THAT(ticksBetween(0, 1, 6),
                ElementsAre(0, DoubleNear(0.2, 1e-9), DoubleNear(0.4, 1e-9), DoubleNear(0.6, 1e-9),
                            DoubleNear(0.8, 1e-9), DoubleNear(1, 1e-9)));
    EXPECT_THAT(ticksBetween(0.14, 0.99, 4),
                ElementsAre(DoubleNear(0.2, 1e-9), DoubleNear(0.4, 1e-9), DoubleNear(0.6, 1e-9),
                            DoubleNear(0.8, 1e-9)));
    EXPECT_THAT(ticksBetween(-3, 3, 5), ElementsAre(-2, 0, 2));
    for (const double high : {0.003, 1.7, 12.0, 95.0, 4e6}) {
        const auto ticks = ticksBetween(-high / 3, high, 5);
        EXPECT_GE(ticks.size(), 2U) << high;
        EXPECT_LE(ticks.size(), 5U) << high;
    }
}

TEST(Ticks, NothingForAFlatRange) {
    EXPECT_THAT(ticksBetween(2, 2, 5), IsEmpty());
    EXPECT_THAT(ticksBetween(3, 2, 5), IsEmpty());
}

TEST(Ticks, TextsHaveTheSameDecimals) {
    EXPECT_THAT(formatTicks({0, 0.2, 0.4}), ElementsAre("0.0", "0.2", "0.4"));
    EXPECT_THAT(formatTicks({0, 500, 1000}), ElementsAre("0", "500", "1000"));
    EXPECT_THAT(formatTicks({0, 2e-5}), ElementsAre("0", "2e-05"));
}

} // namespace
} // namespace loftscope
