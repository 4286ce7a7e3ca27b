// SPDX-License-Identifier: Apache-2.0
// loftscope train upsampler: LoftUp's two stages for any backbone.
#include "app/commands.h"
#include "core/base/guard.h"
#include "core/image/encode.h"
#include "core/pipeline/models.h"
#include "core/train/photo_files.h"
#include "core/train/training_preview.h"
#include "core/train/training_run.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace loftscope::app {

namespace {

namespace fs = std::filesystem;

struct TrainOptions {
    std::string backbone;
    std::vector<std::string> data;
    std::string labels;
    std::string labelMeaning = "segments-but-zero";
    std::vector<std::string> skip;
    std::string out;
    std::string from;
    int stage = 1;
    std::int64_t steps = 1000;
    std::string budget;
    std::uint64_t seed = 1;
    std::int64_t batch = 1;
    std::int64_t accumulation = 8;
    std::vector<std::int64_t> sizes;
    std::int64_t window = 0;
    std::int64_t hrSize = 0;
    std::string optimizer;
    double learningRate = 0;
    double weightDecay = -1;
    std::int64_t warmUp = 0;
    bool cosine = false;
    double clip = 0;
    std::int64_t jitters = 0;
    std::int64_t crops = 2;
    double maskAlpha = 0.8;
    double tvWeight = -1;
    double hrWeight = -1;
    double colorJitter = 0.2;
    std::vector<double> scales = {50, 150, 400};
    bool allMasks = false;
    bool checkpointing = false;
    std::int64_t checkpointEvery = 100;
    std::int64_t previewEvery = 0;
    int decodingThreads = 1;
};

/// "90", "90s", "45m", "3h" in seconds; nothing else.
Result<double> secondsFrom(const std::string& text) {
    if (text.empty()) return 0;
    double unit = 1;
    std::string number = text;
    switch (number.back()) {
    case 'h':
        unit = 3600;
        break;
    case 'm':
        unit = 60;
        break;
    case 's':
        break;
    default:
        number += 's';
    }
    number.pop_back();
    try {
        std::size_t read = 0;
        const double value = std::stod(number, &read);
        if (read == number.size() && value > 0) return value * unit;
    } catch (const std::exception&) {
        // Falls through to the one complaint there is.
    }
    return fail(ErrorCode::InvalidArgument,
                fmt::format("'{}' is no duration: use for example 90s, 45m or 3h.", text));
}

UpsamplerRecipe recipeFrom(const TrainOptions& options, const std::string& precision,
                           std::int64_t patch) {
    UpsamplerRecipe recipe = UpsamplerRecipe::published(options.stage, patch);
    recipe.seed = options.seed;
    recipe.batch = options.batch;
    recipe.accumulation = options.accumulation;
    if (!options.sizes.empty()) recipe.sizes = options.sizes;
    recipe.window = options.window;
    if (options.hrSize > 0) recipe.hrSize = options.hrSize;
    if (!options.optimizer.empty())
        recipe.optimizer.kind =
            options.optimizer == "nadam" ? OptimizerKind::NAdam : OptimizerKind::AdamW;
    if (options.learningRate > 0) recipe.learningRate = options.learningRate;
    if (options.weightDecay >= 0) recipe.optimizer.weightDecay = options.weightDecay;
    recipe.schedule.warmUp = options.warmUp;
    recipe.schedule.total = options.cosine ? options.steps : 0;
    recipe.clip = options.clip;
    if (options.jitters > 0) recipe.jitters = options.jitters;
    recipe.crops = options.crops;
    recipe.maskAlpha = options.maskAlpha;
    recipe.hrMaskAlpha = options.maskAlpha;
    if (options.tvWeight >= 0) recipe.tvWeight = options.tvWeight;
    if (options.hrWeight >= 0) recipe.hrWeight = options.hrWeight;
    recipe.augmentation.colorJitter = options.colorJitter;
    recipe.augmentation.overSegmentation.scales = options.scales;
    recipe.augmentation.allMaskMaps = options.allMasks;
    recipe.pass.arithmetic = precision == "bf16" ? at::kBFloat16 : at::kFloat;
    recipe.pass.checkpointing = options.checkpointing;
    return recipe;
}

Result<std::unique_ptr<PhotoSource>> openData(const TrainOptions& options) {
    const std::map<std::string, LabelMeaning> meanings{
        {"segments", LabelMeaning::Segments},
        {"segments-but-zero", LabelMeaning::SegmentsButZero},
        {"classes", LabelMeaning::Classes}};
    std::vector<std::unique_ptr<PhotoSource>> sources;
    for (const std::string& path : options.data) {
        if (fs::is_directory(path)) {
            LOFTSCOPE_TRY(auto folder,
                          openPhotoFolder(path, {options.labels, meanings.at(options.labelMeaning),
                                                 options.skip}));
            sources.push_back(std::move(folder));
        } else {
            LOFTSCOPE_TRY(auto pack, openPhotoPack(path, options.skip));
            sources.push_back(std::move(pack));
        }
    }
    auto joined = joinSources(std::move(sources));
    if (joined->size() == 0)
        return fail(ErrorCode::InvalidArgument,
                    "There are no photos to train on: give packs or folders with --data.");
    return joined;
}

Result<TrainableLoftUp> studentFor(const TrainOptions& options, const Backbone& backbone,
                                   c10::Device device) {
    const std::int64_t channels = backbone.channels();
    if (options.from.empty()) {
        if (options.stage == 2) {
            return fail(ErrorCode::InvalidArgument,
                        "Stage 2 starts from the weights of stage 1: name them with --from.");
        }
        const LoftUpSpec spec = publishedLoftUp(channels);
        if (spec.dim % spec.heads != 0) {
            return fail(
                ErrorCode::Unsupported,
                fmt::format(
                    "LoftUp needs a channel count that {} divides, but the backbone has {}.",
                    spec.heads, channels));
        }
        return TrainableLoftUp::create(
            spec, CounterRandom(options.seed, RandomPurpose::Initialisation, 0), device);
    }
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(options.from));
    LOFTSCOPE_TRY(const LoftUpSpec spec, recogniseLoftUp(file.tensors));
    if (spec.channels != channels) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("'{}' is for features of {} channels, but the backbone has {}.",
                                options.from, spec.channels, channels));
    }
    return TrainableLoftUp::fromState(canonicalLoftUpState(file.tensors, spec), spec, device);
}

