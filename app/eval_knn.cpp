// SPDX-License-Identifier: Apache-2.0
// loftscope eval knn: photos classified by their nearest neighbours.
#include "app/eval_options.h"
#include "core/eval/knn_eval.h"
#include "core/train/photo_files.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct KnnEvalCommandOptions {
    EvalOptions common;
    KnnOptions evaluation;
};

Result<void> runKnnEval(const KnnEvalCommandOptions& options, CommandContext& context) {
    KnnOptions evaluation = options.evaluation;
    evaluation.tile = options.common.tile;
    evaluation.seed = options.common.seed;
    context.result["evaluation"] = "knn";
    std::unique_ptr<PhotoSource> photos;
    if (std::filesystem::is_directory(options.common.data)) {
        LOFTSCOPE_TRY(photos, openPhotoFolder(options.common.data));
    } else {
        LOFTSCOPE_TRY(photos, openPhotoPack(options.common.data));
    }
    LOFTSCOPE_TRY(const EvaluatedModels models, loadModels(options.common, context));
    LOFTSCOPE_TRY(const KnnReport report, evaluateKnn(models.backbone, models.methods, *photos,
                                                      evaluation, models.device, context.run));
    auto& json = context.result;
    json["settings"] = {{"data", options.common.data},
                        {"input_size", evaluation.inputSize},
                        {"feature_size", evaluation.featureSize},
                        {"train_per_class", evaluation.trainPerClass},
                        {"test_per_class", evaluation.testPerClass},
                        {"neighbours", evaluation.neighbours},
                        {"skip", evaluation.skip}};
    json["data"] = {{"classes", report.classes},
                    {"train_photos", report.trainPhotos},
                    {"test_photos", report.testPhotos}};
    ResultTable table;
    table.caption =
        fmt::format("{}-nearest-neighbour classification by the mean feature: {} "
                    "classes, {} reference photos, {} test photos; per cent right, "
                    "with its 95 % interval over test photos",
                    evaluation.neighbours, report.classes, report.trainPhotos, report.testPhotos);
    table.columns = {{"accuracy"},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"gain", 1, Better::Neither},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"seconds", 0, Better::Neither}};
    for (const KnnResult& result : report.results) {
        nlohmann::ordered_json entry{{"method", result.method},
                                     {"accuracy", result.accuracy * 100},
                                     {"accuracy_interval", intervalJson(result.interval)},
                                     {"per_class", result.perClass},
                                     {"seconds", result.seconds}};
        ResultRow row{result.method,
                      {result.accuracy * 100, result.interval.low * 100, result.interval.high * 100,
                       std::nullopt, std::nullopt, std::nullopt, result.seconds}};
        addGain(entry, row, result.gain, result.gainInterval);
        json["results"].push_back(std::move(entry));
        table.rows.push_back(std::move(row));
    }
    return finishEval(options.common, {table}, context);
}

} // namespace

EvalCommand addKnnEval(CLI::App& eval) {
    auto options = std::make_shared<KnnEvalCommandOptions>();
    CLI::App* command = eval.add_subcommand(
        "knn", "Classifies photos by the nearest neighbours of their mean feature");
    addEvalOptions(*command, options->common,
                   "Folder with a folder of photos per class, or a pack of photos (.safetensors)");
    const auto positive = CLI::PositiveNumber;
    KnnOptions& evaluation = options->evaluation;
    command
        ->add_option("--input-size", evaluation.inputSize,
                     "Side of the square that the backbone sees, rounded to its patch")
        ->capture_default_str()
        ->check(positive);
    command
        ->add_option("--feature-size", evaluation.featureSize,
                     "Side of the upsampled features that are averaged")
        ->capture_default_str()
        ->check(positive);
    command->add_option("--train-per-class", evaluation.trainPerClass, "Reference photos")
        ->capture_default_str()
        ->check(positive);
    command->add_option("--test-per-class", evaluation.testPerClass, "Test photos")
        ->capture_default_str()
        ->check(positive);
    command->add_option("--neighbours,-k", evaluation.neighbours, "Nearest photos that vote")
        ->capture_default_str()
        ->check(positive);
    command->add_option("--skip-class", evaluation.skip, "Classes to leave out");
    return {command, [options](CommandContext& context) { return runKnnEval(*options, context); }};
}

} // namespace loftscope::app
