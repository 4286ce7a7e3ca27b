// SPDX-License-Identifier: Apache-2.0
// loftscope eval: how good upsampled features are, measured on annotated pictures.
#include "app/commands.h"
#include "app/eval_options.h"
#include "app/scene_options.h"
#include "core/base/file.h"
#include "core/figure/evaluation_chart.h"
#include "ui/figure/bar_chart_painter.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>

namespace loftscope::app {

namespace {

Result<void> writeText(const std::filesystem::path& path, const std::string& text) {
    return writeFile(path, std::as_bytes(std::span(text)));
}

} // namespace

void addEvalOptions(CLI::App& command, EvalOptions& options, const std::string& dataHelp) {
    std::string names = "lowres (no upsampling)";
    for (const UpsamplerMethod& known : upsamplerMethods())
        names += fmt::format(", {}", known.name);
    command.add_option("--backbone,-b", options.backbone, "Backbone checkpoint")->required();
    command
        .add_option("--upsampler,-u", options.upsamplers,
                    "METHOD, METHOD=WEIGHTS or NAME:METHOD=WEIGHTS; several times for several; "
                    "gains are over the first. Methods: " +
                        names)
        ->capture_default_str();
    command.add_option("--data,-d", options.data, dataHelp)->required();
    command.add_option("--tile", options.tile, "Side of the tiles that are computed at once")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command.add_option("--seed", options.seed, "Of every random choice")->capture_default_str();
    command.add_option("--out,-o", options.out,
                       "Folder for results.json, results.md and results.tex; made if missing");
    command.add_option("--latex", options.latex, "File for the main table in LaTeX");
    command.add_option("--chart", options.chart,
                       "File for bars with intervals: .svg, .pdf or .png");
}

Result<EvaluatedModels> loadModels(const EvalOptions& options, CommandContext& context) {
    EvaluatedModels models;
    LOFTSCOPE_TRY(models.device, computeDevice(context));
    LOFTSCOPE_TRY(models.methods, evaluatedMethods(options.upsamplers, models.device,
                                                   precisionOf(context.options), context.run));
    LOFTSCOPE_TRY(models.backbone, loadBackbone(options.backbone, models.device, {}, context.run));
    context.result["program"] = "loftscope " LOFTSCOPE_VERSION;
    context.result["models"].push_back(modelJson(models.backbone.provenance));
    for (const std::string& warning : models.backbone.warnings)
        context.warn(warning);
    for (const EvaluatedMethod& method : models.methods) {
        for (const std::string& warning : method.warnings)
            context.warn(warning);
        if (!method.provenance) continue;
        auto json = modelJson(*method.provenance);
        json["method"] = method.name;
        context.result["models"].push_back(std::move(json));
    }
    context.result["seed"] = options.seed;
    context.result["precision"] = context.options.precision;
    return models;
}

Result<void> finishEval(const EvalOptions& options, const std::vector<ResultTable>& tables,
                        CommandContext& context) {
    context.result["caption"] = tables.front().caption;
    const std::string json =
        context.result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    std::string markdown;
    std::string latex;
    for (const ResultTable& table : tables) {
        markdown += table.caption + "\n\n" + markdownOf(table) + "\n";
        latex += latexOf(table) + "\n";
    }
    context.text = markdown;
    if (!options.out.empty()) {
        const std::filesystem::path folder = options.out;
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (error)
            return fail(ErrorCode::WriteFailed, fmt::format("The folder '{}' cannot be made: {}.",
                                                            folder.string(), error.message()));
        LOFTSCOPE_CHECK(writeText(folder / "results.json", json));
        LOFTSCOPE_CHECK(writeText(folder / "results.md", markdown));
        LOFTSCOPE_CHECK(writeText(folder / "results.tex", latex));
    }
    if (!options.chart.empty()) {
        LOFTSCOPE_TRY(const EvaluationChart chart, evaluationChartOf(json, options.chart));
        LOFTSCOPE_CHECK(writeBarChart(chart, options.chart));
    }
    if (!options.latex.empty()) LOFTSCOPE_CHECK(writeText(options.latex, latexOf(tables.front())));
    return {};
}

nlohmann::ordered_json intervalJson(const Interval& interval, double factor) {
    return {interval.low * factor, interval.high * factor};
}

void addGain(nlohmann::ordered_json& entry, ResultRow& row, const std::optional<double>& gain,
             const Interval& interval) {
    if (!gain) return;
    entry["gain"] = *gain * 100;
    entry["gain_interval"] = intervalJson(interval);
    row.values[3] = *gain * 100;
    row.values[4] = interval.low * 100;
    row.values[5] = interval.high * 100;
}

void addEvalCommand(CommandLine& line) {
    auto commands = std::make_shared<std::vector<EvalCommand>>();
    CLI::App* eval =
        line.add("eval", "Measures upsamplers on annotated pictures",
                 [commands](CommandContext& context) -> Result<void> {
                     const auto chosen = std::ranges::find_if(
                         *commands, [](const EvalCommand& each) { return each.parser->parsed(); });
                     return chosen->body(context);
                 });
    eval->require_subcommand(1);
    *commands = {addSegmentationEval(*eval), addVideoEval(*eval), addContourEval(*eval),
                 addKnnEval(*eval)};
    for (const EvalCommand& command : *commands)
        command.parser->fallthrough();
}

} // namespace loftscope::app
