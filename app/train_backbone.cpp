// SPDX-License-Identifier: Apache-2.0
// loftscope train backbone: several teachers distilled into one small vision transformer.
#include "app/train_options.h"
#include "core/base/number.h"
#include "core/train/backbone_trainer.h"
#include "core/train/training_preview.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace loftscope::app {

namespace {

struct BackboneOptions {
    std::vector<std::string> teachers;
    std::string from;
    std::string stem;
    VitSize size;
    DataOptions data;
    ScheduleOptions schedule;
    std::vector<std::string> sizes;
    double learningRate = 1.5e-3;
    double weightDecay = 0.05;
    bool constantRate = false;
    double clip = 1;
    double ema = 0.999;
    std::string view = "photo";
    std::int64_t photoSide = 256;
    std::int64_t fitPhotos = 128;
    double cacheGigabytes = 8;
    double smallestShare = 0.35;
    double colorJitter = 0.2;
};

/// "192" or "192x256" (height x width).
Result<Extent> extentFrom(const std::string& text) {
    const std::size_t cross = text.find('x');
    const auto number = [](std::string_view part, std::int64_t& value) {
        value = parsedNumber<std::int64_t>(part).value_or(0);
        return value > 0;
    };
    Extent extent;
    const std::string_view all = text;
    const bool whole = number(all.substr(0, cross), extent.height) &&
                       (cross == std::string::npos ? (extent.width = extent.height, true)
                                                   : number(all.substr(cross + 1), extent.width));
    if (whole) return extent;
    return fail(ErrorCode::InvalidArgument,
                fmt::format("'{}' is no input size: use for example 192 or 192x256.", text));
}

Result<BackboneRecipe> recipeFrom(const BackboneOptions& options, at::ScalarType arithmetic,
                                  std::int64_t patch) {
    BackboneRecipe recipe = BackboneRecipe::forPatch(patch);
    recipe.seed = options.schedule.seed;
    recipe.batch = options.schedule.batch;
    recipe.accumulation = options.schedule.accumulation;
    if (!options.sizes.empty()) recipe.sizes.clear();
    for (const std::string& text : options.sizes) {
        LOFTSCOPE_TRY(const Extent extent, extentFrom(text));
        recipe.sizes.push_back(extent);
    }
    recipe.arithmetic = arithmetic;
    recipe.learningRate = options.learningRate;
    recipe.optimizer.weightDecay = options.weightDecay;
    recipe.schedule.warmUp = options.schedule.warmUp;
    recipe.schedule.total = options.constantRate ? 0 : options.schedule.steps;
    recipe.clip = options.clip;
    recipe.emaDecay = options.ema;
    recipe.view = options.view == "crop" ? TeacherView::Crop : TeacherView::Photo;
    recipe.photoSide = options.photoSide;
    recipe.fitPhotos = options.fitPhotos;
    recipe.augmentation.smallestShare = options.smallestShare;
    recipe.augmentation.colorJitter = options.colorJitter;
    LOFTSCOPE_CHECK(recipe.check(patch));
    return recipe;
}

Result<TrainableVit> studentFor(const BackboneOptions& options, c10::Device device) {
    if (options.from.empty()) {
        VitSize size = options.size;
        LOFTSCOPE_TRY(size.stem, stemFrom(options.stem));
        LOFTSCOPE_TRY(const VitSpec spec, size.spec());
        const CounterRandom random(options.schedule.seed, RandomPurpose::Initialisation, 0);
        return TrainableVit::create(size, spec, random, device);
    }
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(options.from));
    LOFTSCOPE_TRY(const VitSpec spec, recogniseVit(file.tensors));
    if (spec.layout != VitLayout::Hub) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("'{}' is a {} checkpoint: only the layout of DINOv2's hub, which "
                                "`train backbone` writes, can be continued from.",
                                options.from, nameOf(spec.layout)));
    }
    return TrainableVit::fromState(canonicalVitState(file.tensors, spec), spec, device);
}

