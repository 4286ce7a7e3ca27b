// SPDX-License-Identifier: Apache-2.0
#include "core/train/upsampler_trainer.h"

#include "core/base/guard.h"
#include "core/train/losses.h"
#include "core/train/normalised_pictures.h"
#include "core/train/shifted_tokens.h"
#include "core/upsample/picture_rects.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_unique2.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace loftscope {

UpsamplerRecipe UpsamplerRecipe::published(int stage, std::int64_t patch) {
    UpsamplerRecipe recipe;
    recipe.stage = stage;
    if (stage < 2) {
        recipe.optimizer.kind = OptimizerKind::NAdam;
        recipe.sizes = {224};
    } else {
        recipe.optimizer.kind = OptimizerKind::AdamW;
        recipe.optimizer.weightDecay = 0.01;
        recipe.learningRate = 1e-3;
        recipe.jitters = 2;
        recipe.tvWeight = 0.05;
        recipe.sizes = {224, 336, 448, patch == 14 ? 518 : 512};
    }
    return recipe;
}

Result<void> UpsamplerRecipe::check(std::int64_t patch) const {
    const auto wrong = [](std::string message) {
        return fail(ErrorCode::InvalidArgument, std::move(message));
    };
    if (stage < 0 || stage > 2)
        return wrong(fmt::format("There is no stage {}: use 0, 1 or 2.", stage));
    if (batch < 1 || accumulation < 1 || jitters < 1 || crops < 1 || projection < 1 ||
        emaEvery < 1) {
        return wrong(
            "Batch, accumulation, views, crops, projection and EMA interval must be at least 1.");
    }
    if (sizes.empty()) return wrong("Give at least one input size.");
    for (const std::int64_t size : sizes) {
        if (size < 2 * patch || size % patch != 0) {
            return wrong(fmt::format("An input size of {} does not work with patches of {} pixels: "
                                     "use a multiple, at least {}.",
                                     size, patch, 2 * patch));
        }
        if (stage == 2 && hrSize < size) {
            return wrong(fmt::format(
                "The teacher's photo ({}) must not be smaller than the input ({}).", hrSize, size));
        }
    }
    if (window != 0 && (window < 2 * patch || window % patch != 0)) {
        return wrong(fmt::format("A window of {} does not work: its side is a multiple of the "
                                 "patch of {} pixels, at least {}.",
                                 window, patch, 2 * patch));
    }
    if (window != 0 && stage == 2 && crops != 1) {
        return wrong(
            fmt::format("A window lies in one crop, but there are {}: use --crops 1.", crops));
    }
    if (targetZoom < 1 || targetZoom > 8 || (targetZoom > 1 && stage != 1)) {
        return wrong(fmt::format("A target zoom of {} does not work: stage 1 takes 1 to 8, stage 2 "
                                 "has its crops instead.",
                                 targetZoom));
    }
    LOFTSCOPE_CHECK(checkTokenShifts(targetShifts, patch));
    if (targetShifts > 1 && stage != 1)
        return wrong("A target from shifted views is for stage 1: leave --target-shifts out.");
    for (const std::int64_t shrink : mapShrinks) {
        if (shrink < 1 || patch % shrink != 0) {
            return wrong(fmt::format("Maps cannot be {} times smaller than the input: use divisors "
                                     "of the patch of {} pixels.",
                                     shrink, patch));
        }
    }
    if (mapShrinks.empty()) return wrong("Give at least one --map-shrink.");
    if (classWeight < 0) return wrong("A class loss needs a weight of at least 0.");
    if (matchWeight < 0 || matchRadius < 1 || matchSide < 1 || !(matchTemperature > 0) ||
        movingMasks < 0 || movingMasks > 1) {
        return wrong("A matching loss needs a weight of at least 0, a radius and a side of at "
                     "least one pixel, a temperature above 0 and a share of moving masks of 0 to "
                     "1.");
    }
    return {};
}

