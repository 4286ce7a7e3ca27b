// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/tensor_values.h"

namespace loftscope {

std::vector<float> floatsOf(const at::Tensor& tensor) {
    const at::Tensor dense = tensor.to(at::kCPU, at::kFloat).contiguous();
    const auto* const begin = dense.const_data_ptr<float>();
    return {begin, begin + dense.numel()};
}

} // namespace loftscope
