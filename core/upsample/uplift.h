// SPDX-License-Identifier: Apache-2.0
// UPLiFT (arXiv 2601.17950): the grid is doubled four times by one small network; every new pixel
// is an average of 17 features around it in the map before, with weights that the network finds
// from that map and from the picture. The result is 16 times the grid whatever the picture's size.
#pragma once

#include "core/upsample/upsampler_methods.h"

namespace loftscope {

/// Recognises UPLiFT's published checkpoints for vision transformers by their keys
/// (`attender.conv1.weight`, ...).
Recognition<UpsamplerCandidate> recogniseUplift(const StateDict& state);

/// The upsampler in a state dict that was recognised. Maps of a picture that all rectangles need
/// are kept while it is bound, as far as each takes no more than `keptBytes`; others are computed
/// for every rectangle.
Result<std::unique_ptr<Upsampler>> buildUplift(const StateDict& state, c10::Device device,
                                               std::int64_t keptBytes = std::int64_t{512} << 20);

} // namespace loftscope
