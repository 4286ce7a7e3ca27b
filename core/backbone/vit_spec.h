// SPDX-License-Identifier: Apache-2.0
// The numbers that describe a plain vision transformer (DINOv2 and its relatives).
#pragma once

#include "core/backbone/stem_spec.h"
#include "core/base/geometry.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Which library's names and conventions a ViT checkpoint follows.
enum class VitLayout { Hub, HuggingFace, Timm };

/// "DINOv2 hub", "Hugging Face", "timm"
std::string_view nameOf(VitLayout layout);

/// How a learned position table is resized to another token grid (always bicubic, a = -0.75).
enum class PositionRule {
    HubOffset, ///< by scale factor (n + 0.1) / base, without antialias: DINOv2 hub, no registers
    SizeNoAntialias, ///< by size, without antialias: Hugging Face, no registers
    SizeAntialias,   ///< by size, with antialias: DINOv2 hub and Hugging Face with registers; timm
};

/// "scale factor with +0.1 offset", "size, no antialias", "size, antialias"
std::string_view nameOf(PositionRule rule);

struct VitSpec {
    std::string name; ///< as shown to the user: "DINOv2 ViT-S/14 with 4 registers"
    VitLayout layout = VitLayout::Hub;
    std::string keyPrefix;       ///< of every key in the file, e.g. "backbone."; mostly empty
    std::int64_t patch = 0;      ///< in pixels
    std::vector<StemStage> stem; ///< convolutions before the patch embedding; mostly none
    std::int64_t width = 0;      ///< channels of a token
    std::int64_t depth = 0;      ///< blocks
    std::int64_t heads = 0;      ///< width / 64
    std::int64_t registers = 0;
    std::int64_t hidden = 0; ///< channels inside the MLP (of one of the two halves with SwiGLU)
    bool layerScale = false;
    bool swiglu = false;
    bool qkvBias = true;
    Extent positionGrid;                ///< h x w of the learned position table
    bool positionIncludesClass = false; ///< the file's table has a row for the CLS token
    PositionRule positionRule = PositionRule::HubOffset;

    /// Side of the patch embedding's kernel, in pixels or in cells of the stem.
    std::int64_t patchKernel() const { return patch >> stem.size(); }
    /// Channels that the patch embedding sees.
    std::int64_t patchChannels() const { return stem.empty() ? 3 : stem.back().channels; }
};

} // namespace loftscope