std::string UpsamplerRecipe::describe() const {
    // What is off by default is left out, so that runs that began before it was known resume.
    std::string extras = window > 0 ? fmt::format(" window={}", window) : "";
    if (augmentation.maskDamage.any())
        extras += " mask_damage=" + augmentation.maskDamage.describe();
    if (targetZoom > 1) extras += fmt::format(" target_zoom={}", targetZoom);
    if (targetShifts > 1) extras += fmt::format(" target_shifts={}", targetShifts);
    if (mapShrinks != std::vector<std::int64_t>{1})
        extras += fmt::format(" map_shrinks={}", fmt::join(mapShrinks, ","));
    if (frozenNorms) extras += " norms=frozen";
    if (!coordinates) extras += " coordinates=hidden";
    if (matchWeight > 0) {
        extras += fmt::format(" match={} match_radius={} match_side={} match_temperature={} "
                              "moved=zoom:{},angle:{},shift:{},color:{},noise:{}",
                              matchWeight, matchRadius, matchSide, matchTemperature, movedView.zoom,
                              movedView.angle, movedView.shift, movedView.color, movedView.noise);
        if (movingMasks > 0) extras += fmt::format(" moving_masks={}", movingMasks);
    }
    if (classWeight > 0) extras += fmt::format(" class={}", classWeight);
    return fmt::format(
        "stage={} seed={} batch={} accumulation={} sizes={} arithmetic={} optimizer={} "
        "weight_decay={} lr={} warm_up={} "
        "cosine_steps={} final_share={} first_clip={}x{} clip={} projection={} jitters={} "
        "max_pad={} max_zoom={} flips={} "
        "reconstruction={} tv={} mask={} alpha={} hr_size={} crops={} hr={} hr_alpha={} ema={}/{} "
        "share={} stretch={} "
        "photo_flips={} color={} scales={} all_masks={}{}",
        stage, seed, batch, accumulation, fmt::join(sizes, ","),
        pass.arithmetic == at::kBFloat16 ? "bf16" : "fp32",
        optimizer.kind == OptimizerKind::NAdam ? "nadam" : "adamw", optimizer.weightDecay,
        learningRate, schedule.warmUp, schedule.total, schedule.finalShare, firstClip,
        firstClipSteps, clip, projection, jitters, jitter.maxPad, jitter.maxZoom, jitter.flips,
        reconstructionWeight, tvWeight, maskWeight, maskAlpha, hrSize, crops, hrWeight, hrMaskAlpha,
        emaDecay, emaEvery, augmentation.smallestShare, augmentation.largestStretch,
        augmentation.flips, augmentation.colorJitter,
        fmt::join(augmentation.overSegmentation.scales, ","), augmentation.allMaskMaps, extras);
}

UpsamplerTrainer::UpsamplerTrainer(UpsamplerRecipe recipe, const Backbone& backbone,
                                   TrainableLoftUp student, const PhotoSource& photos,
                                   int decodingThreads, c10::Device device, ProcessGroup group)
    : recipe_(std::move(recipe))
    , backbone_(backbone)
    , photos_(photos)
    , decodingThreads_(decodingThreads)
    , device_(device)
    , group_(std::move(group))
    , share_{recipe_.batch, recipe_.accumulation, group_.rank(), group_.size()}
    , student_(std::move(student))
    , downsampler_(AttentionDownsampler::create(
          student_.spec().channels, backbone.patch(),
          CounterRandom(recipe_.seed, RandomPurpose::Initialisation, 1), device))
    , heads_(ClassHeads::create(recipe_.classWeight > 0 ? photos.classSets() : 0,
                                student_.spec().channels, device))
    , optimizer_(trained(), recipe_.optimizer) {
    recipe_.pass.training = !recipe_.frozenNorms;
    recipe_.augmentation.zoom = recipe_.targetZoom;
    if (!recipe_.coordinates) student_.hideCoordinates();
    if (recipe_.stage == 2) teacher_ = student_.clone();
}

StateDict UpsamplerTrainer::trained() const {
    StateDict all = student_.parameters();
    all.merge(downsampler_.parameters());
    all.merge(heads_.parameters());
    return all;
}

SampleStream::Broken UpsamplerTrainer::brokenPhotos() const {
    return stream_ ? stream_->broken() : SampleStream::Broken{};
}

std::int64_t UpsamplerTrainer::sizeOf(std::int64_t batchIndex) const {
    CounterRandom random(recipe_.seed, RandomPurpose::InputSize,
                         static_cast<std::uint64_t>(batchIndex));
    return random.oneOf(recipe_.sizes);
}

std::int64_t UpsamplerTrainer::shrinkOf(std::int64_t batchIndex) const {
    CounterRandom random(recipe_.seed, RandomPurpose::MapShrink,
                         static_cast<std::uint64_t>(batchIndex));
    return random.oneOf(recipe_.mapShrinks);
}

at::Tensor UpsamplerTrainer::normalised(const at::Tensor& pictures) const {
    return normalisedPictures(pictures, backbone_.normalisation());
}

at::Tensor UpsamplerTrainer::lowResolution(const at::Tensor& guidance) {
    const c10::NoGradGuard noGrad;
    std::vector<at::Tensor> grids;
    for (std::int64_t b = 0; b < guidance.size(0); ++b) {
        auto output = backbone_.run(guidance.narrow(0, b, 1), {}, context_);
        if (!output) {
            if (output.error().code == ErrorCode::Cancelled) throw Cancelled{};
            throw std::runtime_error(output.error().message);
        }
        grids.push_back(output->tokens.values.to(device_));
    }
    // What a backbone computed in inference mode cannot take part in autograd; a copy can.
    return student_.channelNorm(at::stack(grids)).clone();
}

