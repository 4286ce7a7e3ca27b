// SPDX-License-Identifier: Apache-2.0
// Vision transformers: the layouts' names, and the numbers that follow from the shapes.
#include "core/weights/key_rules.h"
#include "core/weights/recognise.h"
#include "core/weights/recognise_families.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace loftscope {

namespace {

constexpr std::int64_t headWidth = 64; // of every DINOv2 and of timm's standard ViTs

/// A module's name in the hub layout and where another layout keeps it.
struct ModuleName {
    std::string_view hub;
    std::vector<std::vector<std::string_view>> others;
};

/// Hugging Face: as published, then as transformers 5 names the same modules in memory.
const std::vector<ModuleName>& huggingFaceNames() {
    static const std::vector<ModuleName> names{
        {"cls_token", {{"embeddings.cls_token"}}},
        {"mask_token", {{"embeddings.mask_token"}}},
        {"pos_embed", {{"embeddings.position_embeddings"}}},
        {"register_tokens", {{"embeddings.register_tokens"}}},
        {"patch_embed.proj", {{"embeddings.patch_embeddings.projection"}}},
        {"norm", {{"layernorm"}}},
        {"attn.qkv",
         {{"attention.attention.query", "attention.attention.key", "attention.attention.value"},
          {"attention.q_proj", "attention.k_proj", "attention.v_proj"}}},
        {"attn.proj", {{"attention.output.dense"}, {"attention.o_proj"}}},
        {"ls1.gamma", {{"layer_scale1.lambda1"}}},
        {"ls2.gamma", {{"layer_scale2.lambda1"}}},
        {"mlp.w12", {{"mlp.weights_in"}, {"mlp.gate_proj", "mlp.up_proj"}}},
        {"mlp.w3", {{"mlp.weights_out"}, {"mlp.down_proj"}}},
    };
    return names;
}

const std::vector<ModuleName>& timmNames() {
    static const std::vector<ModuleName> names{
        {"register_tokens", {{"reg_token"}}},
        {"mlp.w12", {{"mlp.fc1"}}},
        {"mlp.w3", {{"mlp.fc2"}}},
    };
    return names;
}

/// `text` without the whole number and dot that it starts with, and that number.
std::optional<std::pair<std::int64_t, std::string_view>> leadingIndex(std::string_view text) {
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end == text.data() + text.size() || *end != '.' || index < 0)
        return std::nullopt;
    return std::pair(index, text.substr(static_cast<std::size_t>(end - text.data()) + 1));
}

/// How a file names what the hub layout calls `blocks.3.attn.qkv.weight`.
class Naming {
public:
    Naming(const StateDict& state, VitLayout layout, std::string prefix)
        : state_(state)
        , layout_(layout)
        , prefix_(std::move(prefix)) {
        findBlocks();
    }

    /// One more than the largest block index.
    std::int64_t depth() const { return blocks_.empty() ? 0 : blocks_.rbegin()->first + 1; }

    std::vector<Sources> alternatives(std::string_view canonical) const {
        std::string path = prefix_;
        if (canonical.starts_with(hubBlocks)) {
            const auto indexed = leadingIndex(canonical.substr(hubBlocks.size()));
            const auto block = blocks_.find(indexed->first);
            path = block != blocks_.end()
                       ? block->second
                       : fmt::format("{}{}{}.", prefix_, blocksKey(), indexed->first);
            canonical = indexed->second;
        }
        std::string_view module = canonical;
        std::string_view parameter;
        if (canonical.ends_with(".weight") || canonical.ends_with(".bias")) {
            module = canonical.substr(0, canonical.rfind('.'));
            parameter = canonical.substr(canonical.rfind('.'));
        }
        std::vector<Sources> found;
        for (const ModuleName& name : layout_ == VitLayout::HuggingFace ? huggingFaceNames()
                                      : layout_ == VitLayout::Timm      ? timmNames()
                                                                   : std::vector<ModuleName>{}) {
            if (name.hub != module) continue;
            for (const auto& parts : name.others) {
                Sources sources;
                for (const std::string_view part : parts)
                    sources.push_back(fmt::format("{}{}{}", path, part, parameter));
                found.push_back(std::move(sources));
            }
        }
        if (found.empty()) found.push_back({path + std::string(canonical)});
        return found;
    }

