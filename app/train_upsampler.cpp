// SPDX-License-Identifier: Apache-2.0
// loftscope train upsampler: LoftUp's two stages for any backbone.
#include "app/train_options.h"
#include "core/train/local_start.h"
#include "core/train/training_preview.h"
#include "core/train/upsampler_trainer.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace loftscope::app {

namespace {

struct UpsamplerOptions {
    std::string backbone;
    DataOptions data;
    ScheduleOptions schedule;
    std::string from;
    int stage = 1;
    std::vector<std::int64_t> sizes;
    std::int64_t window = 0;
    std::int64_t targetZoom = 1;
    std::int64_t targetShifts = 1;
    std::vector<std::int64_t> mapShrinks = {1};
    bool frozenNorms = false;
    bool localStart = false;
    bool bilateralStart = false;
    std::int64_t frequencies = 0; ///< 0: as published, or as a local start needs them
    std::int64_t tokenFrequencies = 0;
    std::int64_t hrSize = 0;
    std::string optimizer;
    double learningRate = 0;
    double weightDecay = -1;
    bool cosine = false;
    double clip = 0;
    std::int64_t jitters = 0;
    std::int64_t crops = 2;
    double maskAlpha = 0.8;
    double tvWeight = -1;
    double hrWeight = -1;
    double matchWeight = 0;
    std::int64_t matchRadius = 12;
    std::int64_t matchSide = 32;
    double movingMasks = 0;
    double matchTemperature = 0.02;
    double classWeight = 0;
    double colorJitter = 0.2;
    std::vector<double> scales = {50, 150, 400};
    bool allMasks = false;
    std::vector<std::string> maskDamage;
    bool noCoordinates = false;
    bool checkpointing = false;
};

Result<UpsamplerRecipe> recipeFrom(const UpsamplerOptions& options, at::ScalarType arithmetic,
                                   std::int64_t patch) {
    UpsamplerRecipe recipe = UpsamplerRecipe::published(options.stage, patch);
    recipe.seed = options.schedule.seed;
    recipe.batch = options.schedule.batch;
    recipe.accumulation = options.schedule.accumulation;
    if (!options.sizes.empty()) recipe.sizes = options.sizes;
    recipe.window = options.window;
    recipe.targetZoom = options.targetZoom;
    recipe.targetShifts = options.targetShifts;
    recipe.mapShrinks = options.mapShrinks;
    recipe.frozenNorms = options.frozenNorms;
    if (options.hrSize > 0) recipe.hrSize = options.hrSize;
    if (!options.optimizer.empty())
        recipe.optimizer.kind =
            options.optimizer == "nadam" ? OptimizerKind::NAdam : OptimizerKind::AdamW;
    if (options.learningRate > 0) recipe.learningRate = options.learningRate;
    if (options.weightDecay >= 0) recipe.optimizer.weightDecay = options.weightDecay;
    recipe.schedule.warmUp = options.schedule.warmUp;
    recipe.schedule.total = options.cosine ? options.schedule.steps : 0;
    recipe.clip = options.clip;
    if (options.jitters > 0) recipe.jitters = options.jitters;
    recipe.crops = options.crops;
    recipe.maskAlpha = options.maskAlpha;
    recipe.hrMaskAlpha = options.maskAlpha;
    if (options.tvWeight >= 0) recipe.tvWeight = options.tvWeight;
    if (options.hrWeight >= 0) recipe.hrWeight = options.hrWeight;
    recipe.matchWeight = options.matchWeight;
    recipe.matchRadius = options.matchRadius;
    recipe.matchSide = options.matchSide;
    recipe.movingMasks = options.movingMasks;
    recipe.matchTemperature = options.matchTemperature;
    recipe.classWeight = options.classWeight;
    recipe.augmentation.colorJitter = options.colorJitter;
    recipe.augmentation.overSegmentation.scales = options.scales;
    recipe.augmentation.allMaskMaps = options.allMasks;
    LOFTSCOPE_TRY(recipe.augmentation.maskDamage, maskDamageOf(options.maskDamage));
    recipe.coordinates = !options.noCoordinates;
    recipe.pass.arithmetic = arithmetic;
    recipe.pass.checkpointing = options.checkpointing;
    return recipe;
}

constexpr std::int64_t colorFitPhotos = 64;

Result<TrainableLoftUp> studentFor(const UpsamplerOptions& options, const Backbone& backbone,
                                   const PhotoSource& photos, c10::Device device) {
    const std::int64_t channels = backbone.channels();
    if (options.from.empty()) {
        if (options.stage == 2) {
            return fail(ErrorCode::InvalidArgument,
                        "Stage 2 starts from the weights of stage 1: name them with --from.");
        }
        LoftUpSpec spec = publishedLoftUp(channels);
        const bool local = options.localStart || options.bilateralStart;
        if (local) spec.frequencies = spec.lrFrequencies = localStartFrequencies;
        if (options.frequencies > 0) spec.frequencies = options.frequencies;
        if (options.tokenFrequencies > 0) spec.lrFrequencies = options.tokenFrequencies;
        spec.dim = channels + 2 * 2 * spec.lrFrequencies;
        if (spec.dim % spec.heads != 0) {
            return fail(
                ErrorCode::Unsupported,
                fmt::format(
                    "LoftUp needs a channel count that {} divides, but the backbone has {}.",
                    spec.heads, channels));
        }
        TrainableLoftUp student = TrainableLoftUp::create(
            spec, CounterRandom(options.schedule.seed, RandomPurpose::Initialisation, 0), device);
        if (options.localStart) LOFTSCOPE_CHECK(beginLocal(student.parameters(), spec));
        if (options.bilateralStart) {
            const std::int64_t size = 14 * backbone.patch();
            LOFTSCOPE_TRY(const ColorKeys colors, fitColorKeys(backbone, photos, colorFitPhotos,
                                                               size, options.schedule.seed));
            LOFTSCOPE_CHECK(beginLocal(student.parameters(), spec, &colors));
        }
        return student;
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

Result<void> trainUpsampler(const UpsamplerOptions& options, CommandContext& context) {
    keepFreedMemory();
    LOFTSCOPE_TRY(const TrainingPlace place, trainingPlace(context, options.schedule));
    const c10::Device device = place.device;
    LOFTSCOPE_TRY(const LoadedBackbone backbone, loadBackbone(options.backbone, device));
    for (const std::string& warning : backbone.warnings)
        context.warn(warning);
    LOFTSCOPE_TRY(const UpsamplerRecipe recipe,
                  recipeFrom(options, place.arithmetic, backbone.model->patch()));
    LOFTSCOPE_CHECK(recipe.check(backbone.model->patch()));
    LOFTSCOPE_TRY(const auto photos, openData(options.data));
    if (recipe.classWeight > 0 && photos->classSets() == 0) {
        return fail(ErrorCode::InvalidArgument,
                    "No label map names classes, so that there are none to read off features: give "
                    "some with --class-data, or leave --class-weight out.");
    }
    LOFTSCOPE_TRY(TrainableLoftUp student, studentFor(options, *backbone.model, *photos, device));

    UpsamplerTrainer trainer(recipe, *backbone.model, std::move(student), *photos,
                             options.schedule.decodingThreads, device, place.group);
    const std::int64_t side = *std::max_element(recipe.sizes.begin(), recipe.sizes.end());
    const PreviewRows preview{photos.get(), {side, side}, [&](const at::Tensor& picture) {
                                  return previewRow(*backbone.model, trainer.student(), picture,
                                                    device);
                              }};
    std::map<std::string, std::string> metadata{{"backbone", backbone.provenance.name},
                                                {"stage", fmt::format("{}", options.stage)},
                                                {"photos", fmt::format("{}", photos->size())}};
    // Not there in the build without OpenSSL.
    if (!backbone.provenance.sha256.empty())
        metadata["backbone_sha256"] = backbone.provenance.sha256;
    LOFTSCOPE_CHECK(runAndReport(trainer, options.schedule, metadata, preview, context));
    context.result["stage"] = options.stage;
    return {};
}

} // namespace

CommandBody addTrainUpsampler(CLI::App& train) {
    auto options = std::make_shared<UpsamplerOptions>();
    options->schedule.accumulation = 8;
    CLI::App* upsampler = train.add_subcommand(
        "upsampler",
        "Trains LoftUp for a backbone; the same command resumes a run that was stopped or killed");
    const auto positive = CLI::PositiveNumber;

    upsampler->add_option("--backbone", options->backbone, "Weights of the backbone")->required();
    declareData(*upsampler, options->data, true);
    declareSchedule(*upsampler, options->schedule);
    upsampler->add_option("--from", options->from,
                          "LoftUp weights to start from; needed by stage 2");
    upsampler
        ->add_option(
            "--stage", options->stage,
            "0: place alone, tokens in random order; 1: masks and views; 2: self-distillation")
        ->capture_default_str()
        ->check(CLI::Range(0, 2));

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
        ->add_option("--mask-damage", options->maskDamage,
                     "Masks made worse, to learn how much they matter: KIND=STRENGTH, several "
                     "times for several. missing=SHARE of the masks, false=SHARE of the picture "
                     "under random rectangles, eroded=PIXELS from every border")
        ->group("Data");
    upsampler
        ->add_flag("--no-coordinates", options->noCoordinates,
                   "Hide the pixels' coordinates from LoftUp, to learn how much they matter")
        ->group("Recipe");
    upsampler
        ->add_option("--color-jitter", options->colorJitter,
                     "Brightness, contrast and saturation change by up to this")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.9))
        ->group("Data");
    upsampler
        ->add_flag("--cosine", options->cosine, "Lower the learning rate to 0 along half a cosine")
        ->group("Schedule");
    upsampler
        ->add_option("--sizes", options->sizes,
                     "Sides of the input in pixels, one at random per batch [published: 224; 224 "
                     "336 448 512]")
        ->delimiter(',')
        ->group("Recipe");
    upsampler
        ->add_option("--window", options->window,
                     "Compute only a random window of this side of each input, under all of its "
                     "tokens; 0: the whole input. In stage 2 with --crops 1")
        ->capture_default_str()
        ->group("Recipe");
    upsampler
        ->add_option("--target-shifts", options->targetShifts,
                     "Stage 1: make the target from tokens so many times finer, of views moved by "
                     "fractions of a patch; 1: from the tokens that LoftUp gets, as published")
        ->capture_default_str()
        ->group("Recipe");
    upsampler
        ->add_option("--map-shrink", options->mapShrinks,
                     "LoftUp's map and the photo that guides it are so many times smaller than the "
                     "input, one at random per batch; 1: as published")
        ->delimiter(',')
        ->capture_default_str()
        ->group("Recipe");
    upsampler
        ->add_option("--target-zoom", options->targetZoom,
                     "Stage 1: make the target from what the backbone sees in the photo shown so "
                     "many times larger; 1: from the tokens that LoftUp gets, as published")
        ->capture_default_str()
        ->group("Recipe");
    upsampler
        ->add_option("--frequencies", options->frequencies,
                     "Of the pixels' code of place and colour, for fresh weights [published: 20; "
                     "13 with --local-start]")
        ->check(CLI::Range(2, 64))
        ->group("Recipe");
    upsampler
        ->add_option("--token-frequencies", options->tokenFrequencies,
                     "Of the tokens' code of place, for fresh weights [published: 5; 13 with "
                     "--local-start]")
        ->check(CLI::Range(2, 64))
        ->group("Recipe");
    CLI::Option* frozen =
        upsampler
            ->add_flag("--frozen-norms", options->frozenNorms,
                       "BatchNorm keeps its statistics, in training as at inference: those of "
                       "--from, or 0 and 1")
            ->group("Recipe");
    upsampler
        ->add_flag("--local-start", options->localStart,
                   "Fresh weights begin as a smooth interpolation of the tokens, not as noise")
        ->needs(frozen)
        ->excludes("--from")
        ->group("Recipe");
    upsampler
        ->add_flag("--bilateral-start", options->bilateralStart,
                   "Fresh weights begin as a joint bilateral upsampler: tokens near the pixel in "
                   "place and, as far as features tell it, in colour")
        ->needs(frozen)
        ->excludes("--from")
        ->excludes("--local-start")
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
        ->add_option("--match-weight", options->matchWeight,
                     "Stages 1 and 2: of finding the masks of a moved view again in the photo, by "
                     "similarity; 0: left out, as published")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Recipe");
    upsampler
        ->add_option("--match-radius", options->matchRadius,
                     "How far around its place a pixel looks for its mask, in pixels of the map")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    upsampler
        ->add_option("--match-side", options->matchSide,
                     "Side of the square of pixels that look for their masks, in pixels of the map")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    upsampler
        ->add_option("--moving-masks", options->movingMasks,
                     "Share of the moved views in which one mask moves on its own, in front of the "
                     "rest; 0: the whole photo moves as one")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->group("Recipe");
    upsampler
        ->add_option("--match-temperature", options->matchTemperature,
                     "A pixel counts as exp(cosine similarity / temperature) when masks are found")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    upsampler
        ->add_option("--class-weight", options->classWeight,
                     "Stages 1 and 2: of reading the classes that label maps name off single "
                     "features, by a linear head; 0: left out, as published")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Recipe");
    upsampler
        ->add_flag("--checkpoint-activations", options->checkpointing, "Less memory, more time")
        ->group("Recipe");
    return [options](CommandContext& context) { return trainUpsampler(*options, context); };
}

} // namespace loftscope::app
