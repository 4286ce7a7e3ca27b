// SPDX-License-Identifier: Apache-2.0
// Activation checkpointing: trading time for memory in training.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace loftscope {

/// `body(first, second)`, without keeping what the body computes on the way: it is computed again
/// when gradients are asked for. The body must give the same result both times. Gradients reach the
/// two arguments and every leaf parameter that the body uses; it must not capture other tensors
/// that have a history. `first` must require gradients.
at::Tensor
recomputedInBackward(std::function<at::Tensor(const at::Tensor&, const at::Tensor&)> body,
                     const at::Tensor& first, const at::Tensor& second);

} // namespace loftscope
