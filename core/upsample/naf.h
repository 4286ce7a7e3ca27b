// SPDX-License-Identifier: Apache-2.0
// NAF (arXiv 2511.18452): output pixels and tokens are described by the picture alone; a pixel
// attends to the 9 x 9 tokens around it, each head for its share of the channels, which are weighed
// as they are.
#pragma once

#include "core/upsample/upsampler_methods.h"

namespace loftscope {

/// Recognises NAF's published checkpoint by its keys (`image_encoder.sem_encoder.0.weight`, ...).
Recognition<UpsamplerCandidate> recogniseNaf(const StateDict& state);

/// The upsampler in a state dict that was recognised. Of each picture, descriptions that take no
/// more than `keptBytes` are kept while it is bound; larger ones are computed for every rectangle.
Result<std::unique_ptr<Upsampler>> buildNaf(const StateDict& state, c10::Device device,
                                            std::int64_t keptBytes = std::int64_t{512} << 20);

} // namespace loftscope
