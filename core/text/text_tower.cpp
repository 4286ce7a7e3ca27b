// SPDX-License-Identifier: Apache-2.0
#include "core/text/text_tower.h"

#include "core/base/guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/triu.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace loftscope {

namespace {

constexpr double clipNormEps = 1e-5;
constexpr double siglipNormEps = 1e-6;
constexpr std::int64_t siglip2Words = 256000;

enum class Layout {
    OpenClip, ///< also OpenAI's
    HuggingFace,
};

const VitNames& namesOf(Layout layout) {
    static const VitNames openClip{"transformer.resblocks.",
                                   openClipModules({{"words", {{"token_embedding.weight"}}},
                                                    {"positions", {{"positional_embedding"}}},
                                                    {"norm", {{"ln_final"}}},
                                                    {"projection", {{"text_projection"}}}})};
    static const VitNames huggingFace{
        "text_model.encoder.layers.",
        huggingFaceClipModules(
            {{"words", {{"text_model.embeddings.token_embedding.weight"}}},
             {"positions", {{"text_model.embeddings.position_embedding.weight"}}},
             {"norm", {{"text_model.final_layer_norm"}}}})};
    return layout == Layout::OpenClip ? openClip : huggingFace;
}

/// Where the tower stands in a file.
struct Place {
    Layout layout = Layout::OpenClip;
    std::string prefix;
    std::string pooling; ///< of the image tower; empty where there is none
    bool siglip = false;
};

std::optional<Place> findTower(const StateDict& state) {
    Place place;
    if (auto prefix = prefixBefore(state, "text_model.embeddings.token_embedding.weight")) {
        place.layout = Layout::HuggingFace;
        place.prefix = *std::move(prefix);
        place.siglip = state.contains(place.prefix + "text_model.head.weight");
        if (place.siglip) place.pooling = place.prefix + "vision_model.head.";
        return place;
    }
    if (auto prefix = prefixBefore(state, "token_embedding.weight")) {
        place.prefix = *std::move(prefix);
        if (const auto pooling = prefixBefore(state, "attn_pool.latent")) {
            place.siglip = true;
            place.pooling = *pooling + "attn_pool.";
        }
        return place;
    }
    return std::nullopt;
}

WeightScope within(const WeightScope& root, std::string_view prefix) {
    return prefix.empty() ? root : root[prefix.substr(0, prefix.size() - 1)];
}

TokenPooling readPooling(const WeightScope& root, const Place& place, std::int64_t width,
                         std::int64_t hidden, c10::Device device) {
    const WeightScope pool = within(root, place.pooling);
    const auto lastOf = [&](Linear stacked) {
        const std::int64_t rows = stacked.weight.size(0);
        return Linear{stacked.weight.slice(0, rows - width), stacked.bias.slice(0, rows - width)};
    };
    if (place.layout == Layout::OpenClip) {
        return {.value = lastOf(readLinear(pool["kv"], 2 * width, width, device)),
                .proj = readLinear(pool["proj"], width, width, device),
                .norm = readLayerNorm(pool["norm"], width, siglipNormEps, device),
                .expand = readLinear(pool["mlp"]["fc1"], hidden, width, device),
                .contract = readLinear(pool["mlp"]["fc2"], width, hidden, device)};
    }
    const WeightScope attention = pool["attention"];
    return {.value = lastOf({attention("in_proj_weight", {3 * width, width}).to(device),
                             attention("in_proj_bias", {3 * width}).to(device)}),
            .proj = readLinear(attention["out_proj"], width, width, device),
            .norm = readLayerNorm(pool["layernorm"], width, siglipNormEps, device),
            .expand = readLinear(pool["mlp"]["fc1"], hidden, width, device),
            .contract = readLinear(pool["mlp"]["fc2"], width, hidden, device)};
}

/// From the width of the tower to the shared space; the layouts differ in where it stands and which
/// way round.
Linear readProjection(const StateDict& state, const WeightScope& scope, const Place& place,
                      std::int64_t width, c10::Device device) {
    if (place.layout == Layout::HuggingFace) {
        if (place.siglip) return readLinear(scope["text_model"]["head"], -1, width, device);
        return readLinear(scope["text_projection"], -1, width, device, false);
    }
    if (state.contains(place.prefix + "text_projection.weight")) {
        return readLinear(scope["text_projection"], -1, width, device,
                          state.contains(place.prefix + "text_projection.bias"));
    }
    return {scope("text_projection", {width, -1}).t().contiguous().to(device), {}};
}

} // namespace

TextTower::TextTower(TextTowerShape shape, TextTowerWeights weights, c10::Device device)
    : shape_(shape)
    , weights_(std::move(weights))
    , device_(device) {}

