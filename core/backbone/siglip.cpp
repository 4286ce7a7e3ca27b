// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/siglip.h"

#include "core/backbone/position_table.h"
#include "core/backbone/transformer.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

namespace {

constexpr double siglipLayerNormEps = 1e-6;
constexpr Normalisation halfNormalisation{{0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F}};
/// Rows of SigLIP 2's text embedding; the first SigLIP has 32,000.
constexpr std::int64_t siglip2Vocabulary = 256000;

enum class Layout {
    Timm, ///< also open_clip's
    HuggingFace,
    HuggingFaceTower, ///< as transformers 5 saves the image tower alone
};

const VitNames& namesOf(Layout layout) {
    static const VitNames timm;
    static const VitNames huggingFace{
        "vision_model.encoder.layers.",
        huggingFaceClipModules(
            {{"pos_embed", {{"vision_model.embeddings.position_embedding.weight"}}},
             {"patch_embed.proj", {{"vision_model.embeddings.patch_embedding"}}},
             {"norm", {{"vision_model.post_layernorm"}}}})};
    static const VitNames tower{
        "encoder.layers.",
        huggingFaceClipModules({{"pos_embed", {{"embeddings.position_embedding.weight"}}},
                                {"patch_embed.proj", {{"embeddings.patch_embedding"}}},
                                {"norm", {{"post_layernorm"}}}})};
    switch (layout) {
    case Layout::Timm:
        return timm;
    case Layout::HuggingFace:
        return huggingFace;
    case Layout::HuggingFaceTower:
        return tower;
    }
    return timm;
}

struct SigLipSpec {
    std::string name;
    Layout layout = Layout::Timm;
    std::string prefix;
    bool siglip = true; ///< false: a plain ViT
    std::int64_t patch = 0;
    std::int64_t depth = 0;
    std::int64_t heads = 0;
    VitBlockShape block;
    Extent positionGrid;
    PositionRule positionRule = PositionRule::SizeAntialias;
    Activation activation = Activation::Gelu;
};

std::vector<std::int64_t> positionShape(const SigLipSpec& spec) {
    if (spec.layout == Layout::Timm) return {1, spec.positionGrid.area(), spec.block.width};
    return {spec.positionGrid.area(), spec.block.width};
}

VitRules rulesForSigLip(const VitNaming& naming, const SigLipSpec& spec) {
    VitRules rules(naming);
    const std::int64_t c = spec.block.width;
    rules.add("pos_embed", positionShape(spec));
    rules.add("patch_embed.proj.weight", {c, 3, spec.patch, spec.patch});
    rules.add("patch_embed.proj.bias", {c});
    rules.addBlocks(spec.depth, spec.block);
    rules.addNorm("norm", c);
    return rules;
}

class Siglip final : public TransformerBackbone {
public:
    Siglip(const SigLipSpec& spec, const WeightScope& root, std::vector<TransformerBlock> blocks,
           c10::Device device)
        : TransformerBackbone({.name = spec.name,
                               .patch = spec.patch,
                               .width = spec.block.width,
                               .channels = spec.block.width,
                               .heads = spec.heads,
                               .prefixTokens = 0,
                               .activation = spec.activation,
                               .normalisation = spec.siglip ? halfNormalisation : Normalisation{}},
                              std::move(blocks), device)
        , positionGrid_(spec.positionGrid)
        , positionRule_(spec.positionRule) {
        const std::int64_t c = spec.block.width;
        positions_ = root("pos_embed", positionShape(spec))
                         .view({1, spec.positionGrid.area(), c})
                         .to(device);
        const WeightScope projection = root["patch_embed"]["proj"];
        patchWeight_ = projection("weight", {c, 3, spec.patch, spec.patch}).to(device);
        patchBias_ = projection("bias", {c}).to(device);
        norm_ = readLayerNorm(root["norm"], c, siglipLayerNormEps, device);
    }

private:
    at::Tensor embed(const at::Tensor& picture, const Extent& grid) const override {
        return patchRows(picture, patchWeight_, patchBias_) +
               resizedPatchPositions(positions_, positionGrid_, grid, positionRule_)[0];
    }

    at::Tensor finish(const at::Tensor& tokens) const override { return norm_(tokens); }

    Extent positionGrid_;
    PositionRule positionRule_;
    at::Tensor positions_; ///< 1 x grid x width
    at::Tensor patchWeight_;
    at::Tensor patchBias_;
    LayerNorm norm_;
};

Result<std::unique_ptr<Backbone>> buildSigLip(const StateDict& state, const SigLipSpec& spec,
                                              c10::Device device) {
    const VitNaming naming(state, namesOf(spec.layout), spec.prefix);
    return buildTransformer(state, rulesForSigLip(naming, spec).rules(), spec.name, spec.depth,
                            spec.block, siglipLayerNormEps, device,
                            [&](const WeightScope& root, std::vector<TransformerBlock> blocks) {
                                return std::make_unique<Siglip>(spec, root, std::move(blocks),
                                                                device);
                            });
}

/// "SigLIP", "SigLIP 2", or nothing without the pooling that both have.
std::string releaseName(const StateDict& state, bool siglip) {
    if (!siglip) return "";
    for (const char* ending :
         {"text.token_embedding.weight", "text_model.embeddings.token_embedding.weight"}) {
        const auto prefix = prefixBefore(state, ending);
        if (!prefix) continue;
        const at::Tensor& table = state.find(*prefix + ending)->second;
        if (table.dim() == 2 && table.size(0) >= siglip2Vocabulary) return "SigLIP 2";
    }
    return "SigLIP";
}

} // namespace