/// Rows of panes for the first photos of the data, as they are: a square of the middle size.
std::vector<at::Tensor> previewPictures(const PhotoSource& photos, const UpsamplerRecipe& recipe) {
    Augmentation plain;
    plain.smallestShare = 1;
    plain.largestStretch = 1;
    plain.flips = false;
    plain.colorJitter = 0;
    plain.overSegmentation.scales.clear();
    const std::int64_t side = *std::max_element(recipe.sizes.begin(), recipe.sizes.end());
    std::vector<at::Tensor> pictures;
    for (std::int64_t i = 0; i < 4; ++i) {
        const auto photo = photos.load(i * photos.size() / 4);
        if (photo)
            pictures.push_back(cutSample(*photo, side, plain,
                                         CounterRandom(0, RandomPurpose::Augmentation,
                                                       static_cast<std::uint64_t>(i)))
                                   .picture);
    }
    return pictures;
}

Image imageFrom(const at::Tensor& picture) {
    const at::Tensor bytes =
        picture.mul(255).round().clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
    const auto* first = bytes.const_data_ptr<std::uint8_t>();
    return Image({bytes.size(0), bytes.size(1)}, {first, first + bytes.numel()});
}

/// Every step allocates the same large blocks again: kept in the heap instead of handed back to the
/// system each time, they save a fifth of a step on the CPU (measured: page faults).
void keepFreedMemory() {
#ifdef __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
    mallopt(M_TOP_PAD, 1 << 28);
#endif
}

