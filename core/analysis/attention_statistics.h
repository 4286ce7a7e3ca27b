// SPDX-License-Identifier: Apache-2.0
// How concentrated an attention map is, and where.
#pragma once

#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

struct AttentionStatistics {
    double entropyBits =
        0; ///< of the weights as a distribution; 0: one token, log2(h w): all alike
    double effectiveTokens = 0; ///< 2^entropy: how many tokens share the weight
    double peak = 0;            ///< largest weight
    Pixel peakToken;            ///< its column and row in the low-resolution grid
};

/// `map`: h x w. Negative weights (bicubic taps) count as zero for the entropy.
AttentionStatistics attentionStatistics(const at::Tensor& map);

} // namespace loftscope
