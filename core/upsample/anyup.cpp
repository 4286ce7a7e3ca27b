// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/anyup.h"

#include "core/base/guard.h"
#include "core/upsample/adaptive_pool.h"
#include "core/upsample/picture_rects.h"
#include "core/upsample/pixel_encoder.h"
#include "core/upsample/tiles.h"
#include "core/weights/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace loftscope {

namespace {

// What the checkpoints do not tell.
constexpr std::int64_t anyUpHeads = 4;
constexpr float windowRatio = 0.1F; ///< of the picture's side, to each side of a pixel

// --- weights ------------------------------------------------------------------------------------

struct AnyUpWeights {
    PixelEncoderWeights pixels;
    at::Tensor basis; ///< `key_features_encoder.0.basis`: width x 1 x 5 x 5
    ResBlocks key_features_encoder;
    at::Tensor aggregation_0; ///< width x 2 width x 3 x 3
    ResBlocks aggregation;
    at::Tensor cross_conv2d; ///< `cross_decode.conv2d`: width x width x 3 x 3
    at::Tensor norm_q;
    at::Tensor norm_k;
    Linear in_proj_q; ///< the first two thirds of `in_proj_weight`; values are not projected
    Linear in_proj_k;
    c10::Device device = c10::kCPU;
};

AnyUpWeights readAnyUpWeights(const WeightScope& root, std::int64_t width, c10::Device device) {
    const auto convolution = [&](const WeightScope& scope, std::int64_t out, std::int64_t in) {
        return Linear{scope("weight", {out, in, 1, 1}).flatten(1).to(device), {}};
    };
    const auto groupNorm = [&](const WeightScope& scope) {
        return GroupNorm{scope("weight", {width}).to(device), scope("bias", {width}).to(device)};
    };
    const auto blocks = [&](const WeightScope& encoder) {
        const auto block = [&](std::int64_t i) {
            const WeightScope scope = encoder[i]["block"];
            return ResBlock{groupNorm(scope[0]), convolution(scope[2], width, width),
                            groupNorm(scope[3]), convolution(scope[5], width, width)};
        };
        return ResBlocks{block(1), block(2)};
    };
    const WeightScope cross = root["cross_decode"];
    const WeightScope attention = cross["cross_attn"]["attention"];
    const at::Tensor weight = attention("in_proj_weight", {3 * width, width}).to(device);
    const at::Tensor bias = attention("in_proj_bias", {3 * width}).to(device);
    const auto third = [&](std::int64_t i) {
        return Linear{weight.slice(0, i * width, (i + 1) * width),
                      bias.slice(0, i * width, (i + 1) * width)};
    };
    // The attention's own output is not used, only its weights are.
    attention["out_proj"].ignore("weight");
    attention["out_proj"].ignore("bias");
    return {.pixels = {.width = width,
                       .image_encoder_0 = convolution(root["image_encoder"][0], width, 3),
                       .image_encoder = blocks(root["image_encoder"]),
                       .query_encoder_0 = convolution(root["query_encoder"][0], width, width),
                       .query_encoder = blocks(root["query_encoder"]),
                       .key_encoder_0 = convolution(root["key_encoder"][0], width, width),
                       .key_encoder = blocks(root["key_encoder"]),
                       .rope_freqs = root["rope"]("freqs", {2, width}).to(device)},
            .basis = root["key_features_encoder"][0]("basis", {width, 1, 5, 5}).to(device),
            .key_features_encoder = blocks(root["key_features_encoder"]),
            .aggregation_0 = root["aggregation"][0]("weight", {width, 2 * width, 3, 3}).to(device),
            .aggregation = blocks(root["aggregation"]),
            .cross_conv2d = cross["conv2d"]("weight", {width, width, 3, 3}).to(device),
            .norm_q = cross["cross_attn"]["norm_q"]("weight", {width}).to(device),
            .norm_k = cross["cross_attn"]["norm_k"]("weight", {width}).to(device),
            .in_proj_q = third(0),
            .in_proj_k = third(1),
            .device = device};
}

// --- features -----------------------------------------------------------------------------------

/// Features of any width as a map of fixed width, from what every channel's surroundings look like
/// to every basis filter. `features`: C x h x w; result: N x width.
at::Tensor unified(const at::Tensor& basis, const at::Tensor& features) {
    const std::int64_t channels = features.size(0);
    const Extent grid{features.size(1), features.size(2)};
    const std::int64_t width = basis.size(0);
    constexpr std::int64_t reach = 2;
    const at::Tensor lengths = features.norm(2, 0, true).clamp_min(1e-12);
    // Channels as a batch of pictures with a margin of zeros; `inside` counts the taps that are not
    // in the margin.
    const auto withMargin = [](const at::Tensor& x) {
        return at::constant_pad_nd(x, {reach, reach, reach, reach}, 0);
    };
    const at::Tensor padded = withMargin((features / lengths).unsqueeze(1));
    const at::Tensor inside =
        at::conv2d(withMargin(at::ones({1, 1, grid.height, grid.width}, features.options())),
                   at::ones({1, 1, 2 * reach + 1, 2 * reach + 1}, features.options()));
    // A wide backbone's responses would take C x width x N numbers at once.
    constexpr std::int64_t responses = std::int64_t{32} << 20;
    const std::int64_t slab =
        std::clamp<std::int64_t>(responses / (channels * width * grid.width), 1, grid.height);
    std::vector<at::Tensor> rows;
    for (std::int64_t y = 0; y < grid.height; y += slab) {
        const std::int64_t end = std::min(y + slab, grid.height);
        const at::Tensor response =
            at::conv2d(padded.slice(2, y, end + 2 * reach), basis) / inside.slice(2, y, end);
        // The published model was trained with the flat order (channel, filter) read as (filter,
        // channel): the softmax runs over the first of these.
        rows.push_back(at::softmax(response.reshape({width, channels, end - y, grid.width}), 0)
                           .mean(1)
                           .flatten(1));
    }
    return at::cat(rows, 1).t().contiguous();
}

// --- attention ----------------------------------------------------------------------------------

/// Tokens along one side that a pixel attends to; in fp32 as the reference computes them, because
/// every rounding can add or take a token.
PoolSpan windowSpan(std::int64_t pixel, std::int64_t pixels, std::int64_t tokens) {
    const float centre = (static_cast<float>(pixel) + 0.5F) / static_cast<float>(pixels);
    const float low = std::clamp(centre - windowRatio, 0.0F, 1.0F);
    const float high = std::clamp(centre + windowRatio, 0.0F, 1.0F);
    const auto count = static_cast<float>(tokens);
    return {static_cast<std::int64_t>(std::floor(low * count)),
            static_cast<std::int64_t>(std::ceil(high * count))};
}

/// The windows of pixels `begin .. begin + count` along one side.
struct Windows {
    PoolSpan tokens;    ///< all that any of them sees
    at::Tensor visible; ///< count x tokens, bool
};

Windows windowsOf(std::int64_t begin, std::int64_t count, std::int64_t pixels, std::int64_t tokens,
                  c10::Device device) {
    Windows windows;
    // Windows move with the pixels: the first one begins first, the last one ends last.
    windows.tokens = {windowSpan(begin, pixels, tokens).begin,
                      windowSpan(begin + count - 1, pixels, tokens).end};
    const std::int64_t seen = windows.tokens.end - windows.tokens.begin;
    at::Tensor visible = at::zeros({count, seen}, at::kBool);
    auto* const data = visible.mutable_data_ptr<bool>();
    for (std::int64_t i = 0; i < count; ++i) {
        const PoolSpan span = windowSpan(begin + i, pixels, tokens);
        std::fill(data + i * seen + span.begin - windows.tokens.begin,
                  data + i * seen + span.end - windows.tokens.begin, true);
    }
    windows.visible = visible.to(device);
    return windows;
}

class AnyUpField final : public FeatureField {
public:
    AnyUpField(const std::shared_ptr<const AnyUpWeights>& weights, const FeatureGrid& low,
               const Guidance& guidance, const RunContext& context)
        : weights_(weights)
        , low_{low.values.to(weights->device)}
        , extent_(guidance.extent)
        , pixels_({weights, &weights->pixels}, guidance.picture.to(weights->device), context) {
        const AnyUpWeights& w = *weights_;
        const Extent grid = gridExtent();
        const at::Tensor fromPicture = pixels_.pooledKeys(grid, context).flatten(0, 1);
        const at::Tensor fromFeatures =
            throughBlocks(w.key_features_encoder, unified(w.basis, low_.values));
        const at::Tensor both =
            pictureFromRows(at::cat({fromPicture, fromFeatures}, 1), wholeOf(grid));
        const at::Tensor mixed =
            at::conv2d(at::reflection_pad2d(both, {1, 1, 1, 1}), w.aggregation_0);
        const at::Tensor tokens = throughBlocks(w.aggregation, rowsFromPicture(mixed));
        keys_ = splitHeads(w.in_proj_k(rmsNormed(tokens, w.norm_k)), anyUpHeads)
                    .reshape({anyUpHeads, grid.height, grid.width, w.pixels.width / anyUpHeads})
                    .contiguous();
    }

