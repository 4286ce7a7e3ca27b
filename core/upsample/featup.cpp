// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/featup.h"

#include "core/base/guard.h"
#include "core/upsample/interpolation.h"
#include "core/weights/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace loftscope {

namespace {

constexpr std::size_t stages = 4;
constexpr std::int64_t featUpFactor = 16; ///< of all stages together
constexpr std::int64_t radius = 3;
constexpr std::int64_t kernelSide = 2 * radius + 1;
constexpr std::int64_t kernelTaps = kernelSide * kernelSide;
constexpr std::int64_t codeWidth = 32; ///< of what a pixel's colour is compared by
constexpr double fixupShare = 0.1;

/// One stage, `up1` to `up4`: doubles the size.
struct Stage {
    double temperature = 1; ///< exp(`range_temp`), clamped
    at::Tensor nearness;    ///< taps: Gaussian of the distance, of width `sigma_spatial`
    Linear range_proj_0;
    Linear range_proj_3;
    Linear fixup_proj_0; ///< from the taps' weights and the colour
    Linear fixup_proj_3; ///< to what is added to the weights
};

struct FeatUpWeights {
    std::int64_t channels = 0;
    std::optional<LayerNorm> channelNorm; ///< of releases that normalise the features first
    std::array<Stage, stages> up;
    Linear fixup_proj; ///< mixes the channels of the result
    c10::Device device = c10::kCPU;
};

Linear readPointwise(const WeightScope& scope, std::int64_t out, std::int64_t in,
                     c10::Device device) {
    return {scope("weight", {out, in, 1, 1}).flatten(1).to(device),
            scope("bias", {out}).to(device)};
}

Stage readStage(const WeightScope& scope, c10::Device device) {
    const double temperature = std::exp(scope("range_temp", {}).item<double>());
    const double sigma = scope("sigma_spatial", {}).item<double>();
    const at::Tensor place = at::linspace(-1, 1, kernelSide);
    const at::Tensor distance = place.square().unsqueeze(1) + place.square().unsqueeze(0);
    return {.temperature = std::clamp(temperature, 1e-4, 1e4),
            .nearness = (-distance / (2 * sigma * sigma)).exp().flatten().to(device),
            .range_proj_0 = readPointwise(scope["range_proj"][0], codeWidth, 3, device),
            .range_proj_3 = readPointwise(scope["range_proj"][3], codeWidth, codeWidth, device),
            .fixup_proj_0 =
                readPointwise(scope["fixup_proj"][0], kernelTaps, kernelTaps + 3, device),
            .fixup_proj_3 = readPointwise(scope["fixup_proj"][3], kernelTaps, kernelTaps, device)};
}

/// Where the parts of the file lie: the stack, and the norm beside it.
struct FeatUpPlace {
    std::string stack; ///< "upsampler." in Lightning's checkpoints
    std::string norm;  ///< "model.1.norm"; empty where there is none
    std::int64_t channels = 0;
};

FeatUpWeights readFeatUpWeights(const WeightScope& root, const FeatUpPlace& place,
                                c10::Device device) {
    const WeightScope stack =
        place.stack.empty() ? root : root[place.stack.substr(0, place.stack.size() - 1)];
    FeatUpWeights weights{
        .channels = place.channels,
        .channelNorm = std::nullopt,
        .up = {readStage(stack["up1"], device), readStage(stack["up2"], device),
               readStage(stack["up3"], device), readStage(stack["up4"], device)},
        .fixup_proj = readPointwise(stack["fixup_proj"][1], place.channels, place.channels, device),
        .device = device};
    if (!place.norm.empty())
        weights.channelNorm = readLayerNorm(root[place.norm], place.channels, 1e-5, device);
    return weights;
}

// --- the field ----------------------------------------------------------------------------------

/// A span of pixels along one side, with the radius beyond either end mirrored at the border.
struct MirroredSpan {
    std::int64_t first = 0; ///< the pixels that take part
    std::int64_t last = 0;  ///< one past
    at::Tensor index;       ///< count + 2 radius positions, counted from `first`
};

MirroredSpan mirrored(std::int64_t begin, std::int64_t count, std::int64_t size,
                      c10::Device device) {
    std::vector<std::int64_t> places;
    for (std::int64_t i = begin - radius; i < begin + count + radius; ++i) {
        const std::int64_t fromStart = i < 0 ? -i : i;
        places.push_back(fromStart < size ? fromStart : 2 * (size - 1) - fromStart);
    }
    MirroredSpan span;
    span.first = *std::ranges::min_element(places);
    span.last = *std::ranges::max_element(places) + 1;
    for (std::int64_t& place : places)
        place -= span.first;
    span.index = at::tensor(places, at::kLong).to(device);
    return span;
}

class FeatUpField final : public FeatureField {
public:
    FeatUpField(std::shared_ptr<const FeatUpWeights> weights, const FeatureGrid& low,
                const at::Tensor& picture)
        : weights_(std::move(weights))
        , low_(low.values.to(weights_->device)) {
        if (weights_->channelNorm)
            low_ = (*weights_->channelNorm)(low_.permute({1, 2, 0})).permute({2, 0, 1});
        extents_[0] = low.extent();
        for (std::size_t i = 1; i <= stages; ++i) {
            extents_[i] = {2 * extents_[i - 1].height, 2 * extents_[i - 1].width};
            pictures_[i] = at::adaptive_avg_pool2d(picture.to(weights_->device),
                                                   {extents_[i].height, extents_[i].width});
        }
    }

