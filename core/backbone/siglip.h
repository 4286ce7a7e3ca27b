// SPDX-License-Identifier: Apache-2.0
// The image tower of SigLIP and SigLIP 2 (arXiv 2303.15343, 2502.14786), and plain vision
// transformers without a CLS token in timm's layout.
#pragma once

#include "core/backbone/backbone_families.h"

namespace loftscope {

/// Recognises timm's and open_clip's names (`visual.trunk.patch_embed.proj.weight`, without a
/// `cls_token`) and Hugging Face's.
Recognition<BackboneCandidate> recogniseSiglip(const StateDict& state,
                                               const BackboneChoices& choices);

} // namespace loftscope
