// SPDX-License-Identifier: Apache-2.0
// loftscope eval video: masks carried through clips by the similarity of features.
#include "app/eval_options.h"
#include "core/eval/video_eval.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct VideoEvalCommandOptions {
    EvalOptions common;
    ClipChoice choice;
    VideoOptions evaluation;
    bool rawScores = false;
};

nlohmann::ordered_json statisticsJson(const ClipStatistics& statistics) {
    return {{"mean", statistics.mean * 100},
            {"recall", statistics.recall * 100},
            {"decay", statistics.decay * 100}};
}

Result<void> runVideoEval(const VideoEvalCommandOptions& options, CommandContext& context) {
    VideoOptions evaluation = options.evaluation;
    evaluation.normaliseMasks = !options.rawScores;
    evaluation.tile = options.common.tile;
    evaluation.seed = options.common.seed;
    context.result["evaluation"] = "video";
    LOFTSCOPE_TRY(const std::vector<VideoClip> clips,
                  openClips(options.common.data, options.choice));
    LOFTSCOPE_TRY(const EvaluatedModels models, loadModels(options.common, context));
    LOFTSCOPE_TRY(const VideoReport report, evaluateVideo(models.backbone, models.methods, clips,
                                                          evaluation, models.device, context.run));

    auto& json = context.result;
    json["settings"] = {{"data", options.common.data},
                        {"input_size", evaluation.inputSize},
                        {"feature_size", evaluation.featureSize},
                        {"last_frames", evaluation.propagation.lastFrames},
                        {"radius", evaluation.propagation.radius},
                        {"top_k", evaluation.propagation.topK},
                        {"temperature", evaluation.propagation.temperature},
                        {"normalise_masks", evaluation.normaliseMasks}};
    json["data"] = {{"clips", clips.size()}, {"frames_that_count", report.frames}};
    ResultTable table;
    table.caption = fmt::format(
        "Label propagation through {} clips ({} frames that count), {} x {} tokens upsampled to {} "
        "x {}; DAVIS measures in per cent, J and F with its 95 % interval over objects",
        clips.size(), report.frames, report.grid.width, report.grid.height, report.features.width,
        report.features.height);
    table.columns = {{"J&F"},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"gain", 1, Better::Neither},
                     {"from", 1, Better::Neither},
                     {"to", 1, Better::Neither},
                     {"J mean"},
                     {"J recall"},
                     {"J decay", 1, Better::Lower},
                     {"F mean"},
                     {"F recall"},
                     {"F decay", 1, Better::Lower},
                     {"seconds", 0, Better::Neither}};
    ResultTable perObject;
    perObject.caption = "J&F of each object, per cent";
    perObject.rowTitle = "clip";
    for (const ObjectResult& object : report.results.front().objects)
        perObject.rows.push_back(
            {object.object == 1 ? object.clip : fmt::format("{} {}", object.clip, object.object),
             {}});
    for (const VideoResult& result : report.results) {
        nlohmann::ordered_json entry{{"method", result.method},
                                     {"j_and_f", result.both * 100},
                                     {"j_and_f_interval", intervalJson(result.bothInterval)},
                                     {"j", statisticsJson(result.region)},
                                     {"f", statisticsJson(result.boundary)},
                                     {"seconds", result.seconds}};
        ResultRow row{result.method,
                      {result.both * 100, result.bothInterval.low * 100,
                       result.bothInterval.high * 100, std::nullopt, std::nullopt, std::nullopt,
                       result.region.mean * 100, result.region.recall * 100,
                       result.region.decay * 100, result.boundary.mean * 100,
                       result.boundary.recall * 100, result.boundary.decay * 100, result.seconds}};
        addGain(entry, row, result.gain, result.gainInterval);
        perObject.columns.push_back({result.method});
        for (std::size_t i = 0; i < result.objects.size(); ++i) {
            const ObjectResult& object = result.objects[i];
            perObject.rows[i].values.emplace_back(object.both() * 100);
            entry["objects"].push_back({{"clip", object.clip},
                                        {"object", object.object},
                                        {"j_and_f", object.both() * 100},
                                        {"j", statisticsJson(object.region)},
                                        {"f", statisticsJson(object.boundary)},
                                        {"j_per_frame", object.regionPerFrame},
                                        {"f_per_frame", object.boundaryPerFrame}});
        }
        json["results"].push_back(std::move(entry));
        table.rows.push_back(std::move(row));
    }
    return finishEval(options.common, {table, perObject}, context);
}

} // namespace

EvalCommand addVideoEval(CLI::App& eval) {
    auto options = std::make_shared<VideoEvalCommandOptions>();
    CLI::App* command = eval.add_subcommand(
        "video", "Video object segmentation by label propagation: J, F and J&F of DAVIS");
    addEvalOptions(*command, options->common,
                   "Folder with images/CLIP and masks/CLIP, or DAVIS' own folders");
    const auto positive = CLI::PositiveNumber;
    VideoOptions& evaluation = options->evaluation;
    command->add_option("--clips", options->choice.names, "Names of clips; all if left out")
        ->delimiter(',')
        ->group("Data");
    command
        ->add_option("--clip-count", options->choice.clips, "So many evenly spaced clips; 0: all")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Data");
    command->add_option("--frames", options->choice.frames, "The first frames of each; 0: all")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Data");
    command
        ->add_option("--input-size", evaluation.inputSize,
                     "Side of the square that frames are resized to, rounded to the patch")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command->add_option("--feature-size", evaluation.featureSize, "Side of the upsampled features")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_option("--last-frames", evaluation.propagation.lastFrames,
                     "Earlier frames that vote, besides the first")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Protocol");
    command
        ->add_option("--radius", evaluation.propagation.radius,
                     "Of the square window that votes come from, in pixels of the features")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Protocol");
    command->add_option("--top-k", evaluation.propagation.topK, "Most similar pixels that vote")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_option("--temperature", evaluation.propagation.temperature,
                     "Votes weigh exp(cosine / temperature)")
        ->capture_default_str()
        ->check(positive)
        ->group("Protocol");
    command
        ->add_flag("--raw-scores", options->rawScores,
                   "Do not bring each label's scores to 0..1 before the largest counts")
        ->group("Protocol");
    return {command,
            [options](CommandContext& context) { return runVideoEval(*options, context); }};
}

} // namespace loftscope::app
