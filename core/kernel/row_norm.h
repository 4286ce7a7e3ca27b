// SPDX-License-Identifier: Apache-2.0
// LayerNorm of rows of pixels. To be called only where hasBf16Products().
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace loftscope {

/// (x - mean) / sqrt(variance + eps) of each row of `channels` values, without weight and bias
/// (they are part of the product that follows), as bf16. Rows of both start `stride` values apart,
/// a multiple of 16; what lies beyond `channels` becomes 0.
void normaliseRows(const float* input, std::int64_t rows, std::int64_t channels,
                   std::int64_t stride, double eps, c10::BFloat16* output);

/// The same in place and in fp32, with weight and bias, which hold `stride` values each.
void normaliseRows(float* values, std::int64_t rows, std::int64_t channels, std::int64_t stride,
                   double eps, const float* weight, const float* bias);

} // namespace loftscope