at::Tensor UpsamplerTrainer::projectionOf(std::int64_t batchIndex) const {
    const CounterRandom random(recipe_.seed, RandomPurpose::Projection,
                               static_cast<std::uint64_t>(batchIndex));
    return randomProjection(student_.spec().channels, recipe_.projection, random).to(device_);
}

namespace {

/// Squares of `side` at random places of `area`, whole multiples of `unit` from its corner.
std::vector<Rect> squaresIn(const Rect& area, std::int64_t side, std::int64_t unit,
                            std::int64_t draws, CounterRandom& random) {
    const std::int64_t width = std::min(side, area.width);
    const std::int64_t height = std::min(side, area.height);
    std::vector<Rect> squares;
    for (std::int64_t i = 0; i < draws; ++i) {
        const std::int64_t x = unit * random.below((area.width - width) / unit + 1);
        const std::int64_t y = unit * random.below((area.height - height) / unit + 1);
        squares.push_back({area.x + x, area.y + y, width, height});
    }
    return squares;
}

} // namespace

std::vector<Rect> UpsamplerTrainer::windowsOf(const Extent& extent, std::int64_t batchIndex,
                                              std::int64_t draws) const {
    if (recipe_.window == 0) return {wholeOf(extent)};
    CounterRandom random(recipe_.seed, RandomPurpose::Window,
                         static_cast<std::uint64_t>(batchIndex));
    return squaresIn(wholeOf(extent), recipe_.window, backbone_.patch(), draws, random);
}

