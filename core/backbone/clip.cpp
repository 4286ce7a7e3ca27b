// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/clip.h"

#include "core/backbone/position_table.h"
#include "core/backbone/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

namespace {

constexpr double clipLayerNormEps = 1e-5;

enum class ClipLayout {
    OpenAi, ///< also open_clip's
    HuggingFace,
    HuggingFaceTower, ///< as transformers 5 saves the image tower alone
};

const VitNames& namesOf(ClipLayout layout) {
    static const VitNames openAi{"transformer.resblocks.",
                                 openClipModules({{"cls_token", {{"class_embedding"}}},
                                                  {"pos_embed", {{"positional_embedding"}}},
                                                  {"patch_embed.proj", {{"conv1"}}},
                                                  {"norm_pre", {{"ln_pre"}}},
                                                  {"norm", {{"ln_post"}}}})};
    static const VitNames huggingFace{
        "vision_model.encoder.layers.",
        huggingFaceClipModules(
            {{"cls_token", {{"vision_model.embeddings.class_embedding"}}},
             {"pos_embed", {{"vision_model.embeddings.position_embedding.weight"}}},
             {"patch_embed.proj", {{"vision_model.embeddings.patch_embedding"}}},
             {"norm_pre", {{"vision_model.pre_layrnorm"}}}, // spelt so in the published files
             {"norm", {{"vision_model.post_layernorm"}}},
             {"proj", {{"visual_projection.weight"}}}})};
    static const VitNames tower{
        "encoder.layers.",
        huggingFaceClipModules({{"cls_token", {{"embeddings.class_embedding"}}},
                                {"pos_embed", {{"embeddings.position_embedding.weight"}}},
                                {"patch_embed.proj", {{"embeddings.patch_embedding"}}},
                                {"norm_pre", {{"pre_layrnorm"}}},
                                {"norm", {{"post_layernorm"}}},
                                {"proj", {{"visual_projection.weight"}}}})};
    switch (layout) {
    case ClipLayout::OpenAi:
        return openAi;
    case ClipLayout::HuggingFace:
        return huggingFace;
    case ClipLayout::HuggingFaceTower:
        return tower;
    }
    return openAi;
}

struct ClipSpec {
    std::string name;
    ClipLayout layout = ClipLayout::OpenAi;
    std::string prefix;
    std::int64_t patch = 0;
    std::int64_t depth = 0;
    std::int64_t heads = 0;
    std::int64_t channels = 0; ///< of the space shared with text; the width where it is not there
    bool projected = true;
    VitBlockShape block;
    Extent positionGrid;
    PositionRule positionRule = PositionRule::HubOffset;
    Activation activation = Activation::QuickGelu;
    LastBlock lastBlock = LastBlock::Values;
};

/// The projection as the file has it: width x channels, but transposed in Hugging Face's.
std::vector<std::int64_t> projectionShape(const ClipSpec& spec) {
    return spec.layout == ClipLayout::OpenAi ? std::vector{spec.block.width, spec.channels}
                                             : std::vector{spec.channels, spec.block.width};
}

VitRules rulesForClip(const VitNaming& naming, const ClipSpec& spec) {
    VitRules rules(naming);
    const std::int64_t c = spec.block.width;
    rules.add("cls_token", {c});
    rules.add("pos_embed", {1 + spec.positionGrid.area(), c});
    rules.add("patch_embed.proj.weight", {c, 3, spec.patch, spec.patch});
    rules.addNorm("norm_pre", c);
    rules.addBlocks(spec.depth, spec.block);
    rules.addNorm("norm", c);
    if (spec.projected) rules.add("proj", projectionShape(spec));
    return rules;
}

class Clip final : public TransformerBackbone {
public:
    Clip(const ClipSpec& spec, const WeightScope& root, std::vector<TransformerBlock> blocks,
         c10::Device device)
        : TransformerBackbone({.name = spec.name,
                               .patch = spec.patch,
                               .width = spec.block.width,
                               .channels = spec.channels,
                               .heads = spec.heads,
                               .prefixTokens = 1,
                               .activation = spec.activation,
                               .lastBlock = spec.lastBlock,
                               .normalisation = clipNormalisation},
                              std::move(blocks), device)
        , positionGrid_(spec.positionGrid)
        , positionRule_(spec.positionRule) {
        const std::int64_t c = spec.block.width;
        class_ = root("cls_token", {c}).to(device);
        positions_ = root("pos_embed", {1 + positionGrid_.area(), c}).unsqueeze(0).to(device);
        patchWeight_ =
            root["patch_embed"]["proj"]("weight", {c, 3, spec.patch, spec.patch}).to(device);
        before_ = readLayerNorm(root["norm_pre"], c, clipLayerNormEps, device);
        after_ = readLayerNorm(root["norm"], c, clipLayerNormEps, device);
        if (spec.projected) {
            projection_ = root("proj", projectionShape(spec)).to(device);
            if (spec.layout != ClipLayout::OpenAi) projection_ = projection_.t();
        }
    }

private:
    at::Tensor embed(const at::Tensor& picture, const Extent& grid) const override {
        const at::Tensor patches = patchRows(picture, patchWeight_, {});
        const at::Tensor places =
            resizedPositionTable(positions_, positionGrid_, grid, positionRule_)[0];
        return before_(at::cat({class_.unsqueeze(0), patches}, 0) + places);
    }

    at::Tensor finish(const at::Tensor& tokens) const override {
        const at::Tensor normed = after_(tokens);
        return projection_.defined() ? at::matmul(normed, projection_) : normed;
    }

