// SPDX-License-Identifier: Apache-2.0
// AnyUp (arXiv 2510.12764): every output pixel, described by the picture alone, attends to the
// low-resolution tokens of a window around it; the attention weighs the features as they are, so
// that one model serves every backbone and stays in its feature space.
#pragma once

#include "core/upsample/upsampler_methods.h"

namespace loftscope {

/// Recognises AnyUp's published checkpoints by their keys (`key_features_encoder.0.basis`, ...).
Recognition<UpsamplerCandidate> recogniseAnyUp(const StateDict& state);

} // namespace loftscope