Recognition<BackboneCandidate> recogniseSiglip(const StateDict& state,
                                               const BackboneChoices& choices) {
    SigLipSpec spec;
    const auto has = [&](std::string_view key) {
        return state.contains(spec.prefix + std::string(key));
    };
    if (auto prefix = prefixBefore(state, "vision_model.embeddings.patch_embedding.weight")) {
        spec.layout = Layout::HuggingFace;
        spec.prefix = *std::move(prefix);
        if (has("vision_model.embeddings.class_embedding")) return std::nullopt;
    } else if (prefix = prefixBefore(state, "embeddings.patch_embedding.weight"); prefix) {
        spec.layout = Layout::HuggingFaceTower;
        spec.prefix = *std::move(prefix);
        if (has("embeddings.class_embedding")) return std::nullopt;
    } else if (prefix = prefixBefore(state, "patch_embed.proj.weight"); prefix) {
        spec.prefix = *std::move(prefix);
        if (has("cls_token") || !has("pos_embed") || !has("blocks.0.attn.qkv.weight"))
            return std::nullopt;
        spec.siglip = has("attn_pool.latent");
    } else {
        return std::nullopt;
    }
    if (spec.layout != Layout::Timm) {
        spec.positionRule = PositionRule::SizeNoAntialias;
        spec.activation = Activation::GeluTanh;
    }
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like a vision transformer without a CLS token "
                                "(SigLIP), but {}.",
                                reason));
    };
    const VitNaming naming(state, namesOf(spec.layout), spec.prefix);
    if (naming.shape("patch_embed.proj.weight").size() == 2)
        return unusable("it is of the kind that takes any aspect ratio (NaFlex), which is not "
                        "supported");
    const auto outline = outlineOf(naming);
    if (!outline) return unusable(outline.error());
    spec.patch = outline->patch;
    const std::int64_t width = outline->width;
    spec.depth = outline->depth;
    spec.block = outline->block;
    // SO400M and the giant have 16 heads; others have 64 channels each.
    const bool giant = width == 1536;
    spec.heads = width == 1152 || giant ? 16 : width / 64;
    if (spec.heads < 1 || width % spec.heads != 0)
        return unusable(fmt::format("its width {} does not divide into heads", width));
    if (spec.block.swiglu) return unusable("its first block has no MLP that is known here");
    const auto positions = naming.shape("pos_embed");
    const auto side = squareRoot(positions.size() < 2 ? 0 : positions[positions.size() - 2]);
    if (!side) return unusable("its position table is not a square grid");
    spec.positionGrid = {*side, *side};
    if (giant) spec.activation = Activation::GeluTanh;
    spec.positionRule = choices.positionRule.value_or(spec.positionRule);
    spec.activation = choices.activation.value_or(spec.activation);
    const std::string release = releaseName(state, spec.siglip);
    spec.name = fmt::format("{}{}ViT-{}/{}{}", release, release.empty() ? "" : " ",
                            vitSizeName(width, spec.depth), spec.patch,
                            spec.siglip ? "" : " without CLS token");

    BackboneCandidate candidate;
    ModelIdentity& identity = candidate.identity;
    identity.family = spec.siglip ? "siglip" : "vit";
    identity.name = spec.name;
    identity.lineage = release;
    identity.facts = {
        {"layout", std::string(spec.layout == Layout::Timm ? "timm" : "Hugging Face")},
        {"patch", spec.patch},
        {"width", width},
        {"depth", spec.depth},
        {"heads", spec.heads},
        {"mlp", std::string(nameOf(spec.activation))},
        {"mlp_hidden", spec.block.hidden},
        {"position_grid", spec.positionGrid},
        {"position_resize", std::string(nameOf(spec.positionRule))}};
    if (!spec.prefix.empty()) identity.facts.emplace_back("key_prefix", spec.prefix);
    identity.account = accountOf(state, rulesForSigLip(naming, spec).rules());
    // Pooling and the text tower play no part in patch tokens.
    std::erase_if(identity.account.surplus, [&](const std::string& key) {
        const std::string tower =
            spec.prefix + (spec.layout == Layout::HuggingFace ? "vision_model." : "");
        return !key.starts_with(tower) || key.starts_with(spec.prefix + "attn_pool.") ||
               key.starts_with(tower + "head.") || key.ends_with("position_ids");
    });
    candidate.build = [state, spec](c10::Device device) {
        return buildSigLip(state, spec, device);
    };
    return candidate;
}

} // namespace loftscope
