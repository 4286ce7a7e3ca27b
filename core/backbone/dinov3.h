// SPDX-License-Identifier: Apache-2.0
// DINOv3 (arXiv 2508.10104): patches are told their places by rotating queries and keys; storage
// tokens; key biases that are masked away.
#pragma once

#include "core/backbone/backbone_families.h"

namespace loftscope {

/// Recognises the official checkpoints (`storage_tokens`, `rope_embed.periods`) and those of
/// Hugging Face.
Recognition<BackboneCandidate> recogniseDinov3(const StateDict& state,
                                               const BackboneChoices& choices);

} // namespace loftscope
