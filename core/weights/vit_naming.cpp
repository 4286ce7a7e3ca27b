// SPDX-License-Identifier: Apache-2.0
#include "core/weights/vit_naming.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace loftscope {

namespace {

constexpr std::string_view canonicalBlocks = "blocks.";

/// `text` without the whole number and dot that it starts with, and that number.
std::optional<std::pair<std::int64_t, std::string_view>> leadingIndex(std::string_view text) {
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end == text.data() + text.size() || *end != '.' || index < 0)
        return std::nullopt;
    return std::pair(index, text.substr(static_cast<std::size_t>(end - text.data()) + 1));
}

} // namespace

namespace {

std::vector<ModuleName> together(std::vector<ModuleName> names, std::vector<ModuleName> others) {
    std::ranges::move(others, std::back_inserter(names));
    return names;
}

} // namespace

std::vector<ModuleName> openClipModules(std::vector<ModuleName> others) {
    return together({{"norm1", {{"ln_1"}}},
                     {"norm2", {{"ln_2"}}},
                     {"attn.qkv.weight", {{"attn.in_proj_weight"}}},
                     {"attn.qkv.bias", {{"attn.in_proj_bias"}}},
                     {"attn.proj", {{"attn.out_proj"}}},
                     {"mlp.fc1", {{"mlp.c_fc"}}},
                     {"mlp.fc2", {{"mlp.c_proj"}}}},
                    std::move(others));
}

std::vector<ModuleName> huggingFaceClipModules(std::vector<ModuleName> others) {
    return together({{"norm1", {{"layer_norm1"}}},
                     {"norm2", {{"layer_norm2"}}},
                     {"attn.qkv", {{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}}},
                     {"attn.proj", {{"self_attn.out_proj"}}}},
                    std::move(others));
}

VitNaming::VitNaming(const StateDict& state, const VitNames& names, std::string prefix)
    : state_(state)
    , names_(names)
    , prefix_(std::move(prefix)) {
    findBlocks();
}

void VitNaming::findBlocks() {
    const std::string start = prefix_ + std::string(names_.blocks);
    for (const auto& [key, tensor] : state_) {
        if (!key.starts_with(start)) continue;
        auto indexed = leadingIndex(std::string_view(key).substr(start.size()));
        if (!indexed) continue;
        // DINOv2's training code cuts the blocks into chunks, `blocks.2.23.`: the second number
        // counts on.
        if (const auto inChunk = leadingIndex(indexed->second)) indexed = inChunk;
        constexpr std::int64_t mostBlocks = 4096;
        if (indexed->first >= mostBlocks) continue;
        blocks_.emplace(indexed->first, key.substr(0, key.size() - indexed->second.size()));
    }
}

std::vector<Sources> VitNaming::alternatives(std::string_view canonical) const {
    std::string path = prefix_;
    if (canonical.starts_with(canonicalBlocks)) {
        const auto indexed = leadingIndex(canonical.substr(canonicalBlocks.size()));
        const auto block = blocks_.find(indexed->first);
        path = block != blocks_.end()
                   ? block->second
                   : fmt::format("{}{}{}.", prefix_, names_.blocks, indexed->first);
        canonical = indexed->second;
    }
    std::vector<Sources> found;
    const auto lookUp = [&](std::string_view name, std::string_view rest) {
        for (const ModuleName& module : names_.modules) {
            if (module.canonical != name) continue;
            for (const auto& parts : module.others) {
                Sources sources;
                for (const std::string_view part : parts)
                    sources.push_back(fmt::format("{}{}{}", path, part, rest));
                found.push_back(std::move(sources));
            }
        }
    };
    lookUp(canonical, "");
    if (found.empty() && (canonical.ends_with(".weight") || canonical.ends_with(".bias"))) {
        const std::size_t dot = canonical.rfind('.');
        lookUp(canonical.substr(0, dot), canonical.substr(dot));
    }
    if (found.empty()) found.push_back({path + std::string(canonical)});
    return found;
}

std::vector<std::int64_t> VitNaming::shape(std::string_view canonical) const {
    return stackedShape(state_, sourcesIn(state_, alternatives(canonical)));
}

void VitRules::add(const std::string& canonical, std::vector<std::int64_t> shape, bool required) {
    rules_.push_back({canonical, naming_.alternatives(canonical), std::move(shape), required});
}

void VitRules::addUnused(const std::string& canonical) {
    add(canonical, naming_.shape(canonical), false);
}

