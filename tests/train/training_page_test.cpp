// SPDX-License-Identifier: Apache-2.0
// The page of curves: one chart per quantity, right ends, no reference to anything outside.
#include "core/train/training_page.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

std::size_t countOf(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

TEST(TrainingPage, HasAChartForEveryQuantityOfTheLog) {
    const std::string page = trainingPage("{\"step\":1,\"seconds\":2,\"total\":4,\"tv\":1}\nhalf a "
                                          "li\n{\"step\":2,\"seconds\":3,\"total\":2,\"tv\":1}\n",
                                          "stage=1 <b>");
    EXPECT_EQ(countOf(page, "<figure>"), 2U);
    EXPECT_NE(page.find("total: last 2<"), std::string::npos);
    // Falls from the top left to the bottom right.
    EXPECT_NE(page.find("0.0,0.0 640.0,200.0"), std::string::npos);
    EXPECT_NE(page.find("stage=1 &lt;b&gt;"), std::string::npos);
    EXPECT_EQ(page.find("http"), std::string::npos);
}

TEST(TrainingPage, AveragesLongRunsAndUsesALogarithmWhereValuesSpanMuch) {
    std::string log;
    for (int step = 1; step <= 4000; ++step)
        log += "{\"step\":" + std::to_string(step) + ",\"total\":" + std::to_string(4000.0 / step) +
               "}\n";
    const std::string page = trainingPage(log, "");
    EXPECT_NE(page.find("(logarithmic)"), std::string::npos);
    EXPECT_LT(page.size(), 12000U);
    EXPECT_EQ(countOf(trainingPage("", ""), "<figure>"), 0U);
}

} // namespace
} // namespace loftscope