Result<void> trainUpsampler(const TrainOptions& options, CommandContext& context) {
    keepFreedMemory();
    if (context.options.precision == "fp16") {
        return fail(ErrorCode::InvalidArgument,
                    "Training in fp16 is not supported: use --precision bf16 or fp32.");
    }
    LOFTSCOPE_TRY(const double budget, secondsFrom(options.budget));
    LOFTSCOPE_TRY(const c10::Device device, deviceNamed(context.options.device));
    LOFTSCOPE_TRY(const LoadedBackbone backbone, loadBackbone(options.backbone, device));
    for (const std::string& warning : backbone.warnings)
        context.warn(warning);
    const UpsamplerRecipe recipe =
        recipeFrom(options, context.options.precision, backbone.model->patch());
    LOFTSCOPE_CHECK(recipe.check(backbone.model->patch()));
    LOFTSCOPE_TRY(const auto photos, openData(options));
    LOFTSCOPE_TRY(TrainableLoftUp student, studentFor(options, *backbone.model, device));

    UpsamplerTrainer trainer(recipe, *backbone.model, std::move(student), *photos,
                             options.decodingThreads, device);
    TrainingRunOptions run;
    run.folder = options.out;
    run.steps = options.steps;
    run.budgetSeconds = budget;
    run.checkpointEvery = options.checkpointEvery;
    run.previewEvery = options.previewEvery;
    run.exportMetadata = {{"backbone", backbone.provenance.name},
                          {"backbone_sha256", backbone.provenance.sha256},
                          {"stage", fmt::format("{}", options.stage)},
                          {"photos", fmt::format("{}", photos->size())},
                          {"trained_with", "loftscope " LOFTSCOPE_VERSION}};
    const std::vector<at::Tensor> pictures =
        options.previewEvery > 0 ? previewPictures(*photos, recipe) : std::vector<at::Tensor>{};
    run.preview = [&](const UpsamplerTrainer& current, std::int64_t step) -> Result<void> {
        if (pictures.empty()) return {};
        return guarded("drawing the preview", [&]() -> Result<void> {
            std::vector<at::Tensor> rows;
            for (const at::Tensor& picture : pictures)
                rows.push_back(previewRow(current.backbone(), current.student(), picture, device));
            return writeImage(run.folder / fmt::format("preview_{:06}.png", step),
                              imageFrom(at::cat(rows, 1)));
        });
    };
    LOFTSCOPE_TRY(const TrainingRunReport report, runTraining(trainer, run, context.run));

    const SampleStream::Broken broken = trainer.brokenPhotos();
    if (broken.count > 0)
        context.warn(fmt::format("{} photos could not be read and were skipped; the first: {}",
                                 broken.count, broken.first));
    context.result = {{"folder", options.out},
                      {"stage", options.stage},
                      {"first_step", report.firstStep},
                      {"last_step", report.lastStep},
                      {"finished", report.finished},
                      {"seconds", report.seconds},
                      {"total_seconds", report.totalSeconds},
                      {"losses", report.losses},
                      {"broken_photos", broken.count},
                      {"weights", (run.folder / "loftup.safetensors").string()}};
    context.text = fmt::format("{} Steps {} to {} of {} took {:.0f} s. Loss: {:.4f}. Weights: {}\n",
                               report.finished ? "Done." : "Stopped; the same command resumes.",
                               report.firstStep, report.lastStep, options.steps, report.seconds,
                               report.losses.contains("total") ? report.losses.at("total") : 0.0,
                               (run.folder / "loftup.safetensors").string());
    return {};
}

} // namespace