void VitRules::addLinear(const std::string& module, std::int64_t out, std::int64_t in, bool bias) {
    add(module + ".weight", {out, in});
    if (bias) add(module + ".bias", {out});
}

void VitRules::addNorm(const std::string& module, std::int64_t width) {
    add(module + ".weight", {width});
    add(module + ".bias", {width});
}

void VitRules::addBlocks(std::int64_t depth, const VitBlockShape& shape) {
    const std::int64_t c = shape.width;
    for (std::int64_t i = 0; i < depth; ++i) {
        const std::string block = fmt::format("blocks.{}.", i);
        addNorm(block + "norm1", c);
        addLinear(block + "attn.qkv", 3 * c, c, shape.qkvBias);
        addLinear(block + "attn.proj", c, c);
        if (shape.layerScale) add(block + "ls1.gamma", {c});
        addNorm(block + "norm2", c);
        if (shape.swiglu) {
            addLinear(block + "mlp.w12", 2 * shape.hidden, c);
            addLinear(block + "mlp.w3", c, shape.hidden);
        } else {
            addLinear(block + "mlp.fc1", shape.hidden, c);
            addLinear(block + "mlp.fc2", c, shape.hidden);
        }
        if (shape.layerScale) add(block + "ls2.gamma", {c});
    }
}

std::optional<VitBlockShape> blockShape(const VitNaming& naming, std::int64_t width) {
    VitBlockShape shape;
    shape.width = width;
    shape.layerScale = naming.has("blocks.0.ls1.gamma");
    shape.qkvBias = naming.has("blocks.0.attn.qkv.bias");
    const auto first = naming.shape("blocks.0.mlp.fc1.weight");
    const auto second = naming.shape("blocks.0.mlp.fc2.weight");
    const auto gated = naming.shape("blocks.0.mlp.w12.weight");
    if (first.size() == 2) {
        // timm calls the gated one's matrices fc1 and fc2 too; fc1 is then twice as tall.
        shape.swiglu = second.size() == 2 && first[0] == 2 * second[1];
        shape.hidden = shape.swiglu ? second[1] : first[0];
    } else if (gated.size() == 2) {
        shape.swiglu = true;
        shape.hidden = gated[0] / 2;
    } else {
        return std::nullopt;
    }
    return shape;
}

std::expected<VitOutline, std::string> outlineOf(const VitNaming& naming) {
    VitOutline outline;
    const auto patch = naming.shape("patch_embed.proj.weight");
    if (patch.size() != 4 || patch[1] != 3 || patch[2] != patch[3] || patch[2] < 1)
        return std::unexpected("its patch embedding is not for square RGB patches");
    outline.width = patch[0];
    outline.patch = patch[2];
    outline.depth = naming.depth();
    if (outline.depth == 0) return std::unexpected("it has no blocks");
    const auto block = blockShape(naming, outline.width);
    if (!block) return std::unexpected("its first block has no MLP that is known here");
    outline.block = *block;
    return outline;
}

std::optional<std::string> prefixBefore(const StateDict& state, std::string_view ending) {
    for (const auto& [key, tensor] : state) {
        if (!key.ends_with(ending)) continue;
        std::string prefix = key.substr(0, key.size() - ending.size());
        if (prefix.empty() || prefix.ends_with('.')) return prefix;
    }
    return std::nullopt;
}

std::optional<std::int64_t> squareRoot(std::int64_t area) {
    const auto root = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(area))));
    if (area <= 0 || root * root != area) return std::nullopt;
    return root;
}

std::string vitSizeName(std::int64_t width, std::int64_t depth) {
    struct Size {
        std::string_view letter;
        std::int64_t width;
        std::int64_t depth;
    };
    static constexpr std::array<Size, 10> sizes{{{"Ti", 192, 12},
                                                 {"S", 384, 12},
                                                 {"B", 768, 12},
                                                 {"L", 1024, 24},
                                                 {"H", 1280, 32},
                                                 {"SO400M", 1152, 27},
                                                 {"g", 1408, 40},
                                                 {"g", 1536, 40},
                                                 {"bigG", 1664, 48},
                                                 {"7B", 4096, 40}}};
    for (const Size& size : sizes) {
        if (size.width == width && size.depth == depth) return std::string(size.letter);
    }
    return fmt::format("{}x{}", width, depth);
}

} // namespace loftscope