    Extent positionGrid_;
    PositionRule positionRule_;
    at::Tensor class_;
    at::Tensor positions_; ///< 1 x (1 + grid) x width
    at::Tensor patchWeight_;
    LayerNorm before_;
    LayerNorm after_;
    at::Tensor projection_; ///< width x channels; undefined in files of the bare tower
};

Result<std::unique_ptr<Backbone>> buildClip(const StateDict& state, const ClipSpec& spec,
                                            c10::Device device) {
    const VitNaming naming(state, namesOf(spec.layout), spec.prefix);
    return buildTransformer(state, rulesForClip(naming, spec).rules(), spec.name, spec.depth,
                            spec.block, clipLayerNormEps, device,
                            [&](const WeightScope& root, std::vector<TransformerBlock> blocks) {
                                return std::make_unique<Clip>(spec, root, std::move(blocks),
                                                              device);
                            });
}

} // namespace

Recognition<BackboneCandidate> recogniseClip(const StateDict& state,
                                             const BackboneChoices& choices) {
    ClipSpec spec;
    if (auto prefix = prefixBefore(state, "vision_model.embeddings.class_embedding")) {
        spec.layout = ClipLayout::HuggingFace;
        spec.positionRule = PositionRule::SizeNoAntialias;
        spec.prefix = *std::move(prefix);
    } else if (prefix = prefixBefore(state, "embeddings.class_embedding"); prefix) {
        spec.layout = ClipLayout::HuggingFaceTower;
        spec.positionRule = PositionRule::SizeNoAntialias;
        spec.prefix = *std::move(prefix);
    } else if (prefix = prefixBefore(state, "class_embedding");
               prefix && state.contains(*prefix + "transformer.resblocks.0.attn.in_proj_weight")) {
        spec.prefix = *std::move(prefix);
    } else {
        return std::nullopt;
    }
    const auto unusable = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like CLIP's vision transformer, but {}.", reason));
    };
    const VitNaming naming(state, namesOf(spec.layout), spec.prefix);
    const auto outline = outlineOf(naming);
    if (!outline) return unusable(outline.error());
    spec.patch = outline->patch;
    const std::int64_t width = outline->width;
    spec.depth = outline->depth;
    spec.block = outline->block;
    // Of open_clip's larger towers, H, g and bigG, all have 16 heads; others have 64 channels each.
    const bool large = width == 1280 || width == 1408 || width == 1664;
    spec.heads = large ? 16 : width / 64;
    if (spec.heads < 1 || width % spec.heads != 0)
        return unusable(fmt::format("its width {} does not divide into heads", width));
    const auto positions = naming.shape("pos_embed");
    const auto side = squareRoot(positions.size() == 2 ? positions[0] - 1 : 0);
    if (!side) return unusable("its position table is not a square grid and a CLS token");
    spec.positionGrid = {*side, *side};
    const auto projection = naming.shape("proj");
    spec.projected = projection.size() == 2;
    spec.channels = width;
    if (spec.projected)
        spec.channels = spec.layout == ClipLayout::OpenAi ? projection[1] : projection[0];
    spec.positionRule = choices.positionRule.value_or(spec.positionRule);
    spec.activation = choices.activation.value_or(spec.activation);
    if (choices.clipTokens == ClipTokens::Plain) spec.lastBlock = LastBlock::Whole;
    spec.name = fmt::format("CLIP ViT-{}/{}{}", vitSizeName(width, spec.depth), spec.patch,
                            spec.lastBlock == LastBlock::Whole ? ", plain tokens" : "");

    BackboneCandidate candidate;
    ModelIdentity& identity = candidate.identity;
    identity.family = "clip";
    identity.name = spec.name;
    identity.lineage = spec.lastBlock == LastBlock::Values ? "CLIP values" : "CLIP";
    identity.facts = {
        {"layout", std::string(spec.layout == ClipLayout::OpenAi ? "OpenAI" : "Hugging Face")},
        {"patch", spec.patch},
        {"width", width},
        {"channels", spec.channels},
        {"depth", spec.depth},
        {"heads", spec.heads},
        {"mlp", std::string(nameOf(spec.activation))},
        {"mlp_hidden", spec.block.hidden},
        {"tokens",
         std::string(spec.lastBlock == LastBlock::Values ? "values of the last block (MaskCLIP)"
                                                         : "of the whole network")},
        {"text_space", spec.projected},
        {"position_grid", spec.positionGrid},
        {"position_resize", std::string(nameOf(spec.positionRule))}};
    if (!spec.prefix.empty()) identity.facts.emplace_back("key_prefix", spec.prefix);
    identity.account = accountOf(state, rulesForClip(naming, spec).rules());
    // The text tower lies beside the image tower and is none of its business.
    std::erase_if(identity.account.surplus, [&](const std::string& key) {
        bool inside = key.starts_with(spec.prefix);
        if (spec.layout == ClipLayout::OpenAi) inside = inside && !spec.prefix.empty();
        if (spec.layout == ClipLayout::HuggingFace)
            inside = key.starts_with(spec.prefix + "vision_model.");
        return !inside || key.ends_with("position_ids");
    });
    // Only OpenAI's own archives say their input's size.
    if (!choices.activation && !state.contains("input_resolution")) {
        identity.warnings.emplace_back(
            "This CLIP is taken for one of OpenAI's, which use QuickGELU; the file does not tell, "
            "and others (LAION, DataComp) use GELU: say which with --activation.");
    }
    candidate.build = [state, spec](c10::Device device) { return buildClip(state, spec, device); };
    return candidate;
}

} // namespace loftscope
