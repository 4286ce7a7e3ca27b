// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/jafar.h"

#include "core/base/guard.h"
#include "core/upsample/picture_rects.h"
#include "core/upsample/pixel_encoder.h"
#include "core/weights/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

namespace {

constexpr std::int64_t jafarHeads = 4; // the checkpoints do not tell

struct JafarWeights {
    std::int64_t channels = 0; ///< of the features
    PixelEncoderWeights pixels;
    Linear key_features_encoder_0;
    ResBlocks key_features_encoder;
    Linear sft_gamma;
    Linear sft_beta;
    at::Tensor cross_conv2d; ///< `cross_decode.conv2d`: width x width x 3 x 3
    at::Tensor norm_q;
    at::Tensor norm_k;
    Linear q_proj; ///< values are not projected
    Linear k_proj;
    c10::Device device = c10::kCPU;
};

struct JafarShape {
    std::int64_t width = 0;
    std::int64_t channels = 0;
};

JafarWeights readJafarWeights(const WeightScope& root, const JafarShape& shape,
                              c10::Device device) {
    const std::int64_t width = shape.width;
    const auto convolution = [&](const WeightScope& scope, std::int64_t in) {
        return Linear{scope("weight", {width, in, 1, 1}).flatten(1).to(device), {}};
    };
    const auto groupNorm = [&](const WeightScope& scope) {
        return GroupNorm{scope("weight", {width}).to(device), scope("bias", {width}).to(device)};
    };
    const auto blocks = [&](const WeightScope& encoder) {
        const auto block = [&](std::int64_t i) {
            const WeightScope scope = encoder[i];
            return ResBlock{groupNorm(scope["norm1"]), convolution(scope["conv1"], width),
                            groupNorm(scope["norm2"]), convolution(scope["conv2"], width)};
        };
        return ResBlocks{block(1), block(2)};
    };
    const WeightScope cross = root["cross_decode"];
    const WeightScope norms = cross["cross_attn"];
    const WeightScope attention = norms["attention"];
    const at::Tensor bias = attention("in_proj_bias", {3 * width}).to(device);
    const auto projection = [&](std::string_view name, std::int64_t third) {
        return Linear{attention(name, {width, width}).to(device),
                      bias.slice(0, third * width, (third + 1) * width)};
    };
    // The attention's own output is not used, only its weights are.
    attention.ignore("v_proj_weight");
    attention["out_proj"].ignore("weight");
    attention["out_proj"].ignore("bias");
    norms["norm_v"].ignore("weight");
    return {.channels = shape.channels,
            .pixels = {.width = width,
                       .image_encoder_0 = convolution(root["image_encoder"][0], 3),
                       .image_encoder = blocks(root["image_encoder"]),
                       .query_encoder_0 = convolution(root["query_encoder"][0], width),
                       .query_encoder = blocks(root["query_encoder"]),
                       .key_encoder_0 = convolution(root["key_encoder"][0], width),
                       .key_encoder = blocks(root["key_encoder"]),
                       .rope_freqs = root["rope"]("freqs", {2, width}).to(device)},
            .key_features_encoder_0 = convolution(root["key_features_encoder"][0], shape.channels),
            .key_features_encoder = blocks(root["key_features_encoder"]),
            .sft_gamma = convolution(root["sft_key"]["gamma"], width),
            .sft_beta = convolution(root["sft_key"]["beta"], width),
            .cross_conv2d = cross["conv2d"]("weight", {width, width, 3, 3}).to(device),
            .norm_q = norms["norm_q"]("weight", {width}).to(device),
            .norm_k = norms["norm_k"]("weight", {width}).to(device),
            .q_proj = projection("q_proj_weight", 0),
            .k_proj = projection("k_proj_weight", 1),
            .device = device};
}

class JafarField final : public FeatureField {
public:
    JafarField(const std::shared_ptr<const JafarWeights>& weights, const FeatureGrid& low,
               const Guidance& guidance, const RunContext& context)
        : weights_(weights)
        , low_{low.values.to(weights->device)}
        , extent_(guidance.extent)
        , pixels_({weights, &weights->pixels}, guidance.picture.to(weights->device), context) {
        const JafarWeights& w = *weights_;
        GroupMoments moments;
        for (const Rect& strip : stripsOf(extent_)) {
            context.throwIfStopped();
            moments.add(pixels_.pooledQueries(strip, extent_));
        }
        queryNorm_ = moments.fitted({});

        const at::Tensor fromPicture = pixels_.pooledKeys(gridExtent(), context).flatten(0, 1);
        GroupMoments keyMoments;
        keyMoments.add(fromPicture);
        const at::Tensor lengths = low_.values.norm(2, 0, true).clamp_min(1e-12);
        const at::Tensor features = (low_.values / lengths).flatten(1).t();
        const at::Tensor looks =
            throughBlocks(w.key_features_encoder, w.key_features_encoder_0(features));
        const at::Tensor keys =
            w.sft_gamma(looks) * keyMoments.fitted({})(fromPicture) + w.sft_beta(looks);
        keys_ = splitHeads(w.k_proj(rmsNormed(keys, w.norm_k)), jafarHeads).contiguous();
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
        const Extent grid = gridExtent();
        return attentionOf({pixel.x, pixel.y, 1, 1}, 1)
            .view({1, jafarHeads, grid.height, grid.width});
    }

private:
    /// The convolution runs over at least `convolvedSide` pixels each way.
    at::Tensor evaluated(const Rect& rect, std::int64_t convolvedSide) const {
        const at::NoGradGuard noGrad;
        const at::Tensor weights = attentionOf(rect, convolvedSide).mean(0); // P x N
        return at::matmul(low_.values.flatten(1), weights.t())
            .view({channels(), rect.height, rect.width});
    }