namespace {

/// One picture of every sample, B x 3 x H x W.
at::Tensor stacked(const std::vector<TrainingSample>& samples, at::Tensor TrainingSample::*picture,
                   c10::Device device) {
    std::vector<at::Tensor> pictures;
    for (const TrainingSample& sample : samples)
        pictures.push_back(sample.*picture);
    return at::stack(pictures).to(device);
}

/// B x C x H x W pictures with their sides divided by `shrink`: means of the pixels.
at::Tensor shrunk(const at::Tensor& pictures, std::int64_t shrink) {
    return shrink == 1 ? pictures : at::avg_pool2d(pictures, {shrink, shrink});
}

/// The same for H x W label maps: the pixel at the lower right of the middle of each cell.
at::Tensor shrunkLabels(const at::Tensor& labels, std::int64_t shrink) {
    return labels.slice(0, shrink / 2, {}, shrink).slice(1, shrink / 2, {}, shrink);
}

/// H x W label maps with sides of `side`: nearest pixels.
at::Tensor resizedLabels(const at::Tensor& labels, std::int64_t side) {
    if (labels.size(0) == side && labels.size(1) == side) return labels;
    const auto nearest = [side](std::int64_t length) {
        return ((at::arange(side, at::kDouble) + 0.5) *
                (static_cast<double>(length) / static_cast<double>(side)))
            .to(at::kLong);
    };
    return labels.index_select(0, nearest(labels.size(0))).index_select(1, nearest(labels.size(1)));
}

/// Share of the pixels of `place` that do not belong to the mask most of them belong to, summed
/// over all maps.
double mixtureIn(const std::vector<std::vector<at::Tensor>>& masks, const Rect& place) {
    double sum = 0;
    for (const std::vector<at::Tensor>& maps : masks) {
        for (const at::Tensor& map : maps) {
            const at::Tensor labels = cut(map, place).flatten();
            const at::Tensor counts = std::get<2>(at::_unique2(labels, false, false, true));
            sum += 1 - counts.max().item<double>() / static_cast<double>(place.area());
        }
    }
    return sum;
}

/// Where masks are most mixed: where there is one alone there is nothing to find.
Rect mostMixed(const std::vector<Rect>& places, const std::vector<std::vector<at::Tensor>>& masks) {
    return *std::ranges::max_element(places, {},
                                     [&](const Rect& place) { return mixtureIn(masks, place); });
}

constexpr std::int64_t mixedDraws = 4;

/// Back to the size of the input, for pooling by its patches.
at::Tensor repeated(const at::Tensor& map, std::int64_t times) {
    if (times == 1) return map;
    return at::upsample_nearest2d(map, {map.size(2) * times, map.size(3) * times});
}

/// `rect` without `margin` pixels at every side, but no less than half of it.
Rect inset(const Rect& rect, std::int64_t margin) {
    const std::int64_t less = std::min({margin, rect.width / 4, rect.height / 4});
    return {rect.x + less, rect.y + less, rect.width - 2 * less, rect.height - 2 * less};
}

Rect timesAll(const Rect& rect, std::int64_t factor) {
    return {rect.x * factor, rect.y * factor, rect.width * factor, rect.height * factor};
}

Rect dividedAll(const Rect& rect, std::int64_t divisor) {
    return {rect.x / divisor, rect.y / divisor, rect.width / divisor, rect.height / divisor};
}

/// A view's projected features, their saliency, and which of its tokens are known.
struct ShownPart {
    at::Tensor projected;
    at::Tensor saliency;
    Rect tokens;      ///< of the view that `projected` and `saliency` cover
    at::Tensor known; ///< 1 x 1 x h x w of those tokens: 1 where all pixels that one is pooled from
                      ///< are features of the window, else 0
};

/// What `jitter` shows of features that are known in `window` only.
ShownPart shownPart(const at::Tensor& projected, const at::Tensor& saliency, const Rect& window,
                    const Extent& extent, const ViewJitter& jitter, std::int64_t patch) {
    const Rect all{0, 0, extent.width / patch, extent.height / patch};
    if (window == wholeOf(extent)) {
        return {applyViewJitter(projected, jitter), applyViewJitter(saliency, jitter), all,
                at::ones({1, 1, all.height, all.width}, projected.options())};
    }
    const auto onCanvas = [&](const at::Tensor& part) {
        return applyViewJitter(
            at::constant_pad_nd(part, {window.x, extent.width - window.right(), window.y,
                                       extent.height - window.bottom()}),
            jitter);
    };
    const at::Tensor unknown =
        onCanvas(at::ones({1, 1, window.height, window.width}, projected.options())).lt(1 - 1e-4);
    // Pooling blurs by 5 x 5 pixels first, so a token needs two pixels beyond its own.
    const at::Tensor known = at::max_pool2d(unknown.to(projected.scalar_type()),
                                            {patch + 4, patch + 4}, {patch, patch}, {2, 2})
                                 .eq(0);
    const auto span = [&](std::int64_t across) -> std::pair<std::int64_t, std::int64_t> {
        const at::Tensor lines = known[0][0].any(across).nonzero().flatten();
        if (lines.numel() == 0) return {0, 0};
        const auto first = lines[0].item<std::int64_t>();
        return {first, lines[-1].item<std::int64_t>() + 1 - first};
    };
    const auto [y, rows] = span(1);
    const auto [x, columns] = span(0);
    // One token more on every side, for the blur.
    const std::int64_t left = std::max<std::int64_t>(0, x - 1);
    const std::int64_t top = std::max<std::int64_t>(0, y - 1);
    const Rect tokens{left, top, std::min(all.width, x + columns + 1) - left,
                      std::min(all.height, y + rows + 1) - top};
    const auto cut = [&](const at::Tensor& map, std::int64_t unit) {
        return map.narrow(2, tokens.y * unit, tokens.height * unit)
            .narrow(3, tokens.x * unit, tokens.width * unit);
    };
    return {cut(onCanvas(projected), patch), cut(onCanvas(saliency), patch), tokens,
            cut(known.to(projected.scalar_type()), 1)};
}

} // namespace

BatchLoss UpsamplerTrainer::reconstruction(const at::Tensor& input, std::int64_t shrink,
                                           const Rect& window, const at::Tensor& features,
                                           const at::Tensor& projected,
                                           const at::Tensor& projection, std::int64_t batchIndex) {
    // Projection, saliency, view change, blur and pooling with given weights all act per channel or
    // per pixel: projecting to 64 channels first gives the same loss for a third of the work.
    const at::Tensor saliency = repeated(downsampler_.saliency(features), shrink);
    const at::Tensor shown = repeated(projected, shrink);
    const Extent extent{input.size(2), input.size(3)};
    const Rect covered = timesAll(window, shrink);
    const bool whole = covered == wholeOf(extent);
    at::Tensor reconstruction;
    at::Tensor tv;
    for (std::int64_t j = 0; j < recipe_.jitters; ++j) {
        const auto draw = static_cast<std::uint64_t>(batchIndex * recipe_.jitters + j);
        const ViewJitter jitter = sampleViewJitter(
            extent, recipe_.jitter, CounterRandom(recipe_.seed, RandomPurpose::View, draw));
        const ShownPart part =
            shownPart(shown, saliency, covered, extent, jitter, backbone_.patch());
        const at::Tensor wanted =
            projectChannels(lowResolution(applyViewJitter(input, jitter)), projection)
                .narrow(2, part.tokens.y, part.tokens.height)
                .narrow(3, part.tokens.x, part.tokens.width);
        CounterRandom dropout(recipe_.seed, RandomPurpose::Dropout, draw);
        const at::Tensor pooled = downsampler_.pool(part.projected, part.saliency, &dropout);
        const at::Tensor error =
            whole ? at::mse_loss(pooled, wanted)
                  : ((pooled - wanted).square() * part.known).sum() /
                        (part.known.sum() * pooled.size(0) * pooled.size(1)).clamp_min(1);
        reconstruction = j == 0 ? error : reconstruction + error;
        if (j == 0) tv = totalVariation(whole && shrink == 1 ? part.projected : projected);
    }
    return {
        reconstruction * recipe_.reconstructionWeight + tv * recipe_.tvWeight,
        {{"reconstruction", reconstruction.item<double>() / static_cast<double>(recipe_.jitters)},
         {"tv", tv.item<double>()}}};
}

