// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/dinov3.h"

#include "core/backbone/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <numbers>

namespace loftscope {

namespace {

constexpr double dinov3LayerNormEps = 1e-5;
constexpr std::int64_t headWidth = 64;
constexpr std::int64_t headWidthOf7B = 128;
constexpr double rotaryBase = 100;

enum class DinoV3Layout {
    Hub,
    HuggingFace,
    HuggingFaceInMemory, ///< as transformers 5 names the modules, not as it saves them
    Timm,
};

const VitNames& namesOf(DinoV3Layout layout) {
    // SwiGLU's two matrices, which DINOv2 keeps as one, are apart here.
    static const VitNames hub{
        "blocks.",
        {{"register_tokens", {{"storage_tokens"}}}, {"mlp.w12", {{"mlp.w1", "mlp.w2"}}}}};
    static const std::vector<ModuleName> modules{
        {"cls_token", {{"embeddings.cls_token"}}},
        {"mask_token", {{"embeddings.mask_token"}}},
        {"register_tokens", {{"embeddings.register_tokens"}}},
        {"patch_embed.proj", {{"embeddings.patch_embeddings"}}},
        {"attn.qkv", {{"attention.q_proj", "attention.k_proj", "attention.v_proj"}}},
        {"attn.proj", {{"attention.o_proj"}}},
        {"ls1.gamma", {{"layer_scale1.lambda1"}}},
        {"ls2.gamma", {{"layer_scale2.lambda1"}}},
        {"mlp.fc1", {{"mlp.up_proj"}}},
        {"mlp.fc2", {{"mlp.down_proj"}}},
        {"mlp.w12", {{"mlp.gate_proj", "mlp.up_proj"}}},
        {"mlp.w3", {{"mlp.down_proj"}}}};
    static const VitNames huggingFace{"layer.", modules};
    static const VitNames inMemory{"model.layer.", modules};
    static const VitNames timm{"blocks.",
                               {{"register_tokens", {{"reg_token"}}},
                                {"attn.qkv.bias", {{"attn.q_bias", "attn.k_bias", "attn.v_bias"}}},
                                {"ls1.gamma", {{"gamma_1"}}},
                                {"ls2.gamma", {{"gamma_2"}}},
                                {"mlp.w12", {{"mlp.fc1_g", "mlp.fc1_x"}}},
                                {"mlp.w3", {{"mlp.fc2"}}}}};
    switch (layout) {
    case DinoV3Layout::Hub:
        return hub;
    case DinoV3Layout::HuggingFace:
        return huggingFace;
    case DinoV3Layout::HuggingFaceInMemory:
        return inMemory;
    case DinoV3Layout::Timm:
        return timm;
    }
    return hub;
}

std::string_view nameOf(DinoV3Layout layout) {
    if (layout == DinoV3Layout::Hub) return "DINOv3 hub";
    return layout == DinoV3Layout::Timm ? "timm" : "Hugging Face";
}

/// What a block's query and key biases are called where the latter are left out, being zero.
struct BiasNames {
    std::string_view query;
    std::string_view key;
};

BiasNames biasesOf(DinoV3Layout layout) {
    if (layout == DinoV3Layout::Timm) return {"attn.q_bias", "attn.k_bias"};
    return {"attention.q_proj.bias", "attention.k_proj.bias"};
}

struct DinoV3Spec {
    std::string name;
    DinoV3Layout layout = DinoV3Layout::Hub;
    std::string prefix;
    std::int64_t patch = 0;
    std::int64_t depth = 0;
    std::int64_t heads = 0;
    std::int64_t registers = 0;
    VitBlockShape block;
};

/// The file's parameters, and zeros for the key biases that other layouts than the hub's leave out.
StateDict withKeyBiases(const StateDict& state, const DinoV3Spec& spec) {
    if (spec.layout == DinoV3Layout::Hub) return state;
    const BiasNames names = biasesOf(spec.layout);
    StateDict complete = state;
    for (const auto& [key, bias] : state) {
        if (!key.ends_with(names.query)) continue;
        const std::string block = key.substr(0, key.size() - names.query.size());
        complete.emplace(block + std::string(names.key), at::zeros_like(bias));
    }
    return complete;
}

VitRules rulesForDinoV3(const VitNaming& naming, const DinoV3Spec& spec) {
    VitRules rules(naming);
    const std::int64_t c = spec.block.width;
    rules.add("cls_token", {1, 1, c});
    if (spec.registers > 0) rules.add("register_tokens", {1, spec.registers, c});
    rules.add("patch_embed.proj.weight", {c, 3, spec.patch, spec.patch});
    rules.add("patch_embed.proj.bias", {c});
    rules.addBlocks(spec.depth, spec.block);
    rules.addNorm("norm", c);
    if (spec.layout == DinoV3Layout::Hub) {
        rules.add("rope_embed.periods", {c / spec.heads / 4});
        // The mask is known: ones, but zeros for the keys.
        for (std::int64_t i = 0; i < spec.depth; ++i)
            rules.addUnused(fmt::format("blocks.{}.attn.qkv.bias_mask", i));
        // The largest model norms the CLS token of training's local crops apart.
        for (const char* name : {"weight", "bias"})
            rules.addUnused(std::string("local_cls_norm.") + name);
    }
    rules.addUnused("mask_token");
    return rules;
}

class Dinov3 final : public TransformerBackbone {
public:
    Dinov3(const DinoV3Spec& spec, const WeightScope& root, std::vector<TransformerBlock> blocks,
           c10::Device device)
        : TransformerBackbone({.name = spec.name,
                               .patch = spec.patch,
                               .width = spec.block.width,
                               .channels = spec.block.width,
                               .heads = spec.heads,
                               .prefixTokens = 1 + spec.registers,
                               .normalisation = {}},
                              std::move(blocks), device) {
        const std::int64_t c = spec.block.width;
        prefix_ = root("cls_token", {1, 1, c})[0].to(device);
        if (spec.registers > 0)
            prefix_ =
                at::cat({prefix_, root("register_tokens", {1, spec.registers, c})[0].to(device)});
        const WeightScope projection = root["patch_embed"]["proj"];
        patchWeight_ = projection("weight", {c, 3, spec.patch, spec.patch}).to(device);
        patchBias_ = projection("bias", {c}).to(device);
        norm_ = readLayerNorm(root["norm"], c, dinov3LayerNormEps, device);
        const std::int64_t frequencies = c / spec.heads / 4;
        if (spec.layout == DinoV3Layout::Hub) {
            periods_ = root["rope_embed"]("periods", {frequencies}).to(device);
        } else {
            const at::Tensor exponent =
                at::arange(frequencies, at::kFloat) / static_cast<double>(frequencies);
            periods_ = at::pow(rotaryBase, exponent).to(device);
        }
    }

private:
    at::Tensor embed(const at::Tensor& picture, const Extent& /*grid*/) const override {
        return at::cat({prefix_, patchRows(picture, patchWeight_, patchBias_)}, 0);
    }

