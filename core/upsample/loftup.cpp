// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/loftup.h"

#include "core/base/guard.h"
#include "core/base/stop_scope.h"
#include "core/kernel/processor.h"
#include "core/upsample/picture_rects.h"
#include "core/weights/matrix_product.h"
#include "core/weights/recognise.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

namespace {

constexpr double layerNormEps = 1e-5;
constexpr double batchNormEps = 1e-5;
constexpr double finalNormEps = 1e-6; // ConvNeXt's channel norm

/// Whose neighbourhoods are convolved at once: some megabytes.
constexpr std::size_t mostSinglePixels = 256;
/// Pixels that go through all layers together on a CPU: few enough for its caches and for a stop to
/// be heeded soon, enough for products to run at full rate.
constexpr std::int64_t pixelsTogether = 512;
/// Multiply-adds of a convolution on a CPU between two looks at whether to stop: some 20 ms.
constexpr std::int64_t mostMacsUnasked = std::int64_t{1} << 31;

/// Folds a BatchNorm with running statistics into the convolution before it, in double so that
/// nothing is lost.
FoldedConv readFoldedConv(const WeightScope& convolution, const WeightScope& batchNorm,
                          std::int64_t out, std::int64_t in, c10::Device device) {
    const auto statistic = [&](std::string_view name) {
        return batchNorm(name, {out}).to(at::kDouble);
    };
    batchNorm.ignore("num_batches_tracked");
    const at::Tensor scale =
        statistic("weight") * at::rsqrt(statistic("running_var") + batchNormEps);
    const at::Tensor weight =
        convolution("weight", {out, in, 3, 3}).to(at::kDouble) * scale.view({out, 1, 1, 1});
    const at::Tensor bias =
        (convolution("bias", {out}).to(at::kDouble) - statistic("running_mean")) * scale +
        statistic("bias");
    return {weight.to(at::kFloat).to(device).contiguous(at::MemoryFormat::ChannelsLast),
            bias.to(at::kFloat).to(device)};
}

CrossAttentionBlock readBlock(const WeightScope& layer, const LoftUpSpec& spec,
                              c10::Device device) {
    const std::int64_t dim = spec.dim;
    const WeightScope attention = layer[0]["attention"];
    const WeightScope net = layer[1]["net"];
    const at::Tensor weight = attention("in_proj_weight", {3 * dim, dim}).to(device);
    const at::Tensor bias = attention("in_proj_bias", {3 * dim}).to(device);
    const auto third = [&](std::int64_t i) {
        return Linear{weight.slice(0, i * dim, (i + 1) * dim),
                      bias.slice(0, i * dim, (i + 1) * dim)};
    };
    return {readLayerNorm(layer[0]["norm_q"], dim, layerNormEps, device),
            readLayerNorm(layer[0]["norm_kv"], dim, layerNormEps, device),
            third(0),
            third(1),
            third(2),
            readLinear(attention["out_proj"], dim, dim, device),
            readLayerNorm(net[0], dim, layerNormEps, device),
            readLinear(net[1], spec.hidden, dim, device),
            readLinear(net[4], dim, spec.hidden, device)};
}

/// Everything that is multiplied goes into `type`; norms and what surrounds the angles stay as they
/// are.
void convert(LoftUpWeights& weights, c10::ScalarType type) {
    for (FoldedConv* convolution : {&weights.first_conv_1, &weights.first_conv_4}) {
        convolution->weight =
            convolution->weight.to(type).contiguous(at::MemoryFormat::ChannelsLast);
        convolution->bias = convolution->bias.to(type);
    }
    for (CrossAttentionBlock& block : weights.layers) {
        for (Linear* linear : {&block.in_proj_q, &block.in_proj_k, &block.in_proj_v,
                               &block.out_proj, &block.ff_expand, &block.ff_contract})
            *linear = linear->to(type);
    }
    weights.final_conv = weights.final_conv.to(type);
}

ModelFacts factsOf(const LoftUpSpec& spec) {
    ModelFacts facts{{"channels", spec.channels},
                     {"dim", spec.dim},
                     {"heads", spec.heads},
                     {"depth", spec.depth},
                     {"feed_forward", spec.hidden},
                     {"frequencies", spec.frequencies},
                     {"lr_positions", std::string(nameOf(spec.lrPositions))}};
    if (spec.lrPositions == LrPositions::Sine) {
        facts.emplace_back("lr_frequencies", spec.lrFrequencies);
    } else {
        facts.emplace_back("lr_grid", spec.lrGrid);
    }
    facts.emplace_back("channel_norm", spec.hasChannelNorm);
    facts.emplace_back("upsampler_prefix", spec.upsamplerPrefix);
    if (spec.hasChannelNorm) facts.emplace_back("channel_norm_prefix", spec.channelNormPrefix);
    return facts;
}

class LoftUpUpsampler final : public Upsampler {
public:
    explicit LoftUpUpsampler(std::shared_ptr<const LoftUpWeights> weights)
        : weights_(std::move(weights)) {}

