// SPDX-License-Identifier: Apache-2.0
#include "core/train/normalised_pictures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <array>

namespace loftscope {

at::Tensor normalisedPictures(const at::Tensor& pictures, const Normalisation& normalisation) {
    const auto perChannel = [&](const std::array<float, 3>& values) {
        return at::tensor(at::ArrayRef<float>(values.data(), values.size()))
            .view({1, 3, 1, 1})
            .to(pictures.device());
    };
    return (pictures - perChannel(normalisation.mean)) / perChannel(normalisation.std);
}

} // namespace loftscope