void UpsamplerTrainer::addMatching(BatchLoss& loss, const std::vector<TrainingSample>& samples,
                                   const at::Tensor& pictures, const MaskMaps& masks,
                                   std::int64_t shrink, const Rect& window,
                                   const at::Tensor& features, std::int64_t batchIndex) {
    if (recipe_.matchWeight == 0) return;
    std::vector<at::Tensor> views;
    MaskMaps shown;
    MaskMaps shownByView;
    for (std::size_t b = 0; b < samples.size(); ++b) {
        CounterRandom random(recipe_.seed, RandomPurpose::MovedView,
                             static_cast<std::uint64_t>(samples[b].index));
        MovedView view = sampleMovedView(recipe_.movedView, random);
        if (recipe_.movingMasks > 0 && !masks[b].empty() && random.chance(recipe_.movingMasks))
            sampleMovingMask(view, random.oneOf(masks[b]), recipe_.movedView, random);
        views.push_back(
            movedPicture(pictures.select(0, static_cast<std::int64_t>(b)), view, random));
        shown.emplace_back();
        shownByView.emplace_back();
        for (const at::Tensor& map : masks[b]) {
            shown.back().push_back(shrunkLabels(map, shrink));
            shownByView.back().push_back(shrunkLabels(movedLabels(map, view), shrink));
        }
    }
    // Those that look are few, so that the window shows most of what they may find.
    CounterRandom random(recipe_.seed, RandomPurpose::MatchPlace,
                         static_cast<std::uint64_t>(batchIndex));
    const Rect looking = mostMixed(
        squaresIn(inset(window, recipe_.matchRadius), recipe_.matchSide, 1, mixedDraws, random),
        shownByView);
    const at::Tensor input = normalised(at::stack(views));
    const at::Tensor found =
        student_.forward(lowResolution(input), shrunk(input, shrink), recipe_.pass, looking);
    at::Tensor match = at::zeros({}, features.options());
    std::int64_t maps = 0;
    for (std::size_t b = 0; b < samples.size(); ++b) {
        const auto index = static_cast<std::int64_t>(b);
        for (std::size_t k = 0; k < masks[b].size(); ++k, ++maps) {
            match =
                match +
                matchingLoss({found.select(0, index), cut(shownByView[b][k], looking).to(device_)},
                             {features.select(0, index), cut(shown[b][k], window).to(device_)},
                             {looking.x - window.x, looking.y - window.y}, recipe_.matchRadius,
                             recipe_.matchTemperature);
        }
    }
    match = match / static_cast<double>(std::max<std::int64_t>(1, maps));
    loss.parts["match"] = match.item<double>();
    loss.total = loss.total + match * recipe_.matchWeight;
}

void UpsamplerTrainer::addClasses(BatchLoss& loss, const std::vector<TrainingSample>& samples,
                                  std::int64_t size, std::int64_t shrink, const Rect& window,
                                  const at::Tensor& features) {
    if (recipe_.classWeight == 0) return;
    // Heads take part even in batches without classes: every process must hold their gradients.
    at::Tensor sum = at::zeros({}, features.options());
    for (const auto& [name, parameter] : heads_.parameters())
        sum = sum + parameter.sum() * 0;
    for (std::size_t b = 0; b < samples.size(); ++b) {
        if (!samples[b].classes.defined()) continue;
        const at::Tensor scores =
            heads_.scores(features.select(0, static_cast<std::int64_t>(b)), samples[b].classSet);
        const at::Tensor classes = shrunkLabels(resizedLabels(samples[b].classes, size), shrink);
        sum = sum + classLoss(scores, cut(classes, window).to(device_));
    }
    sum = sum / static_cast<double>(samples.size());
    loss.parts["class"] = sum.item<double>();
    loss.total = loss.total + sum * recipe_.classWeight;
}