    std::string name() const override { return "LoftUp"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& /*context*/) const override {
        if (low.channels() != weights_->spec.channels) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("This LoftUp was trained for features of {} channels, but the "
                                    "features have {}: choose "
                                    "the upsampler that belongs to the backbone.",
                                    weights_->spec.channels, low.channels()));
        }
        if (low.extent().area() == 0 || guidance.extent.area() == 0) {
            return fail(
                ErrorCode::InvalidArgument,
                "LoftUp needs at least one low-resolution token and one pixel of guidance.");
        }
        if (!guidance.picture.defined()) {
            return fail(ErrorCode::InvalidArgument,
                        "LoftUp needs a guidance picture: give the photo.");
        }
        return guarded("binding LoftUp to the picture", [&]() -> std::unique_ptr<FeatureField> {
            return std::make_unique<LoftUpField>(weights_, low, guidance.picture);
        });
    }

private:
    std::shared_ptr<const LoftUpWeights> weights_;
};

} // namespace

LoftUpField::LoftUpField(std::shared_ptr<const LoftUpWeights> weights, const FeatureGrid& low,
                         const at::Tensor& guidance)
    : weights_(std::move(weights))
    , extent_{guidance.size(1), guidance.size(2)}
    , grid_(low.extent())
    , picture_(guidance.to(weights_->device)) {
    const at::NoGradGuard noGrad;
    const LoftUpWeights& w = *weights_;
    coordinates_ = w.fourier_feat.tables(extent_);
    conv1Table_ =
        CoordinateConvolution::create(w.fourier_feat, coordinates_, picture_, w.first_conv_norm,
                                      w.first_conv_1.weight, w.first_conv_1.bias);

    at::Tensor features = low.values.to(w.device).flatten(1).t(); // N x C
    if (w.channelnorm) features = (*w.channelnorm)(features);
    const at::Tensor positions = w.lr_pe.encode(w.lr_pe.tables(grid_), {}, wholeOf(grid_));
    tokens_ = at::cat({features, positions}, 1);

    for (const CrossAttentionBlock& block : w.layers) {
        const at::Tensor normed = block.norm_kv(tokens_);
        keysValues_.push_back({splitHeads(block.in_proj_k(normed), w.spec.heads).contiguous(),
                               splitHeads(block.in_proj_v(normed), w.spec.heads).contiguous()});
        if (!w.packed) continue;
        PackedHeads heads;
        for (std::int64_t head = 0; head < w.spec.heads; ++head)
            heads.push_back(
                packHead(keysValues_.back().keys[head], keysValues_.back().values[head]));
        packedHeads_.push_back(std::move(heads));
    }
}

at::Tensor LoftUpField::firstConvolved(const Rect& middle, LoftUpStages* stages) const {
    const LoftUpWeights& w = *weights_;
    if (conv1Table_ && stages == nullptr)
        return pictureFromRows(conv1Table_->evaluate(middle), middle);
    const Rect outer = grown(middle, 1, extent_);
    const at::Tensor fourier = w.fourier_feat.encode(coordinates_, picture_.scaled(outer), outer);
    const at::Tensor normed = w.first_conv_norm(fourier);
    if (stages != nullptr) {
        stages->fourier = pictureFromRows(fourier, outer);
        stages->fourierNorm = pictureFromRows(normed, outer);
    }
    // Zero padding is right where `outer` ends at the picture's border; elsewhere it spoils one
    // ring of pixels, which is cut away.
    const at::Tensor picture =
        pictureFromRows(normed, outer).to(w.first_conv_1.weight.scalar_type());
    return cropped(at::relu(at::conv2d(picture, w.first_conv_1.weight, w.first_conv_1.bias, 1, 1)),
                   outer, middle);
}

