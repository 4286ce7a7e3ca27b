// SPDX-License-Identifier: Apache-2.0
// Fresh LoftUp weights that begin as a smooth interpolation instead of noise.
//
// LoftUp has to learn that the token beneath a pixel matters most, and learns it slowly: a query
// meets a key where both carry sin(f x) and cos(f x) of the same frequency, and nothing in random
// weights says so. Here they are set so: sum_f a_f cos(f (x - x')) over three frequencies and both
// axes is a bump around the pixel. Values are the tokens' features, unchanged. All weights stay
// free to be trained; keys, shapes and the forward pass are those of any LoftUp.
#pragma once

#include "core/base/error.h"
#include "core/upsample/loftup_spec.h"
#include "core/weights/state_dict.h"

#include <cstdint>

namespace loftscope {

/// Frequencies of both codes, exp(linspace(-2, 10, this)), that contain e, e^2 and e^3.
inline constexpr std::int64_t localStartFrequencies = 13;

/// Changes the parameters of a freshly made LoftUp (published names) in place. BatchNorm must have
/// its first running statistics, 0 and 1, and keep them (frozen) for the start to hold in training.
/// Errors: Unsupported (the codes do not share the frequencies e, e^2 and e^3).
Result<void> beginLocal(const StateDict& parameters, const LoftUpSpec& spec);

} // namespace loftscope