at::Tensor UpsamplerTrainer::largePictures(const std::vector<TrainingSample>& samples) const {
    return normalised(stacked(samples, &TrainingSample::large, device_));
}

BatchLoss UpsamplerTrainer::stageZero(const std::vector<TrainingSample>& samples,
                                      std::int64_t batchIndex) {
    const at::Tensor guidance = normalised(stacked(samples, &TrainingSample::picture, device_));
    const at::Tensor seen = lowResolution(guidance);
    // Another order for every photo; the same for all channels.
    CounterRandom random(recipe_.seed, RandomPurpose::TokenOrder,
                         static_cast<std::uint64_t>(batchIndex));
    std::vector<at::Tensor> shuffled;
    for (std::int64_t b = 0; b < seen.size(0); ++b) {
        std::vector<std::int64_t> order(static_cast<std::size_t>(seen.size(2) * seen.size(3)));
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t i = order.size(); i > 1; --i) {
            std::swap(order[i - 1],
                      order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
        }
        shuffled.push_back(seen.select(0, b)
                               .flatten(1)
                               .index_select(1, at::tensor(order).to(device_))
                               .view({seen.size(1), seen.size(2), seen.size(3)}));
    }
    const at::Tensor low = at::stack(shuffled);
    const Extent extent{guidance.size(2), guidance.size(3)};
    const Rect window = windowsOf(extent, batchIndex, 1).front();
    const at::Tensor features = student_.forward(low, guidance, recipe_.pass, window);
    at::Tensor target;
    {
        const c10::NoGradGuard noGrad;
        target = at::upsample_bilinear2d(low, {extent.height, extent.width}, false)
                     .narrow(2, window.y, window.height)
                     .narrow(3, window.x, window.width);
    }
    const at::Tensor place = at::mse_loss(features, target);
    return {place, {{"place", place.item<double>()}, {"variance", target.var().item<double>()}}};
}

BatchLoss UpsamplerTrainer::stageOne(const std::vector<TrainingSample>& samples,
                                     std::int64_t batchIndex) {
    const at::Tensor pictures = stacked(samples, &TrainingSample::picture, device_);
    const at::Tensor input = normalised(pictures);
    const at::Tensor low = lowResolution(input);
    const std::int64_t shrink = shrinkOf(batchIndex);
    const at::Tensor guidance = shrunk(input, shrink);
    MaskMaps masks;
    MaskMaps shown; // of the map's size
    for (const TrainingSample& sample : samples) {
        masks.push_back(sample.segments);
        shown.emplace_back();
        for (const at::Tensor& map : sample.segments)
            shown.back().push_back(shrunkLabels(map, shrink));
    }
    const bool mixed = recipe_.matchWeight > 0 || recipe_.classWeight > 0;
    const Rect window = mostMixed(
        windowsOf({guidance.size(2), guidance.size(3)}, batchIndex, mixed ? mixedDraws : 1), shown);
    const at::Tensor features = student_.forward(low, guidance, recipe_.pass, window);
    const at::Tensor projection = projectionOf(batchIndex);
    const at::Tensor projected = projectChannels(features, projection);
    BatchLoss loss =
        reconstruction(input, shrink, window, features, projected, projection, batchIndex);

    // Equation 1. Resizing and averaging act per channel, so the target too is made after the
    // projection.
    at::Tensor target;
    {
        const c10::NoGradGuard noGrad;
        const bool finer = recipe_.targetZoom > 1 || recipe_.targetShifts > 1;
        const at::Tensor seen =
            finer ? shiftedTokens(recipe_.targetZoom > 1 ? largePictures(samples) : input,
                                  backbone_.patch(), recipe_.targetShifts,
                                  [this](const at::Tensor& view) { return lowResolution(view); })
                  : low;
        const at::Tensor bicubic = at::upsample_bicubic2d(
            projectChannels(seen, projection), {guidance.size(2), guidance.size(3)}, false);
        std::vector<at::Tensor> refined;
        for (std::size_t b = 0; b < samples.size(); ++b) {
            at::Tensor map = bicubic.select(0, static_cast<std::int64_t>(b));
            for (const at::Tensor& segments : shown[b])
                map = segmentRefine(map, segments.to(device_), recipe_.maskAlpha);
            refined.push_back(map);
        }
        target =
            at::stack(refined).narrow(2, window.y, window.height).narrow(3, window.x, window.width);
    }
    const at::Tensor mask = at::mse_loss(projected, target);
    loss.parts["mask"] = mask.item<double>();
    loss.total = loss.total + mask * recipe_.maskWeight;
    addMatching(loss, samples, pictures, masks, shrink, window, features, batchIndex);
    addClasses(loss, samples, input.size(2), shrink, window, features);
    return loss;
}