    Extent extent() const override { return extents_[stages]; }
    std::int64_t channels() const override { return weights_->channels; }
    Extent gridExtent() const override { return extents_[0]; }

    at::Tensor evaluate(const Rect& rect) const override {
        const at::NoGradGuard noGrad;
        const at::Tensor features = upsampled(stages, rect, low_).flatten(1).t();
        return (features + weights_->fixup_proj(features) * fixupShare)
            .t()
            .reshape({channels(), rect.height, rect.width});
    }

    /// The stages are linear in the features, all channels alike: what they make of one unit
    /// feature per token are the tokens' weights. (The last layer mixes channels, not tokens.)
    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::NoGradGuard noGrad;
        const Extent grid = gridExtent();
        const at::Tensor units =
            at::eye(grid.area(), low_.options()).view({grid.area(), grid.height, grid.width});
        return upsampled(stages, {pixel.x, pixel.y, 1, 1}, units)
            .reshape({1, 1, grid.height, grid.width});
    }

private:
    /// Features `source` (C x the grid) after the first `count` stages: C x rect.
    at::Tensor upsampled(std::size_t count, const Rect& rect, const at::Tensor& source) const {
        if (count == 0)
            return source.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right());
        const Extent from = extents_[count - 1];
        const Extent to = extents_[count];
        const MirroredSpan rows = mirrored(rect.y, rect.height, to.height, weights_->device);
        const MirroredSpan columns = mirrored(rect.x, rect.width, to.width, weights_->device);
        const InterpolationAxis down = interpolationAxis(
            Interpolation::Bicubic, from.height, to.height, rows.first, rows.last - rows.first);
        const InterpolationAxis across =
            interpolationAxis(Interpolation::Bicubic, from.width, to.width, columns.first,
                              columns.last - columns.first);
        const at::Tensor before = upsampled(
            count - 1,
            {across.first, down.first, across.last - across.first, down.last - down.first}, source);
        const at::Tensor enlarged =
            at::matmul(down.weights.to(weights_->device),
                       at::matmul(before, across.weights.t().to(weights_->device)))
                .index_select(1, rows.index)
                .index_select(2, columns.index);

        const at::Tensor kernel = kernels(count, rect, rows, columns);
        at::Tensor sum = at::zeros({source.size(0), rect.height, rect.width}, source.options());
        for (std::int64_t tap = 0; tap < kernelTaps; ++tap)
            sum.addcmul_(shifted(enlarged, rect, tap), kernel[tap]);
        return sum;
    }

    /// What lies at a tap's offset from each pixel of the rectangle, in a map with mirrored margin.
    static at::Tensor shifted(const at::Tensor& padded, const Rect& rect, std::int64_t tap) {
        return padded.slice(1, tap / kernelSide, tap / kernelSide + rect.height)
            .slice(2, tap % kernelSide, tap % kernelSide + rect.width);
    }

    /// Weights of every tap for the pixels of a rectangle: taps x h x w.
    at::Tensor kernels(std::size_t count, const Rect& rect, const MirroredSpan& rows,
                       const MirroredSpan& columns) const {
        const Stage& stage = weights_->up[count - 1];
        const at::Tensor colors = pictures_[count]
                                      .slice(1, rows.first, rows.last)
                                      .slice(2, columns.first, columns.last)
                                      .index_select(1, rows.index)
                                      .index_select(2, columns.index); // 3 x (h + 6) x (w + 6)
        const at::Tensor codes =
            stage.range_proj_3(at::gelu(stage.range_proj_0(colors.permute({1, 2, 0}))))
                .permute({2, 0, 1})
                .contiguous();
        const at::Tensor own = shifted(codes, rect, kernelTaps / 2);
        std::vector<at::Tensor> likeness;
        for (std::int64_t tap = 0; tap < kernelTaps; ++tap)
            likeness.push_back((shifted(codes, rect, tap) * own).sum(0).flatten());
        const at::Tensor byColor =
            at::softmax(at::stack(likeness, 1) * stage.temperature, 1); // P x taps
        at::Tensor kernel = byColor * stage.nearness;
        kernel = kernel / kernel.sum(1, true).clamp_min(1e-7);
        const at::Tensor color = shifted(colors, rect, kernelTaps / 2).flatten(1).t();
        kernel =
            kernel + stage.fixup_proj_3(at::gelu(stage.fixup_proj_0(at::cat({kernel, color}, 1)))) *
                         fixupShare;
        return kernel.t().reshape({kernelTaps, rect.height, rect.width});
    }

    std::shared_ptr<const FeatUpWeights> weights_;
    at::Tensor low_;
    std::array<Extent, stages + 1> extents_; ///< before each stage and after the last
    std::array<at::Tensor, stages + 1>
        pictures_; ///< 3 x H x W at each of these sizes but the first
};

