// SPDX-License-Identifier: Apache-2.0
// RADIO (arXiv 2312.06709, release 2.5: arXiv 2412.07679): a vision transformer distilled from
// several foundation models, whose position table was trained with random crops of itself.
#pragma once

#include "core/backbone/backbone_families.h"

namespace loftscope {

/// Recognises the official checkpoints and Hugging Face's (`patch_generator.embedder.weight`,
/// `input_conditioner.norm_mean`, ...). Its normalisation stands in the file.
Recognition<BackboneCandidate> recogniseRadio(const StateDict& state,
                                              const BackboneChoices& choices);

} // namespace loftscope