void addTrainCommand(CommandLine& line) {
    auto options = std::make_shared<TrainOptions>();
    CLI::App* train =
        line.add("train", "Trains models of one's own",
                 [options](CommandContext& context) { return trainUpsampler(*options, context); });
    train->require_subcommand(1);
    CLI::App* upsampler = train->add_subcommand(
        "upsampler",
        "Trains LoftUp for a backbone; the same command resumes a run that was stopped or killed");
    upsampler->fallthrough();
    const auto positive = CLI::PositiveNumber;

    upsampler->add_option("--backbone", options->backbone, "Weights of the backbone")->required();
    upsampler->add_option("--data", options->data, "Packs (.safetensors) and folders of photos")
        ->required();
    upsampler
        ->add_option("--out", options->out, "Folder of the run: checkpoint, log, weights, previews")
        ->required();
    upsampler->add_option("--from", options->from,
                          "LoftUp weights to start from; needed by stage 2");
    upsampler->add_option("--stage", options->stage, "1: masks and views; 2: self-distillation")
        ->capture_default_str()
        ->check(CLI::Range(1, 2));

    upsampler
        ->add_option("--labels", options->labels,
                     "Folder of label maps (indexed PNG): NAME.png, NAME_*.png")
        ->group("Data");
    upsampler
        ->add_option("--label-meaning", options->labelMeaning,
                     "segments, segments-but-zero or classes")
        ->capture_default_str()
        ->check(CLI::IsMember({"segments", "segments-but-zero", "classes"}))
        ->group("Data");
    upsampler->add_option("--skip", options->skip, "Leave out photos whose name begins with this")
        ->group("Data");
    upsampler
        ->add_option("--scales", options->scales,
                     "Scales of the over-segmentations that serve as masks")
        ->capture_default_str()
        ->group("Data");
    upsampler
        ->add_flag("--all-masks", options->allMasks,
                   "Apply every mask map of a photo, not one at random")
        ->group("Data");
    upsampler
        ->add_option("--color-jitter", options->colorJitter,
                     "Brightness, contrast and saturation change by up to this")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.9))
        ->group("Data");
    upsampler
        ->add_option("--decode-threads", options->decodingThreads, "Threads that prepare photos")
        ->capture_default_str()
        ->check(CLI::Range(1, 256))
        ->group("Data");

    upsampler->add_option("--steps", options->steps, "Optimiser steps of the whole run")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
    upsampler
        ->add_option("--time-budget", options->budget,
                     "Stop after this long, to be resumed: 90s, 45m, 3h")
        ->group("Schedule");
    upsampler->add_option("--seed", options->seed, "Of every random choice")
        ->capture_default_str()
        ->group("Schedule");
    upsampler
        ->add_option("--batch", options->batch, "Photos that pass through the network together")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
    upsampler->add_option("--accumulate", options->accumulation, "Batches per step")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
    upsampler->add_option("--warm-up", options->warmUp, "Steps until the full learning rate")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Schedule");
    upsampler
        ->add_flag("--cosine", options->cosine, "Lower the learning rate to 0 along half a cosine")
        ->group("Schedule");
    upsampler
        ->add_option("--checkpoint-every", options->checkpointEvery, "Steps between checkpoints")
        ->capture_default_str()
        ->check(positive)
        ->group("Schedule");
    upsampler
        ->add_option("--preview-every", options->previewEvery,
                     "Steps between preview pictures; 0: none")
        ->capture_default_str()
        ->group("Schedule");

    upsampler
        ->add_option("--sizes", options->sizes,
                     "Sides of the input in pixels, one at random per batch [published: 224; 224 "
                     "336 448 512]")
        ->delimiter(',')
        ->group("Recipe");
    upsampler
        ->add_option("--window", options->window,
                     "Stage 1: compute only a random window of this side of each input, under all "
                     "of its tokens; 0: the whole input")
        ->capture_default_str()
        ->group("Recipe");
    upsampler
        ->add_option("--hr-size", options->hrSize,
                     "Stage 2: side of the photo that the teacher sees crops of [published: 896]")
        ->group("Recipe");
    upsampler
        ->add_option("--optimizer", options->optimizer,
                     "nadam or adamw [published: nadam in stage 1, adamw in stage 2]")
        ->check(CLI::IsMember({"nadam", "adamw"}))
        ->group("Recipe");
    upsampler
        ->add_option("--lr", options->learningRate,
                     "Learning rate [published: 1e-4 in stage 1, 1e-3 in stage 2]")
        ->check(positive)
        ->group("Recipe");
    upsampler
        ->add_option("--weight-decay", options->weightDecay,
                     "[published: 0 in stage 1, 0.01 in stage 2]")
        ->check(CLI::NonNegativeNumber)
        ->group("Recipe");
    upsampler
        ->add_option("--clip", options->clip,
                     "Largest gradient norm after the first steps; 0: none")
        ->capture_default_str()
        ->group("Recipe");
    upsampler
        ->add_option("--jitters", options->jitters,
                     "Views of each batch [published: 4 in stage 1, 2 in stage 2]")
        ->check(positive)
        ->group("Recipe");
    upsampler->add_option("--crops", options->crops, "Stage 2: crops of each batch")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    upsampler
        ->add_option("--mask-alpha", options->maskAlpha,
                     "Share of a mask's mean in the refined features")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->group("Recipe");
    upsampler
        ->add_option("--tv-weight", options->tvWeight,
                     "Of the total variation [published: 0.001 in stage 1, 0.05 in stage 2]")
        ->group("Recipe");
    upsampler
        ->add_option("--hr-weight", options->hrWeight, "Stage 2: of the affinities [published: 20]")
        ->group("Recipe");
    upsampler
        ->add_flag("--checkpoint-activations", options->checkpointing, "Less memory, more time")
        ->group("Recipe");
}

} // namespace loftscope::app
