// SPDX-License-Identifier: Apache-2.0
// A page that is read without the program: panes that zoom together, picks, numbers, what made
// them.
#pragma once

#include "core/base/error.h"
#include "core/figure/figure_spec.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace loftscope {

struct ReportTable {
    std::string title;
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows;
};

struct ReportPhoto {
    std::string name;
    FigureSpec figure; ///< its panes, markers and notes
    std::vector<ReportTable> tables;
};

struct Report {
    std::string title;
    std::vector<ReportPhoto> photos;
    std::vector<std::pair<std::string, std::string>> made; ///< how: name and value
};

/// Writes one self-contained page: pictures inside, no address of anything outside.
/// Errors: WriteFailed.
Result<void> writeReport(const std::filesystem::path& path, const Report& report);

} // namespace loftscope