    Extent extent() const override { return extent_; }
    std::int64_t channels() const override { return low_.channels(); }
    Extent gridExtent() const override { return low_.extent(); }

    at::Tensor evaluate(const Rect& rect) const override {
        return evaluated(rect, smallestConvolved);
    }

    at::Tensor evaluateEvery(const Rect& rect, std::int64_t stride) const override {
        if (stride == 1) return evaluate(rect);
        // Row by row, with no more rows around than the convolution needs.
        std::vector<at::Tensor> rows;
        for (std::int64_t y = rect.y; y < rect.bottom(); y += stride)
            rows.push_back(evaluated({rect.x, y, rect.width, 1}, 1)
                               .select(1, 0)
                               .slice(1, 0, rect.width, stride)
                               .clone());
        return at::stack(rows, 1);
    }

    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::NoGradGuard noGrad;
        // A click has to be quick, and weights are not sensitive to the order of summation.
        const Attention attention = attentionOf({pixel.x, pixel.y, 1, 1}, 1);
        const Extent grid = gridExtent();
        at::Tensor map = at::zeros({1, anyUpHeads, grid.height, grid.width}, low_.values.options());
        map.slice(2, attention.rows.begin, attention.rows.end)
            .slice(3, attention.columns.begin, attention.columns.end)
            .copy_(attention.weights.view({1, anyUpHeads, attention.rows.end - attention.rows.begin,
                                           attention.columns.end - attention.columns.begin}));
        return map;
    }

private:
    /// The convolution runs over at least `convolvedSide` pixels each way.
    at::Tensor evaluated(const Rect& rect, std::int64_t convolvedSide) const {
        const at::NoGradGuard noGrad;
        const Attention attention = attentionOf(rect, convolvedSide);
        const at::Tensor values = low_.values.slice(1, attention.rows.begin, attention.rows.end)
                                      .slice(2, attention.columns.begin, attention.columns.end)
                                      .flatten(1); // C x n
        return at::matmul(values, attention.weights.mean(0).t())
            .view({channels(), rect.height, rect.width});
    }

