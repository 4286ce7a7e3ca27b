// SPDX-License-Identifier: Apache-2.0
// The image tower of CLIP (arXiv 2103.00020), with patch tokens in the space that it shares with
// text: either through the last block's values alone (MaskCLIP, arXiv 2112.01071, as LoftUp and
// FeatUp use it) or as they come out of the whole network.
#pragma once

#include "core/backbone/backbone_families.h"

namespace loftscope {

/// Recognises OpenAI's and open_clip's names (`visual.class_embedding`, ...) and Hugging Face's.
Recognition<BackboneCandidate> recogniseClip(const StateDict& state,
                                             const BackboneChoices& choices);

} // namespace loftscope