at::Tensor LoftUpField::secondConvolved(const at::Tensor& conv1, const Rect& middle,
                                        const Rect& inner) const {
    const FoldedConv& convolution = weights_->first_conv_4;
    const std::int64_t dim = weights_->spec.dim;
    at::Tensor around = conv1.to(convolution.weight.scalar_type());
    if (middle.width < inner.width + 2 || middle.height < inner.height + 2)
        around = at::constant_pad_nd(
            around, {middle.x - inner.x + 1, inner.right() + 1 - middle.right(),
                     middle.y - inner.y + 1, inner.bottom() + 1 - middle.bottom()});
    around = around.contiguous(at::MemoryFormat::ChannelsLast);
    std::int64_t count = 1;
    if (weights_->device.is_cpu())
        count = std::clamp<std::int64_t>(9 * dim * dim * inner.area() / mostMacsUnasked, 1,
                                         inner.height);
    const std::int64_t rows = (inner.height + count - 1) / count;
    std::vector<at::Tensor> bands;
    for (std::int64_t y = 0; y < inner.height; y += rows) {
        stopPoint();
        const at::Tensor band = around.narrow(2, y, std::min(rows, inner.height - y) + 2);
        bands.push_back(at::relu(at::conv2d(band, convolution.weight, convolution.bias)));
    }
    return bands.size() == 1 ? bands[0] : at::cat(bands, 2);
}

at::Tensor LoftUpField::queryTokens(const Rect& rect, std::int64_t convolvedSide,
                                    LoftUpStages* stages) const {
    const Rect inner = atLeast(rect, convolvedSide, extent_);
    const Rect middle = grown(inner, 1, extent_);
    const at::Tensor conv1 = firstConvolved(middle, stages);
    stopPoint();
    const at::Tensor query = cropped(secondConvolved(conv1, middle, inner), inner, rect);
    at::Tensor rows = rowsFromPicture(query).to(at::kFloat);
    if (stages != nullptr) {
        const Rect outer = grown(middle, 1, extent_);
        for (at::Tensor* stage : {&stages->fourier, &stages->fourierNorm})
            *stage = rowsFromPicture(cropped(*stage, outer, rect));
        stages->conv1 = rowsFromPicture(cropped(conv1, middle, rect));
        stages->firstConv = rows;
    }
    return rows;
}

at::Tensor LoftUpField::blockQuery(std::size_t block, const at::Tensor& x) const {
    const CrossAttentionBlock& layer = weights_->layers[block];
    return splitHeads(layer.in_proj_q(layer.norm_q(x)), weights_->spec.heads);
}

at::Tensor LoftUpField::feedForward(const CrossAttentionBlock& block, const at::Tensor& x) const {
    return block.ff_contract(at::gelu(block.ff_expand(block.ff_norm(x))));
}

at::Tensor LoftUpField::throughLayers(at::Tensor x, LoftUpStages* stages) const {
    const LoftUpWeights& w = *weights_;
    if (w.packed && stages == nullptr) return throughPackedLayers(*w.packed, packedHeads_, x);
    for (std::size_t i = 0; i < w.layers.size(); ++i) {
        const CrossAttentionBlock& block = w.layers[i];
        const auto& [keys, values] = keysValues_[i];
        stopPoint();
        x = x + block.out_proj(joinHeads(loftscope::attend(blockQuery(i, x), keys, values)));
        if (stages != nullptr) stages->afterAttention.push_back(x);
        stopPoint();
        x = x + feedForward(block, x);
        if (stages != nullptr) stages->afterBlock.push_back(x);
    }
    return w.final_conv_norm(w.final_conv(w.norm(x)).to(at::kFloat));
}

at::Tensor LoftUpField::run(const Rect& rect, std::int64_t convolvedSide,
                            LoftUpStages* stages) const {
    const at::NoGradGuard noGrad;
    const at::Tensor tokens = queryTokens(rect, convolvedSide, stages);
    if (stages != nullptr || !weights_->device.is_cpu())
        return throughLayers(tokens, stages).t().reshape({channels(), rect.height, rect.width});
    at::Tensor output = at::empty({channels(), rect.area()});
    for (std::int64_t first = 0; first < rect.area(); first += pixelsTogether) {
        const std::int64_t count = std::min(pixelsTogether, rect.area() - first);
        output.narrow(1, first, count)
            .copy_(throughLayers(tokens.narrow(0, first, count), nullptr).t());
    }
    return output.view({channels(), rect.height, rect.width});
}