at::Tensor TextTower::embedding(const std::vector<std::int64_t>& tokens) const {
    const at::NoGradGuard noGrad;
    const TextTowerWeights& w = weights_;
    std::vector<std::int64_t> ids = tokens;
    const bool clip = shape_.vocabulary == TextVocabulary::Clip;
    // CLIP's words see only those before them, so that what follows the end changes nothing.
    // SigLIP's see the padding, too.
    if (!clip) {
        const std::int64_t padding =
            shape_.vocabulary == TextVocabulary::Siglip ? tokens.back() : 0;
        ids.resize(static_cast<std::size_t>(shape_.context), padding);
    }
    const auto count = static_cast<std::int64_t>(ids.size());
    at::Tensor x = w.words.index_select(0, at::tensor(ids, at::kLong).to(device_)) +
                   w.positions.slice(0, 0, count);
    const at::Tensor future =
        at::triu(at::full({count, count}, -std::numeric_limits<float>::infinity(), x.options()), 1);
    const std::int64_t width = x.size(1);
    for (const TransformerBlock& block : w.blocks) {
        const at::Tensor qkv = block.qkv(block.norm1(x));
        const auto third = [&](std::int64_t k) {
            return splitHeads(qkv.slice(1, k * width, (k + 1) * width), shape_.heads);
        };
        const double scale = 1.0 / std::sqrt(static_cast<double>(width / shape_.heads));
        at::Tensor logits = at::matmul(third(0) * scale, third(1).transpose(1, 2));
        if (clip) logits = logits + future;
        x = x + block.proj(joinHeads(at::matmul(at::softmax(logits, -1), third(2))));
        x = x + block.contract(activated(shape_.activation, block.expand(block.norm2(x))));
    }
    const at::Tensor meaning = w.projection(w.norm(x.slice(0, count - 1))).flatten();
    return meaning / meaning.norm().clamp_min(1e-12);
}

at::Tensor TextTower::inTextSpace(const at::Tensor& features) const {
    const at::NoGradGuard noGrad;
    if (!weights_.pooling) return features;
    const TokenPooling& pooling = *weights_.pooling;
    const at::Tensor rows = features.to(device_).flatten(1).t();
    const at::Tensor pooled = pooling.proj(pooling.value(rows));
    const at::Tensor result =
        pooled + pooling.contract(activated(shape_.pooling, pooling.expand(pooling.norm(pooled))));
    return result.t().view({result.size(1), features.size(1), features.size(2)});
}

bool holdsTextTower(const StateDict& state) {
    return findTower(state).has_value();
}

Result<std::optional<TextTower>>
readTextTower(const StateDict& state, std::optional<Activation> activation, c10::Device device) {
    const std::optional<Place> place = findTower(state);
    if (!place) return std::nullopt;
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("The checkpoint's text tower cannot be used: {}.", reason));
    };
    return guarded("reading the text tower", [&]() -> Result<std::optional<TextTower>> {
        const VitNaming naming(state, namesOf(place->layout), place->prefix);
        const auto words = naming.shape("words");
        const auto positions = naming.shape("positions");
        if (words.size() != 2 || positions.size() != 2 || positions[1] != words[1])
            return unusable("its tables of words and places do not fit together");
        const std::int64_t width = words[1];
        const auto block = blockShape(naming, width);
        if (!block || block->swiglu || naming.depth() == 0)
            return unusable("its blocks are of a kind that is not known here");
        if (state.contains("visual.head.proj.weight") ||
            state.contains("visual.head.mlp.fc1.weight"))
            return unusable("its image tower projects what it has pooled, which is not supported");

        TextTowerShape shape;
        shape.words = words[0];
        shape.context = positions[0];
        // SO400M has 16 heads; others have 64 channels each.
        shape.heads = width == 1152 ? 16 : width / 64;
        if (shape.heads < 1 || width % shape.heads != 0)
            return unusable(fmt::format("its width {} does not divide into heads", width));
        shape.activation = activation.value_or(Activation::QuickGelu);
        if (place->siglip) {
            const bool second = shape.words >= siglip2Words;
            shape.vocabulary = second ? TextVocabulary::Siglip2 : TextVocabulary::Siglip;
            const bool tanh = place->layout == Layout::HuggingFace;
            shape.activation =
                activation.value_or(tanh || second ? Activation::GeluTanh : Activation::Gelu);
            shape.pooling = activation.value_or(tanh ? Activation::GeluTanh : Activation::Gelu);
        }
        const double eps = place->siglip ? siglipNormEps : clipNormEps;

        VitRules rules(naming);
        rules.add("words", {words[0], width});
        rules.add("positions", {positions[0], width});
        rules.addBlocks(naming.depth(), *block);
        rules.addNorm("norm", width);
        const StateDict canonical = applyRules(state, rules.rules());
        const WeightScope root(canonical);
        TextTowerWeights weights{
            .words = root("words", {words[0], width}).to(device),
            .positions = root("positions", {positions[0], width}).to(device),
            .blocks = readTransformerBlocks(root, naming.depth(), *block, eps, device),
            .norm = readLayerNorm(root["norm"], width, eps, device),
            .projection = readProjection(state, within(root, place->prefix), *place, width, device),
            .pooling = std::nullopt};
        shape.channels = weights.projection.weight.size(0);
        if (place->siglip) {
            const auto hidden = state.find(place->pooling + "mlp.fc1.weight");
            weights.pooling =
                readPooling(root, *place, shape.channels,
                            hidden == state.end() ? 0 : hidden->second.size(0), device);
        }
        LOFTSCOPE_CHECK(requireComplete(root.account(), "the text tower"));
        return TextTower(shape, std::move(weights), device);
    });
}

} // namespace loftscope
