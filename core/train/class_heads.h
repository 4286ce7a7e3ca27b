// SPDX-License-Identifier: Apache-2.0
// Linear heads that read classes off single features while an upsampler is trained, and what it
// costs where they fail (this project's; a linear probe asks the same of features afterwards). They
// serve training alone and are not part of the model.
#pragma once

#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

namespace loftscope {

/// How badly scores tell classes: cross-entropy, where a class of n pixels counts sqrt(n) times the
/// mean of its pixels, so that poles are not lost beside roads. `scores`: K x h x w; `labels`:
/// h x w, int64, 0..K-1, negative ones do not count; 0 where none does.
at::Tensor classLoss(const at::Tensor& scores, const at::Tensor& labels);

class ClassHeads {
public:
    static constexpr std::int64_t classes = 256; ///< of a head: the numbers of an indexed PNG

    /// One head for each set of classes, all scores 0. `sets` may be 0.
    static ClassHeads create(std::int64_t sets, std::int64_t channels, c10::Device device);

    std::int64_t sets() const { return weight.defined() ? weight.size(0) : 0; }
    /// Of C x h x w features by the head `set`: 256 x h x w.
    at::Tensor scores(const at::Tensor& features, std::int64_t set) const;
    /// By names `class_heads.*`; none without sets.
    StateDict parameters() const;

    at::Tensor weight; ///< sets x 256 x C
    at::Tensor bias;   ///< sets x 256
};

} // namespace loftscope