namespace {

/// Where stage 2 compares student and teacher.
struct TaughtPlace {
    Rect crop;    ///< of the large photo: what the teacher sees
    Rect part;    ///< of the crop, or of its map: what the teacher computes
    Rect student; ///< of the student's input, or of its map: what shows the same
};

/// A random place. The large photo is a square of `hrSize` pixels, crops and inputs of `size`; a
/// crop is compared in a window of `window` of the input's pixels, 0: all of it. Whatever lies in
/// the maps does so in whole cells of `cell` pixels.
TaughtPlace taughtPlace(std::int64_t size, std::int64_t hrSize, std::int64_t patch,
                        std::int64_t window, std::int64_t cell, CounterRandom& random) {
    const auto cells = [cell](double length) {
        return cell * static_cast<std::int64_t>(std::lround(length / static_cast<double>(cell)));
    };
    const double zoom = static_cast<double>(hrSize) / static_cast<double>(size);
    const auto offset = [&] { return patch * random.below((hrSize - size) / patch + 1); };
    const std::int64_t x = offset();
    const std::int64_t y = offset();
    // What the crop shows takes so many pixels of the student's input.
    const std::int64_t shown = cells(static_cast<double>(size) / zoom);
    const auto inStudent = [&](std::int64_t position) {
        return std::min(size - shown, cells(static_cast<double>(position) / zoom));
    };
    const Rect all{inStudent(x), inStudent(y), shown, shown};
    const Rect crop{x, y, size, size};
    if (window == 0 || window >= shown) return {crop, wholeOf({size, size}), all};
    const std::int64_t right = cell * random.below((shown - window) / cell + 1);
    const std::int64_t down = cell * random.below((shown - window) / cell + 1);
    const auto inCrop = [&](std::int64_t length) {
        return cells(static_cast<double>(length) * zoom);
    };
    const std::int64_t side = std::min(size, inCrop(window));
    const Rect part{std::min(size - side, inCrop(right)), std::min(size - side, inCrop(down)), side,
                    side};
    return {crop, part, {all.x + right, all.y + down, window, window}};
}

} // namespace

BatchLoss UpsamplerTrainer::stageTwo(const std::vector<TrainingSample>& samples,
                                     std::int64_t batchIndex) {
    const std::int64_t size = sizeOf(batchIndex);
    const std::int64_t hrSize = recipe_.hrSize;
    const at::Tensor photo = stacked(samples, &TrainingSample::picture, device_); // hrSize x hrSize
    const at::Tensor small =
        size == hrSize ? photo : at::_upsample_bilinear2d_aa(photo, {size, size}, false);
    const at::Tensor input = normalised(small);
    const std::int64_t shrink = shrinkOf(batchIndex);
    CounterRandom random(recipe_.seed, RandomPurpose::Crop, static_cast<std::uint64_t>(batchIndex));
    std::vector<TaughtPlace> places;
    for (std::int64_t c = 0; c < recipe_.crops; ++c) {
        const TaughtPlace place =
            taughtPlace(size, hrSize, backbone_.patch(), recipe_.window * shrink, shrink, random);
        places.push_back(
            {place.crop, dividedAll(place.part, shrink), dividedAll(place.student, shrink)});
    }
    const Rect window =
        recipe_.window == 0 ? wholeOf({size / shrink, size / shrink}) : places[0].student;
    const at::Tensor features =
        student_.forward(lowResolution(input), shrunk(input, shrink), recipe_.pass, window);
    const at::Tensor projection = projectionOf(batchIndex);
    const at::Tensor projected = projectChannels(features, projection);
    BatchLoss loss =
        reconstruction(input, shrink, window, features, projected, projection, batchIndex);

    LoftUpPass teaching = recipe_.pass;
    teaching.training = false;
    at::Tensor affinity;
    for (const auto& [crop, part, student] : places) {
        at::Tensor target;
        {
            const c10::NoGradGuard noGrad;
            const at::Tensor seen = normalised(cut(photo, crop));
            const at::Tensor taught =
                teacher_->forward(lowResolution(seen), shrunk(seen, shrink), teaching, part);
            std::vector<at::Tensor> refined;
            for (std::size_t b = 0; b < samples.size(); ++b) {
                at::Tensor map = taught.select(0, static_cast<std::int64_t>(b));
                for (const at::Tensor& segments : samples[b].segments)
                    map = segmentRefine(
                        map, cut(shrunkLabels(cut(segments, crop), shrink), part).to(device_),
                        recipe_.hrMaskAlpha);
                refined.push_back(map);
            }
            target =
                at::upsample_bilinear2d(at::stack(refined), {student.height, student.width}, false);
        }
        const at::Tensor region = cut(
            features, {student.x - window.x, student.y - window.y, student.width, student.height});
        const at::Tensor difference = affinityLoss(region, target);
        affinity = affinity.defined() ? affinity + difference : difference;
    }
    affinity = affinity / static_cast<double>(recipe_.crops);
    loss.parts["affinity"] = affinity.item<double>();
    loss.total = loss.total + affinity * recipe_.hrWeight;
    MaskMaps masks;
    for (const TrainingSample& sample : samples) {
        masks.emplace_back();
        for (const at::Tensor& map : sample.segments)
            masks.back().push_back(resizedLabels(map, size));
    }
    addMatching(loss, samples, small, masks, shrink, window, features, batchIndex);
    addClasses(loss, samples, size, shrink, window, features);
    return loss;
}