    /// Shape of a parameter in the file; empty if it is not there.
    std::vector<std::int64_t> shape(std::string_view canonical) const {
        return stackedShape(state_, sourcesIn(state_, alternatives(canonical)));
    }
    bool has(std::string_view canonical) const { return !shape(canonical).empty(); }

private:
    static constexpr std::string_view hubBlocks = "blocks.";

    std::string_view blocksKey() const {
        return layout_ == VitLayout::HuggingFace ? std::string_view("encoder.layer.") : hubBlocks;
    }

    void findBlocks() {
        const std::string start = prefix_ + std::string(blocksKey());
        for (const auto& [key, tensor] : state_) {
            if (!key.starts_with(start)) continue;
            std::string_view rest = std::string_view(key).substr(start.size());
            auto indexed = leadingIndex(rest);
            if (!indexed) continue;
            // DINOv2's training code cuts the blocks into chunks, `blocks.2.23.`: the second number
            // counts on.
            if (const auto inChunk = leadingIndex(indexed->second)) indexed = inChunk;
            constexpr std::int64_t mostBlocks = 4096;
            if (indexed->first >= mostBlocks) continue;
            blocks_.emplace(indexed->first, key.substr(0, key.size() - indexed->second.size()));
        }
    }

    const StateDict& state_;
    VitLayout layout_;
    std::string prefix_;
    std::map<std::int64_t, std::string> blocks_; // index -> path with a dot at its end
};

std::vector<KeyRule> rulesFor(const StateDict& state, const VitSpec& spec) {
    const Naming naming(state, spec.layout, spec.keyPrefix);
    std::vector<KeyRule> rules;
    const auto add = [&](std::string canonical, std::vector<std::int64_t> shape,
                         bool required = true) {
        std::vector<Sources> alternatives = naming.alternatives(canonical);
        rules.push_back(
            {std::move(canonical), std::move(alternatives), std::move(shape), required});
    };
    const auto addLinear = [&](const std::string& module, std::int64_t out, std::int64_t in,
                               bool bias = true) {
        add(module + ".weight", {out, in});
        if (bias) add(module + ".bias", {out});
    };
    const auto addNorm = [&](const std::string& module) {
        add(module + ".weight", {spec.width});
        add(module + ".bias", {spec.width});
    };

    const std::int64_t c = spec.width;
    add("cls_token", {1, 1, c});
    if (spec.registers > 0) add("register_tokens", {1, spec.registers, c});
    add("pos_embed", {1, spec.positionGrid.area() + (spec.positionIncludesClass ? 1 : 0), c});
    add("patch_embed.proj.weight", {c, 3, spec.patch, spec.patch});
    add("patch_embed.proj.bias", {c});
    for (std::int64_t i = 0; i < spec.depth; ++i) {
        const std::string block = fmt::format("blocks.{}.", i);
        addNorm(block + "norm1");
        addLinear(block + "attn.qkv", 3 * c, c, spec.qkvBias);
        addLinear(block + "attn.proj", c, c);
        if (spec.layerScale) add(block + "ls1.gamma", {c});
        addNorm(block + "norm2");
        if (spec.swiglu) {
            addLinear(block + "mlp.w12", 2 * spec.hidden, c);
            addLinear(block + "mlp.w3", c, spec.hidden);
        } else {
            addLinear(block + "mlp.fc1", spec.hidden, c);
            addLinear(block + "mlp.fc2", c, spec.hidden);
        }
        if (spec.layerScale) add(block + "ls2.gamma", {c});
    }
    addNorm("norm");
    add("mask_token", {-1, c}, false); // of the training; 1 x 1 x C in some files
    rules.back().shape = naming.has("mask_token") ? naming.shape("mask_token") : rules.back().shape;
    return rules;
}

