// SPDX-License-Identifier: Apache-2.0
// FeatUp's stack of joint bilateral upsamplers (arXiv 2403.10516): four times, features of twice
// the size are averaged with weights that follow the picture's colours. The map is always 16 times
// the grid, whatever the size of the picture.
#pragma once

#include "core/upsample/upsampler_methods.h"

namespace loftscope {

/// Recognises FeatUp's Lightning checkpoints and the bare stack by their keys (`up1.range_temp`,
/// ...).
Recognition<UpsamplerCandidate> recogniseFeatUp(const StateDict& state);

} // namespace loftscope