Result<StepReport> UpsamplerTrainer::step(const RunContext& context) {
    return guarded("training", [&]() -> Result<StepReport> {
        context_ = context;
        const std::int64_t done = steps();
        if (!stream_) {
            SampleStreamOptions options;
            options.seed = recipe_.seed;
            options.index = [share = share_, first = done * share_.batches() * share_.batch](
                                std::int64_t own) { return share.sampleIndex(first + own); };
            options.threads = decodingThreads_;
            options.ahead = std::max<std::int64_t>(4, 2 * decodingThreads_);
            options.extent = [this](std::int64_t index) {
                const std::int64_t side =
                    recipe_.stage == 2 ? recipe_.hrSize : sizeOf(index / recipe_.batch);
                return Extent{side, side};
            };
            options.augmentation = recipe_.augmentation;
            stream_ = std::make_unique<SampleStream>(photos_, std::move(options));
        }
        const auto loss = [&](std::int64_t batchIndex) -> Result<BatchLoss> {
            std::vector<TrainingSample> samples;
            for (std::int64_t b = 0; b < recipe_.batch; ++b) {
                LOFTSCOPE_TRY(TrainingSample sample, stream_->next());
                samples.push_back(std::move(sample));
            }
            if (recipe_.stage == 0) return stageZero(samples, batchIndex);
            return recipe_.stage == 2 ? stageTwo(samples, batchIndex)
                                      : stageOne(samples, batchIndex);
        };
        const bool starting = done < recipe_.firstClipSteps && recipe_.firstClip > 0;
        const StepOptions options{share_, recipe_.learningRate * recipe_.schedule.factor(done),
                                  starting ? recipe_.firstClip : recipe_.clip};
        LOFTSCOPE_TRY(StepReport report,
                      takeStep(optimizer_, trained(), group_, options, loss, context));
        LOFTSCOPE_CHECK(student_.updateStatistics(group_));
        if (teacher_ && report.step % recipe_.emaEvery == 0)
            teacher_->average(student_, recipe_.emaDecay);
        return report;
    });
}

std::string UpsamplerTrainer::title() const {
    return fmt::format("stage {}", recipe_.stage);
}

StateDict UpsamplerTrainer::state() const {
    StateDict state;
    addPrefixed(state, "student.", student_.state());
    if (teacher_) addPrefixed(state, "teacher.", teacher_->state());
    addPrefixed(state, "", downsampler_.parameters());
    addPrefixed(state, "", heads_.parameters());
    addPrefixed(state, "moments.", optimizer_.state());
    return state;
}

Result<void> UpsamplerTrainer::restore(const StateDict& state) {
    return guarded("restoring a training run", [&]() -> Result<void> {
        LOFTSCOPE_CHECK(copyState(this->state(), state, "moments."));
        LOFTSCOPE_CHECK(optimizer_.restore(withoutPrefix(state, "moments.")));
        stream_.reset();
        return {};
    });
}

std::vector<ExportedModel> UpsamplerTrainer::exports() const {
    const auto exported = [](const char* file, const TrainableLoftUp& model) {
        return ExportedModel{
            file,
            exportedState(model),
            {{"layout", "loftup"}, {"channels", fmt::format("{}", model.spec().channels)}}};
    };
    std::vector<ExportedModel> models{exported("loftup.safetensors", student_)};
    if (teacher_) models.push_back(exported("loftup_ema.safetensors", *teacher_));
    return models;
}

StateDict exportedState(const TrainableLoftUp& model) {
    StateDict state = model.state();
    for (auto& [key, tensor] : state) {
        const bool exact = key.ends_with(".biases") || key.ends_with("running_mean") ||
                           key.ends_with("running_var") || !tensor.is_floating_point();
        tensor = tensor.to(at::kCPU);
        if (!exact) tensor = tensor.to(at::kHalf);
    }
    return state;
}

} // namespace loftscope
