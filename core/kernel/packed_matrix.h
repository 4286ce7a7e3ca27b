// SPDX-License-Identifier: Apache-2.0
// A matrix of weights in bf16, in the order in which the product's innermost loop reads it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace loftscope {

/// Values in one AVX-512 register of fp32: rows of pixels are padded to a multiple of this.
inline constexpr std::int64_t vectorLength = 16;

/// `count` rounded up to a whole number of registers.
constexpr std::int64_t paddedTo16(std::int64_t count) {
    return (count + vectorLength - 1) / vectorLength * vectorLength;
}

/// `count` rounded up to an even number: bf16 values are multiplied two at a time.
constexpr std::int64_t paddedToPairs(std::int64_t count) {
    return (count + 1) / 2 * 2;
}

struct PackedMatrix {
    /// Some neighbouring columns: 1 to 3 registers of outputs.
    struct Panel {
        std::int64_t firstColumn = 0;
        std::int64_t registers = 0;
        std::int64_t offset = 0; ///< of its first value in `values`
    };

    std::int64_t taps = 1;    ///< matrices in one: 16 of a convolution after Winograd, else 1
    std::int64_t inner = 0;   ///< inputs of a tap, even
    std::int64_t columns = 0; ///< outputs, a multiple of 16
    std::vector<Panel> panels;
    at::Tensor values; ///< bf16. Per panel, tap and pair of inputs: every column's two values
    at::Tensor bias;   ///< columns, fp32
};

/// `weight`: outputs x inputs, or outputs x inputs x taps (in any shape); fp32. `bias`: outputs, or
/// undefined.
/// What is added to reach even inputs and whole registers of outputs is 0.
PackedMatrix packMatrix(const at::Tensor& weight, const at::Tensor& bias);

} // namespace loftscope
