// SPDX-License-Identifier: Apache-2.0
// x W^T + b for inference, by the quickest routine there is on the machine.
#pragma once

#include <ATen/core/Tensor.h>

namespace loftscope {

/// x W^T + b over the last dimension, for the types fp32, bf16 and fp16; the result has the type of
/// `weight`, to which `x` is converted. `bias` may be undefined. On a CPU it is computed by oneDNN:
/// LibTorch's own choice for fp32 is MKL, which reaches only 40 % of oneDNN's rate on AMD's
/// processors and no more elsewhere (docs/performance.md). Tensors that require gradients go the
/// usual way.
at::Tensor linearProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

} // namespace loftscope
