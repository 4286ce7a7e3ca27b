// SPDX-License-Identifier: Apache-2.0
// A model's parameters as a list: canonical name, where a file may keep it, and its shape.
#pragma once

#include "core/weights/state_dict.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// Keys of a file that together make one parameter, one below the other (query, key, value).
using Sources = std::vector<std::string>;

struct KeyRule {
    std::string canonical;
    std::vector<Sources> alternatives; ///< names in the file, the layout's own first
    std::vector<std::int64_t> shape;   ///< of the whole parameter; -1 accepts any extent
    bool required = true;              ///< false: known, but a model does without it
};

/// The alternative that `state` uses (at least one of its keys is there), else the first.
const Sources& sourcesIn(const StateDict& state, const std::vector<Sources>& alternatives);

/// Shape of the parameter that `sources` make together; empty if one is missing or they do not fit
/// on top of each other.
std::vector<std::int64_t> stackedShape(const StateDict& state, const Sources& sources);

/// `state` with every parameter that a rule finds renamed to its canonical name (and stacked);
/// everything else keeps its name.
StateDict applyRules(const StateDict& state, const std::vector<KeyRule>& rules);

/// Missing, misshapen and surplus keys in the file's own names.
WeightAccount accountOf(const StateDict& state, const std::vector<KeyRule>& rules);

/// A key that lies inside one of the model's blocks (`blocks.N.` of the canonical names) although
/// no rule knows it: whoever leaves it out computes something else than the block does.
std::optional<std::string> unknownInBlocks(const StateDict& state,
                                           const std::vector<KeyRule>& rules);

} // namespace loftscope