at::Tensor LoftUpField::queryTokens(const std::vector<Pixel>& pixels) const {
    const FoldedConv& convolution = weights_->first_conv_4;
    const std::int64_t dim = weights_->spec.dim;
    at::Tensor seen; // n x 9 x D
    if (conv1Table_) {
        seen = conv1Table_->evaluateAround(pixels);
    } else {
        seen = at::zeros({static_cast<std::int64_t>(pixels.size()), 3, 3, dim},
                         convolution.weight.options());
        for (std::size_t i = 0; i < pixels.size(); ++i) {
            const auto [x, y] = pixels[i];
            const Rect middle = grown({x, y, 1, 1}, 1, extent_);
            seen[static_cast<std::int64_t>(i)]
                .narrow(0, middle.y - y + 1, middle.height)
                .narrow(1, middle.x - x + 1, middle.width)
                .copy_(firstConvolved(middle, nullptr)[0].permute({1, 2, 0}));
        }
    }
    const at::Tensor weight = convolution.weight.permute({0, 2, 3, 1}).reshape({dim, 9 * dim});
    return at::relu(linearProduct(seen.flatten(1), weight, convolution.bias)).to(at::kFloat);
}

at::Tensor LoftUpField::evaluateEvery(const Rect& rect, std::int64_t stride) const {
    if (stride == 1) return evaluate(rect);
    // Pixel by pixel a GPU would spend its time on starting kernels.
    if (!weights_->device.is_cpu()) return FeatureField::evaluateEvery(rect, stride);
    const at::NoGradGuard noGrad;
    std::vector<at::Tensor> parts;
    std::vector<Pixel> pixels;
    for (std::int64_t y = rect.y; y < rect.bottom(); y += stride) {
        for (std::int64_t x = rect.x; x < rect.right(); x += stride) {
            pixels.push_back({x, y});
            if (pixels.size() < mostSinglePixels) continue;
            parts.push_back(throughLayers(queryTokens(pixels), nullptr));
            pixels.clear();
        }
    }
    if (!pixels.empty()) parts.push_back(throughLayers(queryTokens(pixels), nullptr));
    const auto count = [&](std::int64_t length) { return (length + stride - 1) / stride; };
    return at::cat(parts).t().reshape({channels(), count(rect.height), count(rect.width)});
}

at::Tensor LoftUpField::evaluateByKernels(const Rect& rect) const {
    const at::NoGradGuard noGrad;
    const Rect frame = convolvedAround(rect);
    at::Tensor conv1;
    if (conv1Table_) {
        conv1 = conv1Table_->evaluateHalf(frame);
    } else {
        const Rect inside = grown(frame, 0, extent_);
        const Rect whole = atLeast(inside, smallestConvolved, extent_);
        conv1 = framed(rowsFromPicture(cropped(firstConvolved(whole, nullptr), whole, inside)),
                       inside, frame);
    }
    return evaluatePacked(*weights_->packed, packedHeads_, conv1, rect);
}

at::Tensor LoftUpField::evaluate(const Rect& rect) const {
    if (weights_->packed) return evaluateByKernels(rect);
    return run(rect, smallestConvolved, nullptr);
}

at::Tensor LoftUpField::evaluate(const Rect& rect, LoftUpStages& stages) const {
    return run(rect, smallestConvolved, &stages);
}

std::optional<at::Tensor> LoftUpField::attend(const Pixel& pixel) const {
    const at::NoGradGuard noGrad;
    LoftUpStages stages;
    // A click has to be quick, and attention weights are far less sensitive than features.
    run({pixel.x, pixel.y, 1, 1}, 1, &stages);
    std::vector<at::Tensor> maps;
    for (std::size_t i = 0; i < weights_->layers.size(); ++i) {
        const at::Tensor& x = i == 0 ? stages.firstConv : stages.afterBlock[i - 1];
        maps.push_back(attentionWeights(blockQuery(i, x), keysValues_[i].keys).squeeze(1));
    }
    return at::stack(maps).view(
        {static_cast<std::int64_t>(maps.size()), weights_->spec.heads, grid_.height, grid_.width});
}

