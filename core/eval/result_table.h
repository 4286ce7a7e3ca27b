// SPDX-License-Identifier: Apache-2.0
// Results as a table: for people, for papers.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace loftscope {

enum class Better { Higher, Lower, Neither };

struct ResultColumn {
    std::string title; ///< e.g. "mIoU"
    int decimals = 1;
    Better better = Better::Higher;
};

struct ResultRow {
    std::string title;
    std::vector<std::optional<double>> values; ///< one per column
};

struct ResultTable {
    std::string caption; ///< what was measured, on what, in one sentence
    std::string rowTitle = "method";
    std::vector<ResultColumn> columns;
    std::vector<ResultRow> rows;
};

/// A Markdown table, its columns aligned so that it reads well as plain text. Missing values are
/// "-".
std::string markdownOf(const ResultTable& table);

/// A LaTeX table for the package booktabs; the best value of each column is bold.
std::string latexOf(const ResultTable& table);

} // namespace loftscope
