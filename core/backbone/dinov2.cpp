// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/dinov2.h"

#include "core/backbone/conv_stem.h"
#include "core/backbone/position_table.h"
#include "core/backbone/transformer.h"
#include "core/base/guard.h"
#include "core/weights/recognise.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

namespace loftscope {

namespace {

constexpr double dinov2LayerNormEps = 1e-6;

struct Weights {
    at::Tensor cls_token;       ///< 1 x 1 x C
    at::Tensor pos_embed;       ///< 1 x (1 + base grid) x C
    at::Tensor register_tokens; ///< 1 x registers x C
    StateDict stem;             ///< by key; empty without one
    at::Tensor patch_embed_weight;
    at::Tensor patch_embed_bias;
    LayerNorm norm;
};

Weights readWeights(const WeightScope& root, const VitSpec& spec, c10::Device device) {
    Weights weights;
    const std::int64_t width = spec.width;
    weights.cls_token = root("cls_token", {1, 1, width}).to(device);
    weights.pos_embed = root("pos_embed", {1, 1 + spec.positionGrid.area(), width}).to(device);
    if (spec.registers > 0)
        weights.register_tokens = root("register_tokens", {1, spec.registers, width}).to(device);
    for (const auto& [key, shape] : stemShapes(spec.stem))
        weights.stem[key] = root(key, shape).to(device);
    const WeightScope projection = root["patch_embed"]["proj"];
    weights.patch_embed_weight =
        projection("weight", {width, spec.patchChannels(), spec.patchKernel(), spec.patchKernel()})
            .to(device);
    weights.patch_embed_bias = projection("bias", {width}).to(device);
    weights.norm = readLayerNorm(root["norm"], width, dinov2LayerNormEps, device);
    root.ignore("mask_token"); // only used while the model is trained
    return weights;
}

class Dinov2 final : public TransformerBackbone {
public:
    Dinov2(const VitSpec& spec, Weights weights, std::vector<TransformerBlock> blocks,
           c10::Device device)
        : TransformerBackbone({.name = spec.name,
                               .patch = spec.patch,
                               .width = spec.width,
                               .channels = spec.width,
                               .heads = spec.heads,
                               .prefixTokens = 1 + spec.registers,
                               .normalisation = {}},
                              std::move(blocks), device)
        , spec_(spec)
        , weights_(std::move(weights)) {}

private:
    at::Tensor embed(const at::Tensor& picture, const Extent& grid) const override {
        const auto ofStem = [&](const std::string& key) { return weights_.stem.at(key); };
        const at::Tensor seen = convStem(spec_.stem, ofStem, picture, at::kFloat);
        const at::Tensor patches =
            patchRows(seen, weights_.patch_embed_weight, weights_.patch_embed_bias);
        at::Tensor x = at::cat({weights_.cls_token[0], patches}, 0) +
                       resizedPositionTable(weights_.pos_embed, spec_.positionGrid, grid,
                                            spec_.positionRule)[0];
        // Registers have no place in the picture, hence no position code.
        if (spec_.registers > 0)
            x = at::cat({x.slice(0, 0, 1), weights_.register_tokens[0], x.slice(0, 1)}, 0);
        return x;
    }

    at::Tensor finish(const at::Tensor& tokens) const override { return weights_.norm(tokens); }

    VitSpec spec_;
    Weights weights_;
};

ModelFacts factsOf(const VitSpec& spec) {
    ModelFacts facts{{"layout", std::string(nameOf(spec.layout))},
                     {"patch", spec.patch},
                     {"width", spec.width},
                     {"depth", spec.depth},
                     {"heads", spec.heads},
                     {"registers", spec.registers},
                     {"layer_scale", spec.layerScale},
                     {"mlp", std::string(spec.swiglu ? "SwiGLU" : "GELU")},
                     {"mlp_hidden", spec.hidden},
                     {"qkv_bias", spec.qkvBias},
                     {"position_grid", spec.positionGrid},
                     {"position_includes_class", spec.positionIncludesClass},
                     {"position_resize", std::string(nameOf(spec.positionRule))}};
    if (!spec.stem.empty()) facts.emplace_back("stem", textOf(spec.stem));
    if (!spec.keyPrefix.empty()) facts.emplace_back("key_prefix", spec.keyPrefix);
    return facts;
}

/// Only DINOv2's name is known from its build; others of this build are many.
std::string lineageOf(const VitSpec& spec) {
    if (!spec.name.starts_with("DINOv2")) return "";
    return spec.registers > 0 ? "DINOv2 with registers" : "DINOv2";
}

} // namespace

Result<std::unique_ptr<Backbone>> makeDinov2(const StateDict& state, const VitSpec& spec,
                                             c10::Device device) {
    return guarded("reading the backbone's weights", [&]() -> Result<std::unique_ptr<Backbone>> {
        const WeightScope root(state);
        Weights weights = readWeights(root, spec, device);
        std::vector<TransformerBlock> blocks = readTransformerBlocks(
            root, spec.depth, {spec.width, spec.hidden, spec.swiglu, spec.layerScale, spec.qkvBias},
            dinov2LayerNormEps, device);
        LOFTSCOPE_CHECK(requireComplete(root.account(), spec.name));
        return std::make_unique<Dinov2>(spec, std::move(weights), std::move(blocks), device);
    });
}

Recognition<BackboneCandidate> recogniseVitModel(const StateDict& state,
                                                 const BackboneChoices& choices) {
    if (!looksLikeVit(state)) return std::nullopt;
    LOFTSCOPE_TRY(VitSpec spec, recogniseVit(state));
    spec.positionRule = choices.positionRule.value_or(spec.positionRule);
    BackboneCandidate candidate;
    candidate.identity = {.family = "vit",
                          .name = spec.name,
                          .lineage = lineageOf(spec),
                          .facts = factsOf(spec),
                          .account = accountOf(state, spec)};
    candidate.build = [state, spec](c10::Device device) {
        return makeDinov2(canonicalVitState(state, spec), spec, device);
    };
    return candidate;
}

} // namespace loftscope
