// SPDX-License-Identifier: Apache-2.0
// What is done to a picture's values before a network sees them.
#pragma once

#include <array>

namespace loftscope {

/// Per-channel normalisation of a picture's R, G, B in 0..1 before it enters a network.
struct Normalisation {
    std::array<float, 3> mean{0.485F, 0.456F, 0.406F}; ///< ImageNet's by default
    std::array<float, 3> std{0.229F, 0.224F, 0.225F};
};

/// What OpenAI normalises pictures for CLIP with.
inline constexpr Normalisation clipNormalisation{{0.48145466F, 0.4578275F, 0.40821073F},
                                                 {0.26862954F, 0.26130258F, 0.27577711F}};

} // namespace loftscope