class FeatUpUpsampler final : public Upsampler {
public:
    explicit FeatUpUpsampler(std::shared_ptr<const FeatUpWeights> weights)
        : weights_(std::move(weights)) {}

    std::string name() const override { return "FeatUp JBU"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& /*context*/) const override {
        if (low.channels() != weights_->channels) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("This FeatUp stack was trained for features of {} channels, "
                                    "but the features have {}: choose the upsampler that belongs "
                                    "to the backbone.",
                                    weights_->channels, low.channels()));
        }
        if (!guidance.picture.defined() || guidance.picture.numel() == 0) {
            return fail(ErrorCode::InvalidArgument,
                        "FeatUp needs a guidance picture: give the photo.");
        }
        // Its windows are mirrored at the border of the first doubled grid.
        if (low.extent().height < 2 || low.extent().width < 2) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("FeatUp needs at least 2 x 2 low-resolution tokens, not {} x "
                                    "{}: use a larger input size.",
                                    low.extent().width, low.extent().height));
        }
        return guarded("binding FeatUp to the picture", [&]() -> std::unique_ptr<FeatureField> {
            const at::NoGradGuard noGrad;
            return std::make_unique<FeatUpField>(weights_, low, guidance.picture);
        });
    }

private:
    std::shared_ptr<const FeatUpWeights> weights_;
};

} // namespace

Recognition<UpsamplerCandidate> recogniseFeatUp(const StateDict& state) {
    constexpr std::string_view anchor = "up1.range_temp";
    const auto found = std::ranges::find_if(state, [&](const auto& entry) {
        return entry.first == anchor || entry.first.ends_with("." + std::string(anchor));
    });
    if (found == state.end()) return std::nullopt;
    FeatUpPlace place;
    place.stack = found->first.substr(0, found->first.size() - anchor.size());
    const auto mix = state.find(place.stack + "fixup_proj.1.weight");
    if (mix == state.end() || mix->second.dim() != 4) {
        return fail(
            ErrorCode::Unsupported,
            fmt::format("This looks like a FeatUp stack, but it has no {}fixup_proj.1.weight "
                        "that would tell its number of channels.",
                        place.stack));
    }
    place.channels = mix->second.size(0);
    if (state.contains("model.1.norm.weight")) place.norm = "model.1.norm";

    UpsamplerCandidate candidate;
    candidate.identity.family = "featup";
    candidate.identity.name = fmt::format("FeatUp JBU for {} channels", place.channels);
    candidate.identity.facts = {{"channels", place.channels},
                                {"stages", static_cast<std::int64_t>(stages)},
                                {"factor", featUpFactor},
                                {"window", kernelSide},
                                {"channel_norm", !place.norm.empty()}};
    const WeightScope root(state);
    readFeatUpWeights(root, place, c10::kCPU);
    candidate.identity.account = root.account();
    candidate.build =
        [state, place](c10::Device device,
                       c10::ScalarType /*arithmetic*/) -> Result<std::unique_ptr<Upsampler>> {
        return guarded("reading FeatUp's weights", [&]() -> Result<std::unique_ptr<Upsampler>> {
            const WeightScope scope(state);
            auto read =
                std::make_shared<const FeatUpWeights>(readFeatUpWeights(scope, place, device));
            LOFTSCOPE_CHECK(requireComplete(scope.account(), "FeatUp's stack"));
            return std::make_unique<FeatUpUpsampler>(std::move(read));
        });
    };
    return candidate;
}

} // namespace loftscope
