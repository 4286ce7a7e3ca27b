// SPDX-License-Identifier: Apache-2.0
// What model a state dict belongs to, from its keys and shapes alone, and the same parameters under
// one set of names.
#pragma once

#include "core/backbone/vit_spec.h"
#include "core/base/error.h"
#include "core/upsample/loftup_spec.h"
#include "core/weights/state_dict.h"

#include <string>
#include <vector>

namespace loftscope {

/// No model that is known here.
struct UnknownModel {
    std::string closest; ///< the model family that has most in common with the keys; may be empty
    std::string reason;  ///< why it is not taken for that: half a sentence
    std::vector<std::string> missing; ///< keys typical of that family that are not there
};

/// True if the keys that a ViT or a LoftUp cannot do without are there; it may still be unusable.
bool looksLikeVit(const StateDict& state);
bool looksLikeLoftUp(const StateDict& state);

/// The ViT in `state`. Errors: Unsupported, naming what came closest and what is missing.
Result<VitSpec> recogniseVit(const StateDict& state);
/// The LoftUp in `state`. Errors as `recogniseVit`.
Result<LoftUpSpec> recogniseLoftUp(const StateDict& state);

/// The parameters under the names and in the shapes of DINOv2's hub checkpoints (`attn.qkv`,
/// `mlp.w12`, `ls1.gamma`, ...), whatever the layout; `pos_embed` is 1 x (1 + h w) x C (a zero row
/// for CLS where the table has none: its token then already holds its position, as in timm). Keys
/// that do not belong to the ViT keep their names.
StateDict canonicalVitState(const StateDict& state, const VitSpec& spec);

/// The parameters under the names of the published LoftUp checkpoints (`channelnorm.norm.*`,
/// `upsampler.*`). Keys that do not belong to it keep their names.
StateDict canonicalLoftUpState(const StateDict& state, const LoftUpSpec& spec);

/// What the file lacks, has in another shape or has beyond the model, in the file's own names.
WeightAccount accountOf(const StateDict& state, const VitSpec& spec);
WeightAccount accountOf(const StateDict& state, const LoftUpSpec& spec);

/// Sentences that a user of such a file must know, e.g. that the channel norm is missing.
std::vector<std::string> warningsAbout(const LoftUpSpec& spec);

} // namespace loftscope
