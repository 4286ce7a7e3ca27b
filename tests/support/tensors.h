// SPDX-License-Identifier: Apache-2.0
// Made-up tensors, and how far two are from each other.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>

namespace loftscope::test {

/// Normally distributed numbers, the same for the same seed.
inline at::Tensor gaussian(at::IntArrayRef shape, std::uint64_t seed,
                           at::ScalarType type = at::kFloat) {
    return at::empty(shape, type).normal_(0, 1, at::make_generator<at::CPUGeneratorImpl>(seed));
}

/// The largest absolute value.
inline double largest(const at::Tensor& difference) {
    return difference.abs().max().item<double>();
}

} // namespace loftscope::test
