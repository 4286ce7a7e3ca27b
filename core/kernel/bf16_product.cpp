// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/bf16_product.h"

#include "core/kernel/processor.h"
#include "core/kernel/vector_math.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace loftscope {

#if LOFTSCOPE_BF16_KERNELS

namespace {

constexpr std::int64_t rowsAtOnce = 8; // by 3 registers of outputs: 24 of the 32 registers

LOFTSCOPE_AVX512_BF16 inline void finish(__m512 sum, const ProductTarget& target,
                                         std::int64_t place) {
    switch (target.finish) {
    case Finish::Store:
        _mm512_storeu_ps(target.full + place, sum);
        break;
    case Finish::Add:
        _mm512_storeu_ps(target.full + place,
                         _mm512_add_ps(sum, _mm512_loadu_ps(target.full + place)));
        break;
    case Finish::GeluHalf:
        sum = geluOf(sum);
        [[fallthrough]];
    case Finish::StoreHalf:
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(target.half + place),
                            reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sum)));
        break;
    }
}

/// Rows x (16 * Registers) results, the sums kept in registers. `bias` may be null.
template <int Rows, int Registers>
LOFTSCOPE_AVX512_BF16 void multiplyBlock(const HalfRows& input, std::int64_t pairs,
                                         const c10::BFloat16* weights, const float* bias,
                                         const ProductTarget& target, std::int64_t place) {
    __m512 sums[Rows][Registers];
#pragma GCC unroll 3
    for (int j = 0; j < Registers; ++j) {
        const __m512 start =
            bias != nullptr ? _mm512_loadu_ps(bias + j * vectorLength) : _mm512_setzero_ps();
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i)
            sums[i][j] = start;
    }
    const c10::BFloat16* row = input.values;
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
        __m512bh columns[Registers];
#pragma GCC unroll 3
        for (int j = 0; j < Registers; ++j)
            columns[j] = reinterpret_cast<__m512bh>(
                _mm512_loadu_si512(weights + static_cast<std::int64_t>(j) * 2 * vectorLength));
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) {
            std::int32_t pairOfRow = 0;
            std::memcpy(&pairOfRow, row + i * input.stride, sizeof(pairOfRow));
            const auto values = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pairOfRow));
#pragma GCC unroll 3
            for (int j = 0; j < Registers; ++j)
                sums[i][j] = _mm512_dpbf16_ps(sums[i][j], values, columns[j]);
        }
        row += 2;
        weights += static_cast<std::int64_t>(Registers) * 2 * vectorLength;
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 3
        for (int j = 0; j < Registers; ++j)
            finish(sums[i][j], target, place + i * target.stride + j * vectorLength);
    }
}

using Block = void (*)(const HalfRows&, std::int64_t, const c10::BFloat16*, const float*,
                       const ProductTarget&, std::int64_t);

template <int Registers>
constexpr std::array<Block, rowsAtOnce> blocksOf = {
    multiplyBlock<1, Registers>, multiplyBlock<2, Registers>, multiplyBlock<3, Registers>,
    multiplyBlock<4, Registers>, multiplyBlock<5, Registers>, multiplyBlock<6, Registers>,
    multiplyBlock<7, Registers>, multiplyBlock<8, Registers>};
constexpr std::array<std::array<Block, rowsAtOnce>, 3> blocks = {blocksOf<1>, blocksOf<2>,
                                                                 blocksOf<3>};

void multiplyPanel(const HalfRows& input, std::int64_t rows, const PackedMatrix& matrix,
                   const PackedMatrix::Panel& panel, std::int64_t tap, const float* bias,
                   const ProductTarget& target, std::int64_t firstColumn) {
    const auto* weights = matrix.values.const_data_ptr<c10::BFloat16>() + panel.offset +
                          tap * matrix.inner * panel.registers * vectorLength;
    const auto& byRows = blocks[static_cast<std::size_t>(panel.registers - 1)];
    for (std::int64_t row = 0; row < rows; row += rowsAtOnce) {
        const std::int64_t count = std::min(rowsAtOnce, rows - row);
        byRows[static_cast<std::size_t>(count - 1)](
            {input.values + row * input.stride, input.stride}, matrix.inner / 2, weights, bias,
            target, row * target.stride + firstColumn);
    }
}

} // namespace

void multiplyRows(const HalfRows& input, std::int64_t rows, const PackedMatrix& matrix,
                  const ProductTarget& target) {
    const auto* bias = matrix.bias.const_data_ptr<float>();
    // All rows by one panel, which stays in the innermost cache meanwhile.
    for (const PackedMatrix::Panel& panel : matrix.panels)
        multiplyPanel(input, rows, matrix, panel, 0, bias + panel.firstColumn, target,
                      panel.firstColumn);
}

void multiplyPanel(const HalfRows& input, std::int64_t rows, const PackedMatrix& matrix,
                   const PackedMatrix::Panel& panel, std::int64_t tap,
                   const ProductTarget& target) {
    multiplyPanel(input, rows, matrix, panel, tap, nullptr, target, 0);
}

#else

void multiplyRows(const HalfRows&, std::int64_t, const PackedMatrix&, const ProductTarget&) {
    throw std::logic_error("multiplyRows needs AVX-512 with bf16 products");
}

void multiplyPanel(const HalfRows&, std::int64_t, const PackedMatrix&, const PackedMatrix::Panel&,
                   std::int64_t, const ProductTarget&) {
    throw std::logic_error("multiplyPanel needs AVX-512 with bf16 products");
}

#endif

} // namespace loftscope
