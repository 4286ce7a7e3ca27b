// SPDX-License-Identifier: Apache-2.0
// loftscope eval segmentation: a linear probe on every method's features.
#include "app/eval_options.h"
#include "core/base/number.h"
#include "core/eval/segmentation_eval.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct SegmentationEvalCommandOptions {
    EvalOptions common;
    std::string dataset = "camvid";
    std::string cocoClasses = "super";
    std::string testSplit = "test";
    LabelledFolder folder;
    std::string labels;
    std::string trainList;
    std::string testList;
    std::string classList;
    std::string frames = "0/0";
    SegmentationOptions evaluation;
    std::string optimizer = "adamw";
    bool raw = false;
};

/// "60/40": training and test pictures; "0" or nothing after the stroke: all.
Result<void> parseFrames(const std::string& text, SegmentationOptions& options) {
    const auto number = [](std::string_view part) -> std::optional<std::int64_t> {
        const auto value = parsedNumber<std::int64_t>(part);
        return value && *value >= 0 ? value : std::nullopt;
    };
    const std::size_t stroke = text.find('/');
    const auto train = number(std::string_view(text).substr(0, stroke));
    const auto test = stroke == std::string::npos
                          ? std::nullopt
                          : number(std::string_view(text).substr(stroke + 1));
    if (!train || !test)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is no choice of pictures: write TRAIN/TEST, e.g. 60/40 (0 "
                                "means all).",
                                text));
    options.trainPictures = *train;
    options.testPictures = *test;
    return {};
}

Result<LabelledPictures> openData(const SegmentationEvalCommandOptions& options) {
    const std::filesystem::path folder = options.common.data;
    if (options.dataset == "camvid") return openCamVid(folder, options.testSplit);
    if (options.dataset == "coco128")
        return openCoco128(folder, options.cocoClasses == "super" ? CocoClasses::Supercategories
                                                                  : CocoClasses::Categories);
    LabelledFolder labelled;
    labelled.images = options.labels.empty() ? folder / "images" : folder;
    labelled.labels =
        options.labels.empty() ? folder / "labels" : std::filesystem::path(options.labels);
    labelled.trainList = options.trainList;
    labelled.testList = options.testList;
    labelled.classList = options.classList;
    return openLabelledFolder(labelled);
}

nlohmann::ordered_json settingsJson(const SegmentationEvalCommandOptions& options,
                                    const SegmentationOptions& evaluation) {
    return {{"dataset", options.dataset},
            {"data", options.common.data},
            {"input_size", evaluation.inputSize},
            {"feature_size", evaluation.featureSize},
            {"train_pictures", evaluation.trainPictures},
            {"test_pictures", evaluation.testPictures},
            {"pixels_per_picture", evaluation.pixelsPerPicture},
            {"train_share", evaluation.trainShare},
            {"test_share", evaluation.testShare},
            {"tile", evaluation.tile},
            {"steps", evaluation.probe.steps},
            {"batch", evaluation.probe.batch},
            {"learning_rate", evaluation.probe.learningRate},
            {"weight_decay", evaluation.probe.optimizer.weightDecay},
            {"optimizer", options.optimizer},
            {"standardised", evaluation.probe.standardise}};
}

Result<void> runSegmentationEval(const SegmentationEvalCommandOptions& options,
                                 CommandContext& context) {
    SegmentationOptions evaluation = options.evaluation;
    LOFTSCOPE_CHECK(parseFrames(options.frames, evaluation));
    evaluation.probe.standardise = !options.raw;
    evaluation.probe.optimizer.kind =
        options.optimizer == "nadam" ? OptimizerKind::NAdam : OptimizerKind::AdamW;
    evaluation.tile = options.common.tile;
    evaluation.seed = options.common.seed;
    context.result["evaluation"] = "segmentation";
    LOFTSCOPE_TRY(const LabelledPictures data, openData(options));
    LOFTSCOPE_TRY(const EvaluatedModels models, loadModels(options.common, context));
    LOFTSCOPE_TRY(const SegmentationReport report,
                  evaluateSegmentation(models.backbone, models.methods, data, evaluation,
                                       models.device, context.run));

    auto& json = context.result;
    json["settings"] = settingsJson(options, evaluation);
    json["data"] = {{"title", data.title},
                    {"classes", data.classes},
                    {"train_pictures", report.trainPictures},
                    {"train_pixels", report.trainPixels},
                    {"test_pictures", report.testPictures},
                    {"test_pixels", report.testPixels},
                    {"grid", {report.grid.width, report.grid.height}},
                    {"features", {report.features.width, report.features.height}},
                    {"test_names", report.testNames}};
    ResultTable table;
    table.caption = fmt::format(
        "Linear probe on {}: {} training pictures ({} pixels), {} test pictures, {} x {} tokens "
        "upsampled to {} x {}; mean IoU in per cent with its 95 % interval over test pictures",
        data.title, report.trainPictures, report.trainPixels, report.testPictures,
        report.grid.width, report.grid.height, report.features.width, report.features.height);
    table.columns = {{"mIoU"},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"gain", 1, Better::Neither},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"pixel acc."},
                     {"train acc.", 1, Better::Neither},
                     {"seconds", 0, Better::Neither}};
    ResultTable perClass;
    perClass.caption = "IoU of each class, per cent";
    perClass.rowTitle = "class";
    for (std::size_t k = 0; k < data.classes.size(); ++k)
        perClass.rows.push_back({data.classes[k], {}});
    for (const SegmentationResult& result : report.results) {
        nlohmann::ordered_json entry{{"method", result.method},
                                     {"mean_iou", result.scores.meanIoU * 100},
                                     {"mean_iou_interval", intervalJson(result.meanIoU)},
                                     {"pixel_accuracy", result.scores.pixelAccuracy * 100},
                                     {"training_loss", result.trainingLoss},
                                     {"training_accuracy", result.trainingAccuracy * 100},
                                     {"seconds", result.seconds}};
        ResultRow row{result.method,
                      {result.scores.meanIoU * 100, result.meanIoU.low * 100,
                       result.meanIoU.high * 100, std::nullopt, std::nullopt, std::nullopt,
                       result.scores.pixelAccuracy * 100, result.trainingAccuracy * 100,
                       result.seconds}};
        addGain(entry, row, result.gain, result.gainInterval);
        perClass.columns.push_back({result.method});
        for (std::size_t k = 0; k < data.classes.size(); ++k) {
            std::optional<double> value = result.scores.classIoU[k];
            if (value) *value *= 100;
            perClass.rows[k].values.push_back(value);
            entry["class_iou"][data.classes[k]] =
                value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
        }
        const auto cells = result.confusion.accessor<std::int64_t, 2>();
        for (std::int64_t i = 0; i < cells.size(0); ++i) {
            nlohmann::ordered_json line;
            for (std::int64_t j = 0; j < cells.size(1); ++j)
                line.push_back(cells[i][j]);
            entry["confusion"].push_back(std::move(line));
        }
        json["results"].push_back(std::move(entry));
        table.rows.push_back(std::move(row));
    }
    return finishEval(options.common, {table, perClass}, context);
}

} // namespace