Result<std::shared_ptr<const LoftUpWeights>> readLoftUpWeights(const StateDict& state,
                                                               const LoftUpSpec& spec,
                                                               c10::Device device,
                                                               c10::ScalarType arithmetic) {
    if (spec.lrPositions != LrPositions::Sine) {
        return fail(ErrorCode::Unsupported, "This LoftUp has a learned position table for its "
                                            "tokens, which no released model uses: only the sine "
                                            "variant is supported.");
    }
    return guarded(
        "reading LoftUp's weights", [&]() -> Result<std::shared_ptr<const LoftUpWeights>> {
            const WeightScope root(state);
            const WeightScope upsampler = root["upsampler"];
            const WeightScope firstConv = upsampler["first_conv"];
            const WeightScope transformer = upsampler["ca_transformer"];
            const std::int64_t encoded = 2 * 5 * spec.frequencies + 3;

            auto weights = std::make_shared<LoftUpWeights>(LoftUpWeights{
                .spec = spec,
                .channelnorm = std::nullopt,
                .lr_pe = CoordinateEncoder(
                    upsampler["lr_pe"]("biases", {2, 2, spec.lrFrequencies}).to(device)),
                .fourier_feat = CoordinateEncoder(
                    upsampler["fourier_feat"][1]("biases", {2, 5, spec.frequencies}).to(device),
                    spec.hiddenCoordinates),
                .first_conv_norm =
                    readLayerNorm(firstConv[0]["norm"], encoded, layerNormEps, device),
                .first_conv_1 =
                    readFoldedConv(firstConv[1], firstConv[2], spec.dim, encoded, device),
                .first_conv_4 =
                    readFoldedConv(firstConv[4], firstConv[5], spec.dim, spec.dim, device),
                .layers = {},
                .norm = readLayerNorm(transformer["norm"], spec.dim, layerNormEps, device),
                .final_conv = {},
                .final_conv_norm =
                    readLayerNorm(upsampler["final_conv"][1], spec.channels, finalNormEps, device),
                .arithmetic = arithmetic,
                .device = device,
                .packed = nullptr});
            if (spec.hasChannelNorm)
                weights->channelnorm =
                    readLayerNorm(root["channelnorm"]["norm"], spec.channels, layerNormEps, device);
            for (std::int64_t i = 0; i < spec.depth; ++i)
                weights->layers.push_back(readBlock(transformer["layers"][i], spec, device));
            const WeightScope finalConv = upsampler["final_conv"][0];
            weights->final_conv = {
                finalConv("weight", {spec.channels, spec.dim, 1, 1}).flatten(1).to(device),
                finalConv("bias", {spec.channels}).to(device)};

            LOFTSCOPE_CHECK(requireComplete(root.account(), spec.name));
            if (arithmetic == at::kBFloat16 && device.is_cpu() && hasBf16Products())
                weights->packed = std::make_shared<const PackedLoftUp>(packLoftUp(*weights));
            convert(*weights, arithmetic);
            return weights;
        });
}

Result<std::unique_ptr<Upsampler>> makeLoftUp(const StateDict& state, const LoftUpSpec& spec,
                                              c10::Device device, c10::ScalarType arithmetic) {
    LOFTSCOPE_TRY(auto weights, readLoftUpWeights(state, spec, device, arithmetic));
    return std::make_unique<LoftUpUpsampler>(std::move(weights));
}

Recognition<UpsamplerCandidate> recogniseLoftUpModel(const StateDict& state) {
    if (!looksLikeLoftUp(state)) return std::nullopt;
    LOFTSCOPE_TRY(const LoftUpSpec spec, recogniseLoftUp(state));
    UpsamplerCandidate candidate;
    candidate.identity = {.family = "loftup",
                          .name = spec.name,
                          .facts = factsOf(spec),
                          .account = accountOf(state, spec),
                          .warnings = warningsAbout(spec)};
    candidate.anyArithmetic = true;
    candidate.build = [state, spec](c10::Device device, c10::ScalarType arithmetic) {
        return makeLoftUp(canonicalLoftUpState(state, spec), spec, device, arithmetic);
    };
    return candidate;
}

} // namespace loftscope
