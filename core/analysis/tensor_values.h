// SPDX-License-Identifier: Apache-2.0
// A tensor's numbers on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace loftscope {

/// The values of a tensor of any shape, type and device, in row-major order.
std::vector<float> floatsOf(const at::Tensor& tensor);

} // namespace loftscope
