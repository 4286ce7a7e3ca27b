// SPDX-License-Identifier: Apache-2.0
// 3 x 3 convolutions after Winograd's F(2 x 2, 3 x 3) (Lavin and Gray, arXiv 1509.09308): 16
// products for 4 pixels instead of 36. To be called only where hasBf16Products().
#pragma once

#include "core/kernel/bf16_product.h"
#include "core/kernel/packed_matrix.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

/// Most 2 x 2 squares of pixels that are convolved at once: their transforms stay in the second
/// cache.
inline constexpr std::int64_t mostSquares = 32;

/// `weight`: outputs x inputs x 3 x 3, transformed and packed.
PackedMatrix packWinograd(const at::Tensor& weight, const at::Tensor& bias);

/// Room for the transforms of one thread, for pixels of `inputs` values, a multiple of 16.
class WinogradScratch {
public:
    explicit WinogradScratch(std::int64_t inputs);
    c10::BFloat16* inputs() { return inputs_.mutable_data_ptr<c10::BFloat16>(); }
    float* products() { return products_.mutable_data_ptr<float>(); }

private:
    at::Tensor inputs_;
    at::Tensor products_;
};

/// max(0, convolution) of `squares` neighbouring squares of 2 x 2 pixels. `input` is the pixel
/// above and left of the first, its picture rows lie `pitch` pixels apart. `output`: 2 x (2 *
/// squares) pixels of `outputStride` values, fp32.
void convolveSquares(const HalfRows& input, std::int64_t pitch, std::int64_t squares,
                     const PackedMatrix& matrix, WinogradScratch& scratch, float* output,
                     std::int64_t outputStride);

} // namespace loftscope
