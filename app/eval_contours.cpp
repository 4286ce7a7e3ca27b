// SPDX-License-Identifier: Apache-2.0
// loftscope eval contours: where features change against where people see contours.
#include "app/eval_options.h"
#include "core/eval/contour_eval.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct ContourEvalCommandOptions {
    EvalOptions common;
    std::string split = "test";
    std::int64_t pictures = 0;
    ContourOptions evaluation;
};

Result<void> runContourEval(const ContourEvalCommandOptions& options, CommandContext& context) {
    ContourOptions evaluation = options.evaluation;
    evaluation.tile = options.common.tile;
    evaluation.seed = options.common.seed;
    context.result["evaluation"] = "contours";
    LOFTSCOPE_TRY(const std::vector<ContourPicture> pictures,
                  openSegmentedPhotos(options.common.data, options.split, options.pictures));
    LOFTSCOPE_TRY(const EvaluatedModels models, loadModels(options.common, context));
    LOFTSCOPE_TRY(const ContourReport report,
                  evaluateContours(models.backbone, models.methods, pictures, evaluation,
                                   models.device, context.run));

    auto& json = context.result;
    json["settings"] = {
        {"data", options.common.data},         {"split", options.split},
        {"input_size", evaluation.inputSize},  {"feature_size", evaluation.featureSize},
        {"components", evaluation.components}, {"sigma", evaluation.sigma},
        {"tolerance", evaluation.tolerance},   {"thresholds", evaluation.thresholds}};
    json["data"] = {{"pictures", report.names}};
    ResultTable table;
    table.caption = fmt::format(
        "Contours of features against human contours on {} photos, {} x {} tokens upsampled to {} "
        "x {}; F in per cent, ODS with its 95 % interval over photos",
        report.names.size(), report.grid.width, report.grid.height, report.features.width,
        report.features.height);
    table.columns = {{"ODS F"},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"gain", 1, Better::Neither},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"precision", 1, Better::Neither},
                     {"recall", 1, Better::Neither},
                     {"OIS F"},
                     {"AP"},
                     {"seconds", 0, Better::Neither}};
    for (const ContourResult& result : report.results) {
        const ContourScores& scores = result.scores;
        nlohmann::ordered_json entry{{"method", result.method},
                                     {"ods", scores.ods * 100},
                                     {"ods_interval", intervalJson(result.ods)},
                                     {"ods_precision", scores.odsPrecision * 100},
                                     {"ods_recall", scores.odsRecall * 100},
                                     {"ois", scores.ois * 100},
                                     {"average_precision", scores.averagePrecision * 100},
                                     {"best_f_per_picture", result.bestPerPicture},
                                     {"seconds", result.seconds}};
        for (const ContourCounts& counts : result.curve)
            entry["curve"].push_back({{"precision", counts.precision() * 100},
                                      {"recall", counts.recall() * 100},
                                      {"f", counts.f() * 100}});
        ResultRow row{result.method,
                      {scores.ods * 100, result.ods.low * 100, result.ods.high * 100, std::nullopt,
                       std::nullopt, std::nullopt, scores.odsPrecision * 100,
                       scores.odsRecall * 100, scores.ois * 100, scores.averagePrecision * 100,
                       result.seconds}};
        addGain(entry, row, result.gain, result.gainInterval);
        json["results"].push_back(std::move(entry));
        table.rows.push_back(std::move(row));
    }
    return finishEval(options.common, {table}, context);
}

} // namespace

EvalCommand addContourEval(CLI::App& eval) {
    auto options = std::make_shared<ContourEvalCommandOptions>();
    CLI::App* command = eval.add_subcommand(
        "contours", "Feature gradients against human contours of BSDS: ODS, OIS, AP");
    addEvalOptions(*command, options->common,
                   "Folder with images/SPLIT/ID.jpg and segs/SPLIT/ID_*.png");
    const auto positive = CLI::PositiveNumber;
    ContourOptions& evaluation = options->evaluation;
    command->add_option("--split", options->split, "Folder of the photos")
        ->capture_default_str()
        ->group("Data");
    command->add_option("--pictures", options->pictures, "So many evenly spaced photos; 0: all")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Data");
    command
        ->add_option("--input-size", evaluation.inputSize,
                     "Short side of the backbone's input, rounded to its patch")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_option("--feature-size", evaluation.featureSize,
                     "Short side of the upsampled features; 0: as large as the input")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Protocol");
    command
        ->add_option("--components", evaluation.components,
                     "Principal components that the gradient is taken of")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_option("--basis-pictures", evaluation.basisPictures,
                     "Photos that the components come from; 0: all")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Protocol");
    command
        ->add_option("--sigma", evaluation.sigma,
                     "Smoothing before the gradient, in pixels of the "
                     "features")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_option("--tolerance", evaluation.tolerance,
                     "Farthest that matched pixels may lie apart, as a share of the diagonal")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_option("--thresholds", evaluation.thresholds, "Points of the precision-recall curve")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    return {command,
            [options](CommandContext& context) { return runContourEval(*options, context); }};
}

} // namespace loftscope::app
