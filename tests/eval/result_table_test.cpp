// SPDX-License-Identifier: Apache-2.0
#include "core/eval/result_table.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

ResultTable example() {
    ResultTable table;
    table.caption = "J&F of 2 clips";
    table.columns = {{"J&F"}, {"decay", 2, Better::Lower}, {"gain", 1, Better::Neither}};
    table.rows = {{"Bilinear", {40.04, 3.5, std::nullopt}}, {"LoftUp_2", {51.26, 7.25, 11.2}}};
    return table;
}

TEST(ResultTable, Markdown) {
    EXPECT_EQ(markdownOf(example()), "| method   |  J&F | decay | gain |\n"
                                     "|----------|-----:|------:|-----:|\n"
                                     "| Bilinear | 40.0 |  3.50 |    - |\n"
                                     "| LoftUp_2 | 51.3 |  7.25 | 11.2 |\n");
}

TEST(ResultTable, LatexMarksTheBestAndEscapes) {
    const std::string text = latexOf(example());
    EXPECT_NE(text.find("\\caption{J\\&F of 2 clips}"), std::string::npos) << text;
    EXPECT_NE(text.find("Bilinear & 40.0 & \\textbf{3.50} & -- \\\\"), std::string::npos) << text;
    EXPECT_NE(text.find("LoftUp\\_2 & \\textbf{51.3} & 7.25 & 11.2 \\\\"), std::string::npos)
        << text;
}

} // namespace
} // namespace loftscope