    /// Attention of a rectangle's pixels over all tokens: heads x P x N.
    at::Tensor attentionOf(const Rect& rect, std::int64_t convolvedSide) const {
        const JafarWeights& w = *weights_;
        const Rect outer = grown(atLeast(rect, convolvedSide, extent_), 1, extent_);
        const at::Tensor normed = queryNorm_(pixels_.pooledQueries(outer, extent_));
        // Zero padding is right where `outer` ends at the picture's border; elsewhere the ring that
        // it spoils is cut away.
        const at::Tensor convolved =
            at::conv2d(pictureFromRows(normed, outer), w.cross_conv2d, {}, 1, 1);
        const at::Tensor rows = rowsFromPicture(cropped(convolved, outer, rect));
        return attentionWeights(splitHeads(w.q_proj(rmsNormed(rows, w.norm_q)), jafarHeads), keys_);
    }

    std::shared_ptr<const JafarWeights> weights_;
    FeatureGrid low_;
    Extent extent_;
    PixelEncoder pixels_;
    ChannelAffine queryNorm_;
    at::Tensor keys_; ///< heads x N x width / heads
};

class JafarUpsampler final : public Upsampler {
public:
    explicit JafarUpsampler(std::shared_ptr<const JafarWeights> weights)
        : weights_(std::move(weights)) {}

    std::string name() const override { return "JAFAR"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& context) const override {
        if (low.channels() != weights_->channels) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("This JAFAR was trained for features of {} channels, but the "
                                    "features have {}: choose the upsampler that belongs to the "
                                    "backbone.",
                                    weights_->channels, low.channels()));
        }
        if (low.extent().area() == 0 || guidance.extent.area() == 0 ||
            !guidance.picture.defined()) {
            return fail(ErrorCode::InvalidArgument,
                        "JAFAR needs a guidance picture and low-resolution tokens: give the "
                        "photo.");
        }
        return guarded("binding JAFAR to the picture", [&]() -> std::unique_ptr<FeatureField> {
            const at::NoGradGuard noGrad;
            return std::make_unique<JafarField>(weights_, low, guidance, context);
        });
    }

private:
    std::shared_ptr<const JafarWeights> weights_;
};

} // namespace

Recognition<UpsamplerCandidate> recogniseJafar(const StateDict& state) {
    constexpr std::string_view anchor = "sft_key.gamma.weight";
    const auto found = std::ranges::find_if(state, [&](const auto& entry) {
        return entry.first == anchor || entry.first.ends_with("." + std::string(anchor));
    });
    if (found == state.end()) return std::nullopt;
    const std::string prefix = found->first.substr(0, found->first.size() - anchor.size());
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like a JAFAR upsampler, but {}.", reason));
    };
    const auto features = state.find(prefix + "key_features_encoder.0.weight");
    if (features == state.end() || features->second.dim() != 4)
        return unusable("nothing tells its number of channels");
    const JafarShape shape{features->second.size(0), features->second.size(1)};
    if (shape.width < 1 || shape.width % normGroups != 0 || shape.width % (2 * jafarHeads) != 0)
        return unusable(
            fmt::format("its width {} does not divide into {} groups", shape.width, normGroups));
    const auto image = state.find(prefix + "image_encoder.0.weight");
    if (image != state.end() && image->second.dim() == 4 && image->second.size(2) != 1)
        return unusable("its picture encoder looks at neighbouring pixels, which the published "
                        "ones do not");
    const auto scope = [prefix](const StateDict& of) {
        const WeightScope root(of);
        return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
    };
    UpsamplerCandidate candidate;
    candidate.identity.family = "jafar";
    candidate.identity.name = fmt::format("JAFAR for {} channels", shape.channels);
    candidate.identity.facts = {
        {"channels", shape.channels}, {"query_width", shape.width}, {"heads", jafarHeads}};
    const WeightScope weights = scope(state);
    readJafarWeights(weights, shape, c10::kCPU);
    candidate.identity.account = weights.account();
    candidate.build = [state, scope, shape](
                          c10::Device device,
                          c10::ScalarType /*arithmetic*/) -> Result<std::unique_ptr<Upsampler>> {
        return guarded("reading JAFAR's weights", [&]() -> Result<std::unique_ptr<Upsampler>> {
            const WeightScope root = scope(state);
            auto read = std::make_shared<const JafarWeights>(readJafarWeights(root, shape, device));
            LOFTSCOPE_CHECK(requireComplete(root.account(), "JAFAR"));
            return std::make_unique<JafarUpsampler>(std::move(read));
        });
    };
    return candidate;
}

} // namespace loftscope