    /// Attention of a rectangle's pixels over the block of tokens that they see together.
    struct Attention {
        PoolSpan rows;
        PoolSpan columns;
        at::Tensor weights; ///< heads x P x tokens of the block
    };

    Attention attentionOf(const Rect& rect, std::int64_t convolvedSide) const {
        const AnyUpWeights& w = *weights_;
        const Rect inner = atLeast(rect, convolvedSide, extent_);
        const Rect outer = grown(inner, 1, extent_);
        // Zero padding is right where `outer` ends at the picture's border; elsewhere the ring that
        // it spoils is cut away.
        const at::Tensor convolved =
            at::conv2d(pictureFromRows(pixels_.pooledQueries(outer, extent_), outer),
                       w.cross_conv2d, {}, 1, 1);
        const at::Tensor rows = rowsFromPicture(cropped(convolved, outer, rect));
        const double scale = 1.0 / std::sqrt(static_cast<double>(w.pixels.width / anyUpHeads));
        const at::Tensor queries =
            splitHeads(w.in_proj_q(rmsNormed(rows, w.norm_q)), anyUpHeads) * scale; // heads x P x d

        const Extent grid = gridExtent();
        const Windows down = windowsOf(rect.y, rect.height, extent_.height, grid.height, w.device);
        const Windows across = windowsOf(rect.x, rect.width, extent_.width, grid.width, w.device);
        const at::Tensor visible =
            down.visible.view({rect.height, 1, -1, 1})
                .logical_and(across.visible.view({1, rect.width, 1, across.visible.size(1)}))
                .view({1, rect.area(), down.visible.size(1) * across.visible.size(1)});
        const at::Tensor keys = keys_.slice(1, down.tokens.begin, down.tokens.end)
                                    .slice(2, across.tokens.begin, across.tokens.end)
                                    .flatten(1, 2); // heads x tokens x d
        const at::Tensor logits =
            at::matmul(queries, keys.transpose(1, 2))
                .masked_fill(visible.logical_not(), -std::numeric_limits<float>::infinity());
        return {down.tokens, across.tokens, at::softmax(logits, -1)};
    }