EvalCommand addSegmentationEval(CLI::App& eval) {
    auto options = std::make_shared<SegmentationEvalCommandOptions>();
    CLI::App* command = eval.add_subcommand(
        "segmentation", "Semantic segmentation by a linear probe on each method's features: mIoU");
    addEvalOptions(*command, options->common,
                   "Folder of the data set; with --labels the folder of photos");
    const auto positive = CLI::PositiveNumber;
    SegmentationOptions& evaluation = options->evaluation;
    command
        ->add_option("--dataset", options->dataset,
                     "camvid, coco128 or folder (images/SPLIT, labels/SPLIT, or lists)")
        ->capture_default_str()
        ->check(CLI::IsMember({"camvid", "coco128", "folder"}))
        ->group("Data");
    command
        ->add_option("--coco-classes", options->cocoClasses,
                     "super: the 27 supercategories; all: every category")
        ->capture_default_str()
        ->check(CLI::IsMember({"super", "all"}))
        ->group("Data");
    command->add_option("--test-split", options->testSplit, "CamVid: test or val")
        ->capture_default_str()
        ->check(CLI::IsMember({"test", "val"}))
        ->group("Data");
    command
        ->add_option("--labels", options->labels,
                     "folder: label maps (indexed PNG) of the photos' names")
        ->group("Data");
    command->add_option("--train-list", options->trainList, "folder: names to train on, one a line")
        ->group("Data");
    command->add_option("--test-list", options->testList, "folder: names to test on, one a line")
        ->group("Data");
    command
        ->add_option("--classes", options->classList,
                     "folder: names of the labels 0, 1, ..., one a line")
        ->group("Data");
    command
        ->add_option("--frames", options->frames,
                     "TRAIN/TEST: so many evenly spaced pictures; 0: all")
        ->capture_default_str()
        ->group("Data");

    command
        ->add_option("--input-size", evaluation.inputSize,
                     "Short side of the backbone's input, rounded to its patch")
        ->capture_default_str()
        ->check(positive)
        ->group("Features");
    command
        ->add_option("--feature-size", evaluation.featureSize,
                     "Short side of the upsampled features; 0: as large as the input")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Features");
    command
        ->add_option("--pixels-per-image", evaluation.pixelsPerPicture,
                     "Random pixels that the probe learns of each training picture")
        ->capture_default_str()
        ->check(positive)
        ->group("Features");
    command
        ->add_option("--train-share", evaluation.trainShare,
                     "Share of a training picture's tiles that these pixels come from: less is "
                     "faster")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->group("Features");
    command
        ->add_option("--test-share", evaluation.testShare,
                     "Share of a test picture's tiles that is tested: less is faster")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->group("Features");

    command->add_option("--steps", evaluation.probe.steps, "Optimiser steps of the probe")
        ->capture_default_str()
        ->check(positive)
        ->group("Probe");
    command->add_option("--batch", evaluation.probe.batch, "Pixels per step")
        ->capture_default_str()
        ->check(positive)
        ->group("Probe");
    command
        ->add_option("--lr", evaluation.probe.learningRate,
                     "Peak learning rate; half a cosine down to 0")
        ->capture_default_str()
        ->check(positive)
        ->group("Probe");
    command->add_option("--weight-decay", evaluation.probe.optimizer.weightDecay, "Weight decay")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Probe");
    command->add_option("--optimizer", options->optimizer, "adamw or nadam")
        ->capture_default_str()
        ->check(CLI::IsMember({"adamw", "nadam"}))
        ->group("Probe");
    command
        ->add_flag("--raw", options->raw,
                   "Features as they are, not brought to mean 0 and deviation 1 per channel")
        ->group("Probe");
    return {command,
            [options](CommandContext& context) { return runSegmentationEval(*options, context); }};
}

} // namespace loftscope::app
