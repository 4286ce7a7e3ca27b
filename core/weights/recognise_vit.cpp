// SPDX-License-Identifier: Apache-2.0
// Vision transformers: the layouts' names, and the numbers that follow from the shapes.
#include "core/weights/recognise.h"
#include "core/weights/recognise_families.h"
#include "core/weights/vit_naming.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

namespace loftscope {

namespace {

constexpr std::int64_t headWidth = 64; // of every DINOv2 and of timm's standard ViTs

/// Hugging Face: as published, then as transformers 5 names the same modules in memory.
const VitNames& namesOf(VitLayout layout) {
    static const VitNames hub;
    static const VitNames timm{"blocks.",
                               {{"register_tokens", {{"reg_token"}}},
                                {"mlp.w12", {{"mlp.fc1"}}},
                                {"mlp.w3", {{"mlp.fc2"}}}}};
    static const VitNames huggingFace{
        "encoder.layer.",
        {{"cls_token", {{"embeddings.cls_token"}}},
         {"mask_token", {{"embeddings.mask_token"}}},
         {"pos_embed", {{"embeddings.position_embeddings"}}},
         {"register_tokens", {{"embeddings.register_tokens"}}},
         {"patch_embed.proj", {{"embeddings.patch_embeddings.projection"}}},
         {"norm", {{"layernorm"}}},
         {"attn.qkv",
          {{"attention.attention.query", "attention.attention.key", "attention.attention.value"},
           {"attention.q_proj", "attention.k_proj", "attention.v_proj"}}},
         {"attn.proj", {{"attention.output.dense"}, {"attention.o_proj"}}},
         // The last ones are those of plain ViTs, which this library names otherwise than DINOv2.
         {"norm1", {{"norm1"}, {"layernorm_before"}}},
         {"norm2", {{"norm2"}, {"layernorm_after"}}},
         {"mlp.fc1", {{"mlp.fc1"}, {"intermediate.dense"}}},
         {"mlp.fc2", {{"mlp.fc2"}, {"output.dense"}}},
         {"ls1.gamma", {{"layer_scale1.lambda1"}}},
         {"ls2.gamma", {{"layer_scale2.lambda1"}}},
         {"mlp.w12", {{"mlp.weights_in"}, {"mlp.gate_proj", "mlp.up_proj"}}},
         {"mlp.w3", {{"mlp.weights_out"}, {"mlp.down_proj"}}}}};
    switch (layout) {
    case VitLayout::Hub:
        return hub;
    case VitLayout::HuggingFace:
        return huggingFace;
    case VitLayout::Timm:
        return timm;
    }
    return hub;
}

std::vector<KeyRule> rulesFor(const StateDict& state, const VitSpec& spec) {
    const VitNaming naming(state, namesOf(spec.layout), spec.keyPrefix);
    VitRules rules(naming);
    const std::int64_t c = spec.width;
    rules.add("cls_token", {1, 1, c});
    if (spec.registers > 0) rules.add("register_tokens", {1, spec.registers, c});
    rules.add("pos_embed", {1, spec.positionGrid.area() + (spec.positionIncludesClass ? 1 : 0), c});
    for (const auto& [key, shape] : stemShapes(spec.stem))
        rules.add(key, shape);
    rules.add("patch_embed.proj.weight",
              {c, spec.patchChannels(), spec.patchKernel(), spec.patchKernel()});
    rules.add("patch_embed.proj.bias", {c});
    rules.addBlocks(spec.depth, {c, spec.hidden, spec.swiglu, spec.layerScale, spec.qkvBias});
    rules.addNorm("norm", c);
    rules.addUnused("mask_token");
    return rules.rules();
}

std::string nameFor(const VitSpec& spec) {
    // Only DINOv2 has patches of 14 pixels together with LayerScale.
    const bool dinov2 = spec.layerScale && spec.patch == 14;
    std::string name = fmt::format("{}ViT-{}/{}", dinov2 ? "DINOv2 " : "",
                                   vitSizeName(spec.width, spec.depth), spec.patch);
    if (!spec.stem.empty()) name += " with a convolutional stem";
    if (spec.registers > 0)
        name += fmt::format(" with {} register{}", spec.registers, spec.registers == 1 ? "" : "s");
    return name;
}

PositionRule positionRuleFor(VitLayout layout, std::int64_t registers) {
    if (layout == VitLayout::Timm || registers > 0) return PositionRule::SizeAntialias;
    return layout == VitLayout::Hub ? PositionRule::HubOffset : PositionRule::SizeNoAntialias;
}

/// LoftScope's own addition to the hub's layout: convolutions before the patch embedding.
std::vector<StemStage> stemOf(const VitNaming& naming) {
    // So many that no patch is larger; a damaged file may name more.
    constexpr std::size_t most = 16;
    std::vector<StemStage> stages;
    while (stages.size() < most) {
        const std::string stage = fmt::format("stem.{}.", stages.size());
        const std::vector<std::int64_t> down = naming.shape(stage + "down.weight");
        if (down.size() != 4) break;
        StemStage found{.channels = down[0]};
        while (naming.has(fmt::format("{}blocks.{}.conv.weight", stage, found.blocks)))
            ++found.blocks;
        stages.push_back(found);
    }
    return stages;
}

std::unexpected<Error> notUsable(std::string_view what, std::string_view reason) {
    return fail(ErrorCode::Unsupported, fmt::format("This looks like a {} but {}.", what, reason));
}

/// Where a plain ViT's parameters are in a file.
struct VitPlace {
    VitLayout layout = VitLayout::Hub;
    std::string prefix;
};

/// Nothing where there is no ViT with a learned position table and a CLS token: DINOv3, SigLIP,
/// MAE decoders, ...
std::optional<VitPlace> placeOfVit(const StateDict& state) {
    VitPlace place;
    if (auto prefix = prefixBefore(state, "embeddings.patch_embeddings.projection.weight")) {
        place = {VitLayout::HuggingFace, *std::move(prefix)};
    } else if (prefix = prefixBefore(state, "patch_embed.proj.weight"); prefix) {
        // Both libraries use nearly the same names; the mask token exists only in DINOv2's own.
        const auto has = [&](std::string_view key) {
            return state.contains(*prefix + std::string(key));
        };
        const bool hub =
            has("register_tokens") || has("mask_token") ||
            VitNaming(state, namesOf(VitLayout::Hub), *prefix).has("blocks.0.mlp.w12.weight");
        place = {hub && !has("reg_token") ? VitLayout::Hub : VitLayout::Timm, *prefix};
    } else {
        return std::nullopt;
    }
    const VitNaming naming(state, namesOf(place.layout), place.prefix);
    if (!naming.has("pos_embed") || !naming.has("cls_token")) return std::nullopt;
    return place;
}

} // namespace

std::string_view nameOf(VitLayout layout) {
    switch (layout) {
    case VitLayout::Hub:
        return "DINOv2 hub";
    case VitLayout::HuggingFace:
        return "Hugging Face";
    case VitLayout::Timm:
        return "timm";
    }
    return "unknown";
}

std::string_view nameOf(PositionRule rule) {
    switch (rule) {
    case PositionRule::HubOffset:
        return "scale factor with +0.1 offset, no antialias";
    case PositionRule::SizeNoAntialias:
        return "size, no antialias";
    case PositionRule::SizeAntialias:
        return "size, antialias";
    }
    return "unknown";
}

bool looksLikeVit(const StateDict& state) {
    return placeOfVit(state).has_value();
}

Result<VitSpec> recogniseVit(const StateDict& state) {
    constexpr std::string_view what = "vision transformer";
    const std::optional<VitPlace> place = placeOfVit(state);
    if (!place) return std::unexpected(unknownModelError(closestFamily(state)));
    VitSpec spec;
    spec.layout = place->layout;
    spec.keyPrefix = place->prefix;
    const VitNaming naming(state, namesOf(spec.layout), spec.keyPrefix);

    spec.stem = stemOf(naming);
    const std::vector<std::int64_t> patch = naming.shape("patch_embed.proj.weight");
    if (patch.size() != 4 || patch[1] != spec.patchChannels() || patch[2] != patch[3] ||
        patch[2] < 1)
        return notUsable(what, "its patch embedding is not for square RGB patches");
    spec.width = patch[0];
    spec.patch = patch[2] << spec.stem.size();
    if (spec.width < headWidth || spec.width % headWidth != 0) {
        return notUsable(what, fmt::format("its width {} is not a multiple of the head width {}",
                                           spec.width, headWidth));
    }
    spec.heads = spec.width / headWidth;
    spec.depth = naming.depth();
    if (spec.depth == 0) return notUsable(what, "it has no blocks");

    if (const auto registers = naming.shape("register_tokens"); registers.size() == 3)
        spec.registers = registers[1];
    const std::optional<VitBlockShape> block = blockShape(naming, spec.width);
    if (!block) return notUsable(what, "its first block has no MLP that is known here");
    spec.layerScale = block->layerScale;
    spec.qkvBias = block->qkvBias;
    spec.swiglu = block->swiglu;
    spec.hidden = block->hidden;

    const auto positions = naming.shape("pos_embed");
    const std::int64_t rows = positions.size() == 3 ? positions[1] : 0;
    std::optional<std::int64_t> side = squareRoot(rows - 1);
    spec.positionIncludesClass = side.has_value();
    if (!side && spec.layout == VitLayout::Timm) side = squareRoot(rows);
    if (!side) {
        return notUsable(what,
                         fmt::format("its position table of {} rows is not a square grid", rows));
    }
    spec.positionGrid = {*side, *side};
    spec.positionRule = positionRuleFor(spec.layout, spec.registers);
    spec.name = nameFor(spec);
    if (const auto key = unknownInBlocks(state, rulesFor(state, spec))) {
        return notUsable(
            what,
            fmt::format("its blocks have parameters that are not known here, e.g. '{}'", *key));
    }
    return spec;
}

StateDict canonicalVitState(const StateDict& state, const VitSpec& spec) {
    StateDict canonical = applyRules(state, rulesFor(state, spec));
    if (!spec.positionIncludesClass) {
        at::Tensor& table = canonical["pos_embed"];
        if (table.defined() && table.dim() == 3) {
            table =
                at::cat({at::zeros({table.size(0), 1, table.size(2)}, table.options()), table}, 1);
        }
    }
    return canonical;
}

WeightAccount accountOf(const StateDict& state, const VitSpec& spec) {
    return accountOf(state, rulesFor(state, spec));
}

} // namespace loftscope
