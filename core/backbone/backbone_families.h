// SPDX-License-Identifier: Apache-2.0
// The registry of backbones. A new one is one file and one line in backbone_families.cpp.
#pragma once

#include "core/backbone/activation.h"
#include "core/backbone/backbone.h"
#include "core/backbone/vit_spec.h"
#include "core/weights/model_identity.h"

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace loftscope {

/// Which of CLIP's two kinds of patch tokens.
enum class ClipTokens {
    Values, ///< the last block's values, projected (MaskCLIP), as LoftUp and FeatUp use them
    Plain,  ///< what comes out of the whole network, projected
};

/// What a user may decide otherwise than a checkpoint's release does. A family ignores what does
/// not concern it.
struct BackboneChoices {
    std::optional<PositionRule> positionRule; ///< how a learned position table is resized
    std::optional<Activation> activation;     ///< where a file does not tell: CLIP, SigLIP
    ClipTokens clipTokens = ClipTokens::Values;
    bool runTorchScript = false; ///< run a TorchScript archive as a program, which the user trusts
};

/// A backbone that was recognised in a checkpoint and can be built.
struct BackboneCandidate {
    ModelIdentity identity;
    /// Errors: Mismatch naming what is missing or misshapen; Unsupported.
    std::function<Result<std::unique_ptr<Backbone>>(c10::Device)> build;
};

struct BackboneFamily {
    std::string_view name; ///< one word: "vit"
    Recognition<BackboneCandidate> (*recognise)(const StateDict& state,
                                                const BackboneChoices& choices);
};

/// Every family there is, in the order in which they are asked.
const std::vector<BackboneFamily>& backboneFamilies();

} // namespace loftscope
