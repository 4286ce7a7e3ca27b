// SPDX-License-Identifier: Apache-2.0
// What `loftscope eval` found, as bars with intervals.
#pragma once

#include "core/base/error.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

struct ChartInterval {
    double low = 0;
    double high = 0;
};

struct ChartBar {
    std::string title; ///< the method
    double value = 0;
    ChartInterval interval;     ///< 95 %
    std::optional<double> gain; ///< over the first method; the first has none
    std::optional<ChartInterval> gainInterval;
};

struct EvaluationChart {
    std::string evaluation; ///< "segmentation", "video", "contours", "knn"
    std::string measure;    ///< what the bars' length is: "mIoU, per cent"
    std::string caption;    ///< what was measured on what; may be empty
    std::vector<ChartBar> bars;
};

/// The text of a `results.json`. Errors: Malformed, in one sentence that names `name`.
Result<EvaluationChart> evaluationChartOf(std::string_view json, const std::string& name);
/// Errors: those of reading the file and of evaluationChartOf.
Result<EvaluationChart> readEvaluationChart(const std::filesystem::path& path);

} // namespace loftscope