Result<void> trainBackbone(const BackboneOptions& options, CommandContext& context) {
    keepFreedMemory();
    std::vector<TeacherSpec> specs;
    for (const std::string& text : options.teachers) {
        LOFTSCOPE_TRY(TeacherSpec spec, parseTeacherSpec(text));
        specs.push_back(std::move(spec));
    }
    LOFTSCOPE_TRY(const TrainingPlace place, trainingPlace(context, options.schedule));
    LOFTSCOPE_TRY(TrainableVit student, studentFor(options, place.device));
    LOFTSCOPE_TRY(const BackboneRecipe recipe,
                  recipeFrom(options, place.arithmetic, student.spec().patch));
    LOFTSCOPE_TRY(const auto photos, openData(options.data));
    std::vector<DistillationTarget> targets;
    for (const TeacherSpec& spec : specs) {
        LOFTSCOPE_TRY(std::unique_ptr<Teacher> teacher,
                      openTeacher(spec, place.device, place.arithmetic));
        targets.push_back({std::move(teacher), spec.label(), spec.weight, spec.dims});
    }
    const std::filesystem::path folder = options.schedule.out;
    const TargetCacheOptions cache{
        options.cacheGigabytes > 0 ? folder / fmt::format("targets_{}.cache", place.group.rank())
                                   : std::filesystem::path(),
        static_cast<std::int64_t>(options.cacheGigabytes * 1e9)};
    BackboneTrainer trainer(recipe, std::move(targets), std::move(student), *photos,
                            options.schedule.decodingThreads, place.device, place.group, cache);
    const Extent largest =
        *std::max_element(recipe.sizes.begin(), recipe.sizes.end(),
                          [](const Extent& a, const Extent& b) { return a.area() < b.area(); });
    const PreviewRows preview{photos.get(), largest, [&](const at::Tensor& picture) {
                                  return previewRow(trainer, picture, place.device);
                              }};
    return runAndReport(trainer, options.schedule, {{"photos", fmt::format("{}", photos->size())}},
                        preview, context);
}

} // namespace

CommandBody addTrainBackbone(CLI::App& train) {
    auto options = std::make_shared<BackboneOptions>();
    options->schedule.batch = 8;
    options->schedule.accumulation = 4;
    options->schedule.warmUp = 60;
    CLI::App* backbone = train.add_subcommand(
        "backbone", "Distils teachers into a small vision transformer; the same command resumes a "
                    "run that was stopped or killed");
    const auto positive = CLI::PositiveNumber;
    backbone
        ->add_option("--teacher", options->teachers,
                     "FILE[:KEY=VALUE,...], several: a convolutional graph (tap=, stride=, "
                     "pads=reversed), a backbone or a TorchScript module (patch=, values=), which "
                     "is a program and is run; for all: weight=, dims=, size=x2")
        ->required();
    declareData(*backbone, options->data, false);
    declareSchedule(*backbone, options->schedule);
    backbone->add_option("--from", options->from,
                         "Backbone to start from, instead of random weights and the sizes below");

    const auto size = [&](const char* name, std::int64_t& value, const char* help) {
        backbone->add_option(name, value, help)
            ->capture_default_str()
            ->check(positive)
            ->group("Size");
    };
    size("--patch", options->size.patch, "In pixels");
    size("--width", options->size.width, "Channels of a token, a multiple of 64 (one head each)");
    size("--depth", options->size.depth, "Blocks");
    size("--grid", options->size.grid, "Side of the learned position table");
    backbone
        ->add_option("--stem", options->stem,
                     "Convolutions before the patches, a stage for each halving: channels and "
                     "residual blocks, for example 24,48x1,96x2,192x2 [none]")
        ->group("Size");
    backbone->add_option("--mlp", options->size.mlp, "Width inside the MLP, relative")
        ->capture_default_str()
        ->check(positive)
        ->group("Size");
    backbone
        ->add_option("--layer-scale", options->size.layerScale, "Initial LayerScale; 0: without")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Size");

    backbone
        ->add_option(
            "--sizes", options->sizes,
            "Inputs in pixels, H or HxW, one at random per batch [160 to 320, some oblong]")
        ->delimiter(',')
        ->group("Recipe");
    backbone->add_option("--lr", options->learningRate, "Peak learning rate")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    backbone->add_option("--weight-decay", options->weightDecay, "Of matrices")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Recipe");
    backbone
        ->add_flag("--constant-lr", options->constantRate,
                   "Keep the learning rate, so that --steps may be raised later; without, it falls "
                   "to 0 along half a cosine")
        ->group("Recipe");
    backbone->add_option("--clip", options->clip, "Largest gradient norm; 0: none")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Recipe");
    backbone->add_option("--ema", options->ema, "Decay of the average that is exported")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->group("Recipe");
    backbone
        ->add_option("--teachers-see", options->view,
                     "photo: the whole photo, once, kept on disk; crop: every crop itself")
        ->capture_default_str()
        ->check(CLI::IsMember({"photo", "crop"}))
        ->group("Recipe");
    backbone
        ->add_option("--photo-side", options->photoSide,
                     "Short side in pixels that a whole photo counts as, for size=x2")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    backbone
        ->add_option("--fit-photos", options->fitPhotos, "Photos that the whitening is fitted on")
        ->capture_default_str()
        ->check(positive)
        ->group("Recipe");
    backbone
        ->add_option("--target-cache", options->cacheGigabytes,
                     "Gigabytes of targets kept in the run's folder, at most; 0: none")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber)
        ->group("Data");
    backbone
        ->add_option("--smallest-share", options->smallestShare,
                     "Smallest crop, as a share of the largest one's area")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 1.0))
        ->group("Data");
    backbone
        ->add_option("--color-jitter", options->colorJitter,
                     "Brightness, contrast and saturation change by up to this")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.9))
        ->group("Data");
    return [options](CommandContext& context) { return trainBackbone(*options, context); };
}

} // namespace loftscope::app
