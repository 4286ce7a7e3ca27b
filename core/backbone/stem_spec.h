// SPDX-License-Identifier: Apache-2.0
// The numbers that describe a stem of convolutions before a ViT's patch embedding.
#pragma once

#include "core/base/error.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace loftscope {

/// A stage halves the sides.
struct StemStage {
    std::int64_t channels = 0;
    std::int64_t blocks = 0; ///< residual ones behind the first convolution
    bool operator==(const StemStage&) const = default;
};

/// "24,48x1,96x2": channels, and blocks where there are some, stage by stage.
std::string textOf(const std::vector<StemStage>& stages);
/// The inverse; no stages from an empty text. Errors: InvalidArgument.
Result<std::vector<StemStage>> stemFrom(const std::string& text);

/// Shapes of a stem's parameters by key (core/backbone/conv_stem.h).
std::map<std::string, std::vector<std::int64_t>> stemShapes(const std::vector<StemStage>& stages);

} // namespace loftscope