/// The known sizes' letters: "S" of ViT-S.
std::string sizeName(const VitSpec& spec) {
    struct Size {
        std::string_view letter;
        std::int64_t width;
        std::int64_t depth;
    };
    static constexpr std::array<Size, 6> sizes{{{"Ti", 192, 12},
                                                {"S", 384, 12},
                                                {"B", 768, 12},
                                                {"L", 1024, 24},
                                                {"H", 1280, 32},
                                                {"g", 1536, 40}}};
    for (const Size& size : sizes) {
        if (size.width == spec.width && size.depth == spec.depth) return std::string(size.letter);
    }
    return fmt::format("{}x{}", spec.width, spec.depth);
}

std::string nameFor(const VitSpec& spec) {
    // Only DINOv2 has patches of 14 pixels together with LayerScale.
    const bool dinov2 = spec.layerScale && spec.patch == 14;
    std::string name =
        fmt::format("{}ViT-{}/{}", dinov2 ? "DINOv2 " : "", sizeName(spec), spec.patch);
    if (spec.registers > 0)
        name += fmt::format(" with {} register{}", spec.registers, spec.registers == 1 ? "" : "s");
    return name;
}

PositionRule positionRuleFor(VitLayout layout, std::int64_t registers) {
    if (layout == VitLayout::Timm || registers > 0) return PositionRule::SizeAntialias;
    return layout == VitLayout::Hub ? PositionRule::HubOffset : PositionRule::SizeNoAntialias;
}

std::optional<std::int64_t> squareRoot(std::int64_t value) {
    const auto root = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
    if (value <= 0 || root * root != value) return std::nullopt;
    return root;
}

/// Prefix of the first key that ends with `ending` at the start of a name.
std::optional<std::string> prefixBefore(const StateDict& state, std::string_view ending) {
    for (const auto& [key, tensor] : state) {
        if (!key.ends_with(ending)) continue;
        const std::string prefix = key.substr(0, key.size() - ending.size());
        if (prefix.empty() || prefix.ends_with('.')) return prefix;
    }
    return std::nullopt;
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
        const bool hub = has("register_tokens") || has("mask_token") ||
                         Naming(state, VitLayout::Hub, *prefix).has("blocks.0.mlp.w12.weight");
        place = {hub && !has("reg_token") ? VitLayout::Hub : VitLayout::Timm, *prefix};
    } else {
        return std::nullopt;
    }
    const Naming naming(state, place.layout, place.prefix);
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
    const Naming naming(state, spec.layout, spec.keyPrefix);

    const std::vector<std::int64_t> patch = naming.shape("patch_embed.proj.weight");
    if (patch.size() != 4 || patch[1] != 3 || patch[2] != patch[3] || patch[2] < 1)
        return notUsable(what, "its patch embedding is not for square RGB patches");
    spec.width = patch[0];
    spec.patch = patch[2];
    if (spec.width < headWidth || spec.width % headWidth != 0) {
        return notUsable(what, fmt::format("its width {} is not a multiple of the head width {}",
                                           spec.width, headWidth));
    }
    spec.heads = spec.width / headWidth;
    spec.depth = naming.depth();
    if (spec.depth == 0) return notUsable(what, "it has no blocks");

    if (const auto registers = naming.shape("register_tokens"); registers.size() == 3)
        spec.registers = registers[1];
    spec.layerScale = naming.has("blocks.0.ls1.gamma");
    spec.qkvBias = naming.has("blocks.0.attn.qkv.bias");
    const auto first = naming.shape("blocks.0.mlp.fc1.weight");
    const auto second = naming.shape("blocks.0.mlp.fc2.weight");
    if (const auto gated = naming.shape("blocks.0.mlp.w12.weight");
        spec.layout != VitLayout::Timm && gated.size() == 2) {
        spec.swiglu = true;
        spec.hidden = gated[0] / 2;
    } else if (first.size() == 2) {
        // timm calls the gated one's matrices fc1 and fc2 too; fc1 is then twice as tall.
        spec.swiglu = second.size() == 2 && first[0] == 2 * second[1];
        spec.hidden = spec.swiglu ? second[1] : first[0];
    } else {
        return notUsable(what, "its first block has no MLP that is known here");
    }

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