    /// Centres of patches, -1..1 along each side whatever its length, as angles per frequency:
    /// row and column side by side, twice.
    at::Tensor angles(const Extent& grid) const {
        const auto centres = [&](std::int64_t count) {
            return (at::arange(count, periods_.options()) + 0.5) / static_cast<double>(count) * 2 -
                   1;
        };
        const auto turns = [&](const at::Tensor& coordinates) {
            return coordinates.unsqueeze(1) * (2 * std::numbers::pi) / periods_;
        };
        const std::int64_t f = periods_.size(0);
        const at::Tensor rows = turns(centres(grid.height)).view({grid.height, 1, f});
        const at::Tensor columns = turns(centres(grid.width)).view({1, grid.width, f});
        const std::vector<std::int64_t> whole{grid.height, grid.width, f};
        const at::Tensor both =
            at::cat({rows.expand(whole), columns.expand(whole)}, 2).view({grid.area(), 2 * f});
        return at::cat({both, both}, 1);
    }

    QueryKey placed(QueryKey pair, const Extent& grid) const override {
        const at::Tensor angle = angles(grid);
        const at::Tensor cosine = angle.cos();
        const at::Tensor sine = angle.sin();
        const std::int64_t before = shape().prefixTokens;
        const auto rotated = [&](const at::Tensor& x) {
            const at::Tensor patches = x.slice(1, before);
            const std::vector<at::Tensor> halves = patches.chunk(2, -1);
            const at::Tensor turned =
                patches * cosine + at::cat({-halves[1], halves[0]}, -1) * sine;
            return at::cat({x.slice(1, 0, before), turned}, 1);
        };
        return {rotated(pair.query), rotated(pair.key)};
    }

    at::Tensor finish(const at::Tensor& tokens) const override { return norm_(tokens); }

