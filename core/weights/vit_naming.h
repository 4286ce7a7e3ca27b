// SPDX-License-Identifier: Apache-2.0
// How files name the parameters of vision transformers. Every layout is a table from the names of
// DINOv2's hub checkpoints (`blocks.3.attn.qkv.weight`), which are canonical here, to its own.
#pragma once

#include "core/weights/key_rules.h"

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// A canonical name and what a layout calls it: alternatives, each of one or more parts that are
/// stacked (query, key, value). Either a module ("attn.proj": its `.weight` and `.bias`) or a whole
/// parameter ("attn.qkv.weight"), which is looked up first. Inside blocks without the block's path.
struct ModuleName {
    std::string_view canonical;
    std::vector<std::vector<std::string_view>> others;
};

struct VitNames {
    std::string_view blocks = "blocks."; ///< in front of a block's number
    std::vector<ModuleName> modules;     ///< what is called otherwise than canonically
};

/// What OpenAI's CLIP and open_clip call a block's parts (`ln_1`, `attn.in_proj_weight`, ...), and
/// Hugging Face's CLIP and SigLIP (`layer_norm1`, `self_attn.q_proj`, ...); `others` follow.
std::vector<ModuleName> openClipModules(std::vector<ModuleName> others);
std::vector<ModuleName> huggingFaceClipModules(std::vector<ModuleName> others);

/// The names of one file in one layout.
class VitNaming {
public:
    /// `names` must outlive the naming; `prefix` is in front of every key of the model.
    VitNaming(const StateDict& state, const VitNames& names, std::string prefix);

    /// One more than the largest block number.
    std::int64_t depth() const { return blocks_.empty() ? 0 : blocks_.rbegin()->first + 1; }

    /// What the file may call a canonical parameter.
    std::vector<Sources> alternatives(std::string_view canonical) const;

    /// Shape of a parameter in the file; empty if it is not there.
    std::vector<std::int64_t> shape(std::string_view canonical) const;
    bool has(std::string_view canonical) const { return !shape(canonical).empty(); }

private:
    void findBlocks();

    const StateDict& state_;
    const VitNames& names_;
    std::string prefix_;
    std::map<std::int64_t, std::string> blocks_; // number -> path with a dot at its end
};

/// What a transformer's blocks are made of, as far as it shows in their parameters.
struct VitBlockShape {
    std::int64_t width = 0;
    std::int64_t hidden = 0; ///< channels inside the MLP (of one of the two halves with SwiGLU)
    bool swiglu = false;     ///< `mlp.w12`, `mlp.w3` instead of `mlp.fc1`, `mlp.fc2`
    bool layerScale = false;
    bool qkvBias = true;
};

/// The rules of a model's parameters in one file, collected one by one.
class VitRules {
public:
    explicit VitRules(const VitNaming& naming)
        : naming_(naming) {}

    void add(const std::string& canonical, std::vector<std::int64_t> shape, bool required = true);
    /// A parameter that only training uses, of whatever shape.
    void addUnused(const std::string& canonical);
    void addLinear(const std::string& module, std::int64_t out, std::int64_t in, bool bias = true);
    void addNorm(const std::string& module, std::int64_t width);
    void addBlocks(std::int64_t depth, const VitBlockShape& shape);

    const std::vector<KeyRule>& rules() const { return rules_; }

private:
    const VitNaming& naming_;
    std::vector<KeyRule> rules_;
};

/// The shape of the blocks, from the first one; nothing where its MLP is not one that is known.
std::optional<VitBlockShape> blockShape(const VitNaming& naming, std::int64_t width);

/// What the shapes in a file tell of any vision transformer of square patches of RGB.
struct VitOutline {
    std::int64_t patch = 0; ///< in pixels
    std::int64_t width = 0;
    std::int64_t depth = 0;
    VitBlockShape block;
};

/// Errors: why it is none, as half a sentence ("it has no blocks").
std::expected<VitOutline, std::string> outlineOf(const VitNaming& naming);

/// What stands before the first key that ends with `ending` at the start of a name; nothing where
/// there is no such key.
std::optional<std::string> prefixBefore(const StateDict& state, std::string_view ending);

/// The side of a square of `area`; nothing if it is none.
std::optional<std::int64_t> squareRoot(std::int64_t area);

/// The letter of a known size ("S" of ViT-S), else "384x12".
std::string vitSizeName(std::int64_t width, std::int64_t depth);

} // namespace loftscope
