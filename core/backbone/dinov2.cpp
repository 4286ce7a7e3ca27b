// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/dinov2.h"

#include "core/backbone/position_table.h"
#include "core/base/guard.h"
#include "core/weights/layers.h"
#include "core/weights/recognise.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace loftscope {

namespace {

constexpr double layerNormEps = 1e-6;

struct Attention {
    Linear qkv;
    Linear proj;
};

/// `fc1`, `fc2` with GELU, or SwiGLU's `w12`, `w3`.
struct Mlp {
    Linear expand;
    Linear contract;
    bool swiglu = false;
};

struct Block {
    LayerNorm norm1;
    Attention attn;
    at::Tensor ls1; ///< `ls1.gamma`; undefined without LayerScale
    LayerNorm norm2;
    Mlp mlp;
    at::Tensor ls2;
};

struct Weights {
    at::Tensor cls_token;       ///< 1 x 1 x C
    at::Tensor pos_embed;       ///< 1 x (1 + base grid) x C
    at::Tensor register_tokens; ///< 1 x registers x C
    at::Tensor patch_embed_weight;
    at::Tensor patch_embed_bias;
    std::vector<Block> blocks;
    LayerNorm norm;
};

Block readBlock(const WeightScope& scope, const VitSpec& spec, c10::Device device) {
    const std::int64_t width = spec.width;
    const auto layerScale = [&](std::string_view name) {
        return spec.layerScale ? scope[name]("gamma", {width}).to(device) : at::Tensor();
    };
    const WeightScope mlp = scope["mlp"];
    return {.norm1 = readLayerNorm(scope["norm1"], width, layerNormEps, device),
            .attn = {readLinear(scope["attn"]["qkv"], 3 * width, width, device, spec.qkvBias),
                     readLinear(scope["attn"]["proj"], width, width, device)},
            .ls1 = layerScale("ls1"),
            .norm2 = readLayerNorm(scope["norm2"], width, layerNormEps, device),
            .mlp = spec.swiglu ? Mlp{readLinear(mlp["w12"], 2 * spec.hidden, width, device),
                                     readLinear(mlp["w3"], width, spec.hidden, device), true}
                               : Mlp{readLinear(mlp["fc1"], spec.hidden, width, device),
                                     readLinear(mlp["fc2"], width, spec.hidden, device), false},
            .ls2 = layerScale("ls2")};
}

Weights readWeights(const WeightScope& root, const VitSpec& spec, c10::Device device) {
    Weights weights;
    const std::int64_t width = spec.width;
    weights.cls_token = root("cls_token", {1, 1, width}).to(device);
    weights.pos_embed = root("pos_embed", {1, 1 + spec.positionGrid.area(), width}).to(device);
    if (spec.registers > 0)
        weights.register_tokens = root("register_tokens", {1, spec.registers, width}).to(device);
    const WeightScope projection = root["patch_embed"]["proj"];
    weights.patch_embed_weight =
        projection("weight", {width, 3, spec.patch, spec.patch}).to(device);
    weights.patch_embed_bias = projection("bias", {width}).to(device);
    for (std::int64_t i = 0; i < spec.depth; ++i)
        weights.blocks.push_back(readBlock(root["blocks"][i], spec, device));
    weights.norm = readLayerNorm(root["norm"], width, layerNormEps, device);
    root.ignore("mask_token"); // only used while the model is trained
    return weights;
}

at::Tensor scaled(const at::Tensor& x, const at::Tensor& gamma) {
    return gamma.defined() ? x * gamma : x;
}

at::Tensor feedForward(const Mlp& mlp, const at::Tensor& x) {
    const at::Tensor hidden = mlp.expand(x);
    if (!mlp.swiglu) return mlp.contract(at::gelu(hidden));
    const std::vector<at::Tensor> halves = hidden.chunk(2, -1);
    return mlp.contract(at::silu(halves[0]) * halves[1]);
}

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
    if (!spec.keyPrefix.empty()) facts.emplace_back("key_prefix", spec.keyPrefix);
    return facts;
}

class Dinov2 final : public Backbone {
public:
    Dinov2(VitSpec spec, Weights weights, c10::Device device)
        : spec_(std::move(spec))
        , weights_(std::move(weights))
        , device_(device) {}

    std::string name() const override { return spec_.name; }
    std::int64_t patch() const override { return spec_.patch; }
    std::int64_t channels() const override { return spec_.width; }
    std::int64_t depth() const override { return spec_.depth; }
    std::int64_t heads() const override { return spec_.heads; }
    Normalisation normalisation() const override { return {}; }

    Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps& taps,
                               const RunContext& context) const override {
        LOFTSCOPE_CHECK(checkInput(picture, taps));
        return guarded("running the backbone", [&] { return forward(picture, taps, context); });
    }