    std::shared_ptr<const AnyUpWeights> weights_;
    FeatureGrid low_;
    Extent extent_;
    PixelEncoder pixels_;
    at::Tensor keys_; ///< heads x h x w x width / heads
};

class AnyUpUpsampler final : public Upsampler {
public:
    explicit AnyUpUpsampler(std::shared_ptr<const AnyUpWeights> weights)
        : weights_(std::move(weights)) {}

    std::string name() const override { return "AnyUp"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& context) const override {
        if (guidance.extent.area() == 0 || !guidance.picture.defined()) {
            return fail(ErrorCode::InvalidArgument,
                        "AnyUp needs a guidance picture: give the photo.");
        }
        // Its convolution over the tokens mirrors the grid at the border.
        if (low.extent().height < 2 || low.extent().width < 2) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("AnyUp needs at least 2 x 2 low-resolution tokens, not {} x "
                                    "{}: use a larger input size.",
                                    low.extent().width, low.extent().height));
        }
        return guarded("binding AnyUp to the picture", [&]() -> std::unique_ptr<FeatureField> {
            const at::NoGradGuard noGrad;
            return std::make_unique<AnyUpField>(weights_, low, guidance, context);
        });
    }

private:
    std::shared_ptr<const AnyUpWeights> weights_;
};

} // namespace

Recognition<UpsamplerCandidate> recogniseAnyUp(const StateDict& state) {
    constexpr std::string_view anchor = "key_features_encoder.0.basis";
    const auto found = std::ranges::find_if(state, [&](const auto& entry) {
        return entry.first == anchor || entry.first.ends_with("." + std::string(anchor));
    });
    if (found == state.end()) return std::nullopt;
    const std::string prefix = found->first.substr(0, found->first.size() - anchor.size());
    const std::int64_t width = found->second.dim() > 0 ? found->second.size(0) : 0;
    if (width < 1 || width % normGroups != 0 || width % (2 * anyUpHeads) != 0) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like an AnyUp upsampler, but its width {} does not "
                                "divide into {} groups.",
                                width, normGroups));
    }
    const auto scope = [prefix](const StateDict& of) {
        const WeightScope root(of);
        return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
    };
    UpsamplerCandidate candidate;
    candidate.identity.family = "anyup";
    candidate.identity.name = "AnyUp (any backbone)";
    candidate.identity.facts = {{"channels", "any"},
                                {"query_width", width},
                                {"heads", anyUpHeads},
                                {"window", "a fifth of each side"}};
    const WeightScope weights = scope(state);
    readAnyUpWeights(weights, width, c10::kCPU);
    candidate.identity.account = weights.account();
    candidate.build = [state, scope, width](
                          c10::Device device,
                          c10::ScalarType /*arithmetic*/) -> Result<std::unique_ptr<Upsampler>> {
        return guarded("reading AnyUp's weights", [&]() -> Result<std::unique_ptr<Upsampler>> {
            const WeightScope root = scope(state);
            auto read = std::make_shared<const AnyUpWeights>(readAnyUpWeights(root, width, device));
            LOFTSCOPE_CHECK(requireComplete(root.account(), "AnyUp"));
            return std::make_unique<AnyUpUpsampler>(std::move(read));
        });
    };
    return candidate;
}

} // namespace loftscope
