// SPDX-License-Identifier: Apache-2.0
// JAFAR (arXiv 2506.11136): every output pixel, described by the picture alone, attends to all
// low-resolution tokens, whose keys are the picture's, scaled and shifted by what the features look
// like; the heads' mean attention weighs the features as they are.
#pragma once

#include "core/upsample/upsampler_methods.h"

namespace loftscope {

/// Recognises JAFAR's published checkpoints by their keys (`sft_key.gamma.weight`, ...).
Recognition<UpsamplerCandidate> recogniseJafar(const StateDict& state);

} // namespace loftscope
