// SPDX-License-Identifier: Apache-2.0
// The learned down-sampler of the multi-view objective (FeatUp): what a ViT sees of high-resolution
// features. Every patch becomes a weighted mean of its pixels; the weights are a softmax over the
// patch of a learned saliency.
#pragma once

#include "core/train/counter_random.h"
#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

struct AttentionDownsampler {
    at::Tensor saliencyWeight; ///< C: the 1 x 1 convolution C -> 1
    at::Tensor saliencyBias;   ///< 1
    at::Tensor scale;          ///< patch x patch, multiplies the saliency
    at::Tensor offset;         ///< patch x patch, added to it
    double dropout = 0.2;      ///< share of the patches whose saliency is dropped in training

    /// Freshly initialised, requiring gradients. `device` as in at::TensorOptions.
    static AttentionDownsampler create(std::int64_t channels, std::int64_t patch,
                                       CounterRandom random, const at::Device& device);

    std::int64_t patch() const { return scale.size(0); }
    /// The parameters under the names that checkpoints of training use.
    StateDict parameters() const;

    /// B x C x H x W to B x 1 x H x W. Linear, so it may be taken before the view is changed or
    /// blurred.
    at::Tensor saliency(const at::Tensor& features) const;
    /// Down-samples `values` (B x P x H x W, sides multiples of the patch) by the weights that
    /// `saliency` (B x 1 x H x W) gives: B x P x H/patch x W/patch. Both are blurred by a 5 x 5
    /// mean first. `random` is used for the dropout; without one nothing is dropped.
    at::Tensor pool(const at::Tensor& values, const at::Tensor& saliency,
                    CounterRandom* random) const;
};

} // namespace loftscope