    at::Tensor prefix_; ///< (1 + registers) x C: CLS, then storage tokens
    at::Tensor patchWeight_;
    at::Tensor patchBias_;
    at::Tensor periods_; ///< a quarter of a head's width
    LayerNorm norm_;
};

Result<std::unique_ptr<Backbone>> buildDinoV3(const StateDict& state, const DinoV3Spec& spec,
                                              c10::Device device) {
    const StateDict complete = withKeyBiases(state, spec);
    const VitNaming naming(complete, namesOf(spec.layout), spec.prefix);
    return buildTransformer(complete, rulesForDinoV3(naming, spec).rules(), spec.name, spec.depth,
                            spec.block, dinov3LayerNormEps, device,
                            [&](const WeightScope& root, std::vector<TransformerBlock> blocks) {
                                const std::int64_t c = spec.block.width;
                                for (TransformerBlock& block : blocks) {
                                    if (!block.qkv.bias.defined()) continue;
                                    // A copy: parameters may lie in the mapped file itself.
                                    block.qkv.bias = block.qkv.bias.clone();
                                    block.qkv.bias.slice(0, c, 2 * c).zero_();
                                }
                                return std::make_unique<Dinov3>(spec, root, std::move(blocks),
                                                                device);
                            });
}

} // namespace

Recognition<BackboneCandidate> recogniseDinov3(const StateDict& state,
                                               const BackboneChoices& /*choices*/) {
    DinoV3Spec spec;
    if (auto prefix = prefixBefore(state, "rope_embed.periods")) {
        spec.layout = DinoV3Layout::Hub;
        spec.prefix = *std::move(prefix);
    } else if (prefix = prefixBefore(state, "embeddings.patch_embeddings.weight"); prefix) {
        spec.prefix = *std::move(prefix);
        const auto has = [&](std::string_view key) {
            return state.contains(spec.prefix + std::string(key));
        };
        if (has("layer.0.attention.q_proj.weight")) {
            spec.layout = DinoV3Layout::HuggingFace;
        } else if (has("model.layer.0.attention.q_proj.weight")) {
            spec.layout = DinoV3Layout::HuggingFaceInMemory;
        } else {
            return std::nullopt;
        }
    } else if (prefix = prefixBefore(state, "reg_token"); prefix) {
        // timm builds others of the same parts: with learned places, frequencies of their own, or
        // without the CLS token.
        spec.layout = DinoV3Layout::Timm;
        spec.prefix = *std::move(prefix);
        const auto has = [&](std::string_view key) {
            return state.contains(spec.prefix + std::string(key));
        };
        if (!has("cls_token") || !has("blocks.0.gamma_1") || !has("norm.weight") ||
            has("pos_embed") || has("rope.freqs"))
            return std::nullopt;
    } else {
        return std::nullopt;
    }
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like a DINOv3 vision transformer, but {}.", reason));
    };
    const VitNaming naming(state, namesOf(spec.layout), spec.prefix);
    const auto outline = outlineOf(naming);
    if (!outline) return unusable(outline.error());
    spec.patch = outline->patch;
    const std::int64_t width = outline->width;
    spec.depth = outline->depth;
    spec.block = outline->block;
    const std::int64_t ofHead = width == 4096 ? headWidthOf7B : headWidth;
    if (width < ofHead || width % ofHead != 0) {
        return unusable(
            fmt::format("its width {} is not a multiple of the head width {}", width, ofHead));
    }
    spec.heads = width / ofHead;
    // A gated MLP has names of its own here; its `up_proj` must not pass for a plain one's.
    if (const auto gated = naming.shape("blocks.0.mlp.w12.weight"); gated.size() == 2) {
        spec.block.swiglu = true;
        spec.block.hidden = gated[0] / 2;
    }
    if (spec.layout != DinoV3Layout::Hub) {
        spec.block.qkvBias = state.contains(fmt::format(
            "{}{}0.{}", spec.prefix, namesOf(spec.layout).blocks, biasesOf(spec.layout).query));
    }
    if (const auto registers = naming.shape("register_tokens"); registers.size() == 3)
        spec.registers = registers[1];
    const bool plus = spec.block.swiglu && width < 4096;
    spec.name = fmt::format("DINOv3 ViT-{}{}/{}", vitSizeName(width, spec.depth), plus ? "+" : "",
                            spec.patch);

    BackboneCandidate candidate;
    candidate.identity.family = "dinov3";
    candidate.identity.name = spec.name;
    candidate.identity.lineage = "DINOv3";
    candidate.identity.facts = {{"layout", std::string(nameOf(spec.layout))},
                                {"patch", spec.patch},
                                {"width", width},
                                {"depth", spec.depth},
                                {"heads", spec.heads},
                                {"registers", spec.registers},
                                {"layer_scale", spec.block.layerScale},
                                {"mlp", std::string(spec.block.swiglu ? "SwiGLU" : "GELU")},
                                {"mlp_hidden", spec.block.hidden},
                                {"positions", std::string("rotary")}};
    if (!spec.prefix.empty()) candidate.identity.facts.emplace_back("key_prefix", spec.prefix);
    const StateDict complete = withKeyBiases(state, spec);
    candidate.identity.account = accountOf(
        complete,
        rulesForDinoV3(VitNaming(complete, namesOf(spec.layout), spec.prefix), spec).rules());
    candidate.build = [state, spec](c10::Device device) {
        return buildDinoV3(state, spec, device);
    };
    return candidate;
}

} // namespace loftscope
