// SPDX-License-Identifier: Apache-2.0
#include "core/figure/evaluation_chart.h"

#include "core/base/file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace loftscope {

namespace {

using Json = nlohmann::json;

struct Measure {
    std::string_view evaluation;
    const char* key;
    const char* title;
};

constexpr std::array<Measure, 4> measures{
    {{"segmentation", "mean_iou", "mIoU of a linear probe, per cent"},
     {"video", "j_and_f", "J&F of label propagation, per cent"},
     {"contours", "ods", "ODS F against human contours, per cent"},
     {"knn", "accuracy", "accuracy of nearest neighbours, per cent"}}};

ChartInterval intervalOf(const Json& pair) {
    return {pair.at(0).get<double>(), pair.at(1).get<double>()};
}

ChartBar barOf(const Json& result, const Measure& measure) {
    ChartBar bar;
    bar.title = result.at("method").get<std::string>();
    bar.value = result.at(measure.key).get<double>();
    bar.interval = intervalOf(result.at(std::string(measure.key) + "_interval"));
    if (result.contains("gain")) {
        bar.gain = result.at("gain").get<double>();
        bar.gainInterval = intervalOf(result.at("gain_interval"));
    }
    return bar;
}

} // namespace

Result<EvaluationChart> evaluationChartOf(std::string_view text, const std::string& name) {
    const auto wrong = [&](std::string_view why) {
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' is no result of `loftscope eval` ({}): choose the "
                                "results.json that its --out wrote.",
                                name, why));
    };
    const Json root = Json::parse(text, nullptr, false);
    if (root.is_discarded() || !root.is_object()) return wrong("not JSON");
    try {
        EvaluationChart chart;
        chart.evaluation = root.at("evaluation").get<std::string>();
        const auto measure =
            std::ranges::find(measures, std::string_view(chart.evaluation), &Measure::evaluation);
        if (measure == measures.end()) return wrong("an evaluation that is not known here");
        chart.measure = measure->title;
        chart.caption = root.value("caption", "");
        for (const Json& result : root.at("results"))
            chart.bars.push_back(barOf(result, *measure));
        if (chart.bars.empty()) return wrong("it has no methods");
        return chart;
    } catch (const Json::exception&) {
        return wrong("something is missing or of another kind");
    }
}

Result<EvaluationChart> readEvaluationChart(const std::filesystem::path& path) {
    LOFTSCOPE_TRY(const std::vector<std::byte> bytes, readFile(path));
    return evaluationChartOf({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                             path.string());
}

} // namespace loftscope
