// SPDX-License-Identifier: Apache-2.0
// Products of rows of pixels with weights in bf16, summed in fp32, with what follows done while the
// sums are still in registers. To be called only where hasBf16Products().
#pragma once

#include "core/kernel/packed_matrix.h"

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace loftscope {

/// Rows of bf16 inputs. Rows start `stride` values apart.
struct HalfRows {
    const c10::BFloat16* values = nullptr;
    std::int64_t stride = 0;
};

/// What becomes of x W^T + b. Rows of results start `stride` values apart and hold a multiple of 16
/// columns.
enum class Finish {
    Store,     ///< fp32
    Add,       ///< added to what is there, fp32
    StoreHalf, ///< bf16
    GeluHalf,  ///< x Phi(x), bf16
};

struct ProductTarget {
    Finish finish = Finish::Store;
    float* full = nullptr;         ///< of the fp32 kinds
    c10::BFloat16* half = nullptr; ///< of the bf16 kinds
    std::int64_t stride = 0;
};

/// `rows` rows times `matrix`, which has one tap. A row's result does not depend on how many are
/// computed at once.
void multiplyRows(const HalfRows& input, std::int64_t rows, const PackedMatrix& matrix,
                  const ProductTarget& target);

/// The same for one panel of one tap and without bias: `target` begins with the panel's first
/// column.
void multiplyPanel(const HalfRows& input, std::int64_t rows, const PackedMatrix& matrix,
                   const PackedMatrix::Panel& panel, std::int64_t tap, const ProductTarget& target);

} // namespace loftscope
