// SPDX-License-Identifier: Apache-2.0
#include "core/eval/result_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

std::string cell(const ResultColumn& column, const std::optional<double>& value) {
    return value && std::isfinite(*value) ? fmt::format("{:.{}f}", *value, column.decimals) : "-";
}

/// Letters that LaTeX would take for commands, and dashes for missing values.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char letter : text) {
        switch (letter) {
        case '&':
        case '%':
        case '$':
        case '#':
        case '_':
        case '{':
        case '}':
            result += '\\';
            result += letter;
            break;
        case '~':
            result += "\\textasciitilde{}";
            break;
        case '^':
            result += "\\textasciicircum{}";
            break;
        case '\\':
            result += "\\textbackslash{}";
            break;
        default:
            result += letter;
        }
    }
    return result;
}

/// The best of a column as it is printed, so that equal numbers are all bold.
std::string bestCell(const ResultTable& table, std::size_t c) {
    const ResultColumn& column = table.columns[c];
    std::optional<double> best;
    for (const ResultRow& row : table.rows) {
        const std::optional<double>& value = row.values[c];
        if (!value || !std::isfinite(*value)) continue;
        if (!best || (column.better == Better::Higher ? *value > *best : *value < *best))
            best = value;
    }
    return column.better == Better::Neither || table.rows.size() < 2 ? "" : cell(column, best);
}

} // namespace

std::string markdownOf(const ResultTable& table) {
    std::vector<std::vector<std::string>> lines{{table.rowTitle}};
    for (const ResultColumn& column : table.columns)
        lines.front().push_back(column.title);
    for (const ResultRow& row : table.rows) {
        lines.push_back({row.title});
        for (std::size_t c = 0; c < table.columns.size(); ++c)
            lines.back().push_back(cell(table.columns[c], row.values[c]));
    }
    std::vector<std::size_t> widths(table.columns.size() + 1, 3);
    for (const auto& line : lines)
        for (std::size_t c = 0; c < line.size(); ++c)
            widths[c] = std::max(widths[c], line[c].size());
    std::string text;
    for (std::size_t l = 0; l < lines.size(); ++l) {
        for (std::size_t c = 0; c < lines[l].size(); ++c)
            text += c == 0 ? fmt::format("| {:<{}} |", lines[l][c], widths[c])
                           : fmt::format(" {:>{}} |", lines[l][c], widths[c]);
        text += '\n';
        if (l > 0) continue;
        for (std::size_t c = 0; c < widths.size(); ++c)
            text += c == 0 ? fmt::format("|{:-<{}}|", "", widths[c] + 2)
                           : fmt::format("{:-<{}}:|", "", widths[c] + 1);
        text += '\n';
    }
    return text;
}

std::string latexOf(const ResultTable& table) {
    std::string text = fmt::format("% needs \\usepackage{{booktabs}}\n\\begin{{table}}\n"
                                   "\\centering\n\\caption{{{}}}\n\\begin{{tabular}}{{l{}}}\n"
                                   "\\toprule\n{}",
                                   escaped(table.caption), std::string(table.columns.size(), 'r'),
                                   escaped(table.rowTitle));
    for (const ResultColumn& column : table.columns)
        text += " & " + escaped(column.title);
    text += " \\\\\n\\midrule\n";
    for (const ResultRow& row : table.rows) {
        text += escaped(row.title);
        for (std::size_t c = 0; c < table.columns.size(); ++c) {
            const std::string value = cell(table.columns[c], row.values[c]);
            if (value == "-")
                text += " & --";
            else if (value == bestCell(table, c))
                text += fmt::format(" & \\textbf{{{}}}", value);
            else
                text += " & " + (value.front() == '-' ? "$" + value + "$" : value);
        }
        text += " \\\\\n";
    }
    return text + "\\bottomrule\n\\end{tabular}\n\\end{table}\n";
}

} // namespace loftscope