private:
    Result<void> checkInput(const at::Tensor& picture, const BackboneTaps& taps) const {
        if (picture.dim() != 4 || picture.size(0) != 1 || picture.size(1) != 3) {
            return fail(
                ErrorCode::InvalidArgument,
                fmt::format("{} takes one picture of 3 channels (1 x 3 x H x W).", spec_.name));
        }
        const Extent size{picture.size(2), picture.size(3)};
        if (size.area() == 0 || size.height % spec_.patch != 0 || size.width % spec_.patch != 0) {
            return fail(
                ErrorCode::InvalidArgument,
                fmt::format(
                    "{} takes pictures whose sides are multiples of {} pixels, not {} x {}.",
                    spec_.name, spec_.patch, size.width, size.height));
        }
        for (const std::int64_t layer : taps.layers) {
            if (layer < 0 || layer >= spec_.depth) {
                return fail(ErrorCode::InvalidArgument,
                            fmt::format("{} has layers 0 to {}, not {}.", spec_.name,
                                        spec_.depth - 1, layer));
            }
        }
        const Extent grid{size.height / spec_.patch, size.width / spec_.patch};
        if (taps.query && !contains(grid, *taps.query)) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The query patch ({}, {}) is outside the {} x {} token grid.",
                                    taps.query->x, taps.query->y, grid.width, grid.height));
        }
        return {};
    }

    std::int64_t prefixTokens() const { return 1 + spec_.registers; }

    /// The sequence that enters block 0: CLS, registers, patches; N x C.
    at::Tensor embed(const at::Tensor& picture, const Extent& grid) const {
        const at::Tensor patches = at::conv2d(picture.to(device_), weights_.patch_embed_weight,
                                              weights_.patch_embed_bias, spec_.patch)
                                       .flatten(2)
                                       .transpose(1, 2);
        at::Tensor x =
            at::cat({weights_.cls_token, patches}, 1) +
            resizedPositionTable(weights_.pos_embed, spec_.positionGrid, grid, spec_.positionRule);
        // Registers have no place in the picture, hence no position code.
        if (spec_.registers > 0)
            x = at::cat({x.slice(1, 0, 1), weights_.register_tokens, x.slice(1, 1)}, 1);
        return x.squeeze(0);
    }

    BackboneOutput forward(const at::Tensor& picture, const BackboneTaps& taps,
                           const RunContext& context) const {
        const at::NoGradGuard noGrad;
        const Extent grid{picture.size(2) / spec_.patch, picture.size(3) / spec_.patch};
        const auto asGrid = [&](const at::Tensor& tokens) {
            return FeatureGrid{tokens.slice(0, prefixTokens())
                                   .t()
                                   .reshape({spec_.width, grid.height, grid.width})
                                   .contiguous()};
        };

        BackboneOutput output;
        output.layers.resize(taps.layers.size());
        std::vector<at::Tensor> attention;
        at::Tensor x = embed(picture, grid);
        for (std::size_t i = 0; i < weights_.blocks.size(); ++i) {
            context.throwIfStopped();
            context.progress("backbone", static_cast<double>(i) / static_cast<double>(spec_.depth));
            const Block& block = weights_.blocks[i];

            const at::Tensor qkv = block.attn.qkv(block.norm1(x));
            const auto third = [&](std::int64_t k) {
                return splitHeads(qkv.slice(1, k * spec_.width, (k + 1) * spec_.width),
                                  spec_.heads);
            };
            const at::Tensor query = third(0);
            const at::Tensor key = third(1);
            if (taps.attention) {
                const std::int64_t row =
                    taps.query ? prefixTokens() + taps.query->y * grid.width + taps.query->x : 0;
                attention.push_back(
                    attentionWeights(query.slice(1, row, row + 1), key).squeeze(1)); // heads x N
            }
            x = x + scaled(block.attn.proj(joinHeads(attend(query, key, third(2)))), block.ls1);
            x = x + scaled(feedForward(block.mlp, block.norm2(x)), block.ls2);

            for (std::size_t k = 0; k < taps.layers.size(); ++k)
                if (taps.layers[k] == static_cast<std::int64_t>(i)) output.layers[k] = asGrid(x);
        }
        output.tokens = asGrid(weights_.norm(x));
        if (taps.attention) {
            const at::Tensor all = at::stack(attention); // depth x heads x N
            output.attention = all.slice(2, prefixTokens())
                                   .reshape({spec_.depth, spec_.heads, grid.height, grid.width})
                                   .contiguous();
            output.attentionElsewhere = all.slice(2, 0, prefixTokens()).sum(2);
        }
        context.progress("backbone", 1.0);
        return output;
    }

    VitSpec spec_;
    Weights weights_;
    c10::Device device_;
};

} // namespace

Result<std::unique_ptr<Backbone>> makeDinov2(const StateDict& state, const VitSpec& spec,
                                             c10::Device device) {
    return guarded("reading the backbone's weights", [&]() -> Result<std::unique_ptr<Backbone>> {
        const WeightScope root(state);
        Weights weights = readWeights(root, spec, device);
        LOFTSCOPE_CHECK(requireComplete(root.account(), spec.name));
        return std::make_unique<Dinov2>(spec, std::move(weights), device);
    });
}

Recognition<BackboneCandidate> recogniseVitModel(const StateDict& state,
                                                 const BackboneChoices& choices) {
    if (!looksLikeVit(state)) return std::nullopt;
    LOFTSCOPE_TRY(VitSpec spec, recogniseVit(state));
    spec.positionRule = choices.positionRule.value_or(spec.positionRule);
    BackboneCandidate candidate;
    candidate.identity = {"vit", spec.name, factsOf(spec), accountOf(state, spec), {}};
    candidate.build = [state, spec](c10::Device device) {
        return makeDinov2(canonicalVitState(state, spec), spec, device);
    };
    return candidate;
}

} // namespace loftscope
