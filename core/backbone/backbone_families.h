// SPDX-License-Identifier: Apache-2.0
// The registry of backbones. A new one is one file and one line in backbone_families.cpp.
#pragma once

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

/// What a user may decide otherwise than a checkpoint's release does. A family ignores what does
/// not concern it.
struct BackboneChoices {
    std::optional<PositionRule> positionRule; ///< how a learned position table is resized
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
