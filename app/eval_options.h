// SPDX-License-Identifier: Apache-2.0
// What the evaluations share: which models take part, where results go.
#pragma once

#include "app/command.h"
#include "core/eval/bootstrap.h"
#include "core/eval/evaluated_method.h"
#include "core/eval/result_table.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <string>
#include <vector>

namespace loftscope::app {

struct EvalOptions {
    std::string backbone;
    std::vector<std::string> upsamplers{"nearest", "bilinear", "bicubic", "jbu"};
    std::string data;
    std::int64_t tile = 64;
    std::uint64_t seed = 0;
    std::string out;
    std::string latex;
    std::string chart;
};

/// --backbone, --upsampler, --data, --tile, --seed, --out, --latex, --chart.
void addEvalOptions(CLI::App& command, EvalOptions& options, const std::string& dataHelp);

struct EvaluatedModels {
    c10::Device device = c10::kCPU;
    LoadedBackbone backbone;
    std::vector<EvaluatedMethod> methods;
};
/// Loads them; warnings go to stderr, models into the result.
Result<EvaluatedModels> loadModels(const EvalOptions& options, CommandContext& context);

/// Puts tables into the result and on the screen, and writes `results.json`, `results.md` and
/// `results.tex` into --out, the first table to --latex and its bars to --chart.
Result<void> finishEval(const EvalOptions& options, const std::vector<ResultTable>& tables,
                        CommandContext& context);

/// [low, high], times `factor`.
nlohmann::ordered_json intervalJson(const Interval& interval, double factor = 100);

/// Puts a gain over the first method into a JSON entry and into the fourth to sixth column of a
/// row, in per cent; nothing for the first method.
void addGain(nlohmann::ordered_json& entry, ResultRow& row, const std::optional<double>& gain,
             const Interval& interval);

/// A sub-command of `eval`.
struct EvalCommand {
    CLI::App* parser = nullptr;
    CommandBody body;
};
EvalCommand addSegmentationEval(CLI::App& eval);
EvalCommand addVideoEval(CLI::App& eval);
EvalCommand addContourEval(CLI::App& eval);
EvalCommand addKnnEval(CLI::App& eval);

} // namespace loftscope::app
