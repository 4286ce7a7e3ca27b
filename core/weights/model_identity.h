// SPDX-License-Identifier: Apache-2.0
// What a user is told about a checkpoint that was recognised, whatever kind of model it holds.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/weights/state_dict.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace loftscope {

/// Numbers and names of an architecture, as `loftscope inspect` lists them. Names are of lower-case
/// words with underscores; an Extent is a grid of height x width.
using FactValue = std::variant<bool, std::int64_t, double, std::string, Extent>;
using ModelFacts = std::vector<std::pair<std::string, FactValue>>;

struct ModelIdentity {
    std::string family; ///< one word: "vit", "loftup"
    std::string name;   ///< as shown: "DINOv2 ViT-S/14"
    /// Of a backbone: whose features it makes ("DINOv2 with registers"), so that an upsampler that
    /// was trained for others can be told apart; empty where that is not known.
    std::string lineage = {};
    ModelFacts facts = {};
    WeightAccount account = {}; ///< in the file's own names
    std::vector<std::string> warnings =
        {}; ///< sentences that a user of such a file must know, e.g. that a part is missing
};

/// What a family says of a state dict: nothing (not of this family), a model, or why a model that
/// is of this family cannot be used (Unsupported).
template <typename Candidate>
using Recognition = Result<std::optional<Candidate>>;

} // namespace loftscope
