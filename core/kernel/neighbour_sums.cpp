// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/neighbour_sums.h"

#include "core/kernel/packed_matrix.h"
#include "core/kernel/processor.h"

#include <algorithm>

#if LOFTSCOPE_BF16_KERNELS
#include <immintrin.h>
#endif

namespace loftscope {

namespace {

/// The place in a table of one neighbour's values for the channels that are summed.
struct Parts {
    const float* row;
    const float* column;
    const float* red;
    const float* green;
    const float* blue;
    float weight;
};

Parts partsOf(const NeighbourRow& row, std::size_t x, std::size_t tap, std::int64_t place) {
    const GivingPixel& pixel = row.given[tap / 3][x + tap % 3];
    return {row.rows[tap / 3] + place, row.columns[x + tap % 3] + place, pixel.colors[0] + place,
            pixel.colors[1] + place,   pixel.colors[2] + place,          pixel.weight};
}

void sumPlainly(const NeighbourRow& row, std::int64_t stride, std::int64_t first,
                std::int64_t count, const NeighbourTarget& target) {
    std::array<float, mostNeighbourChannels> sums{};
    for (std::size_t x = 0; x < row.start.size(); ++x) {
        std::copy_n(row.start[x] + first, count, sums.begin());
        for (std::size_t tap = 0; tap < 9; ++tap) {
            const Parts parts =
                partsOf(row, x, tap, first + static_cast<std::int64_t>(tap) * stride);
            for (std::int64_t i = 0; i < count; ++i)
                sums[static_cast<std::size_t>(i)] +=
                    parts.weight * ((parts.row[i] + parts.column[i]) +
                                    (parts.red[i] + parts.green[i]) + parts.blue[i]);
        }
        const auto pixel = static_cast<std::int64_t>(x);
        for (std::int64_t i = 0; i < count; ++i) {
            const float value = std::max(sums[static_cast<std::size_t>(i)], 0.0F);
            const std::int64_t channel = first + i;
            if (target.half != nullptr) {
                target.half[pixel * stride + channel] = value;
            } else if (channel < target.channels) {
                target.full[pixel * target.channels + channel] = value;
            }
        }
    }
}

#if LOFTSCOPE_BF16_KERNELS

template <int Registers>
LOFTSCOPE_AVX512_BF16 void sumByRegisters(const NeighbourRow& row, std::int64_t stride,
                                          std::int64_t first, const NeighbourTarget& target) {
    for (std::size_t x = 0; x < row.start.size(); ++x) {
        __m512 sums[Registers];
#pragma GCC unroll 4
        for (int i = 0; i < Registers; ++i)
            sums[i] = _mm512_loadu_ps(row.start[x] + first + i * vectorLength);
        for (std::size_t tap = 0; tap < 9; ++tap) {
            const Parts parts =
                partsOf(row, x, tap, first + static_cast<std::int64_t>(tap) * stride);
            const __m512 weight = _mm512_set1_ps(parts.weight);
#pragma GCC unroll 4
            for (int i = 0; i < Registers; ++i) {
                const std::int64_t place = i * vectorLength;
                const __m512 position = _mm512_add_ps(_mm512_loadu_ps(parts.row + place),
                                                      _mm512_loadu_ps(parts.column + place));
                const __m512 color = _mm512_add_ps(_mm512_loadu_ps(parts.red + place),
                                                   _mm512_loadu_ps(parts.green + place));
                const __m512 sum = _mm512_add_ps(_mm512_add_ps(position, color),
                                                 _mm512_loadu_ps(parts.blue + place));
                sums[i] = _mm512_fmadd_ps(weight, sum, sums[i]);
            }
        }
        const auto pixel = static_cast<std::int64_t>(x);
#pragma GCC unroll 4
        for (int i = 0; i < Registers; ++i) {
            const __m512 value = _mm512_max_ps(sums[i], _mm512_setzero_ps());
            const std::int64_t channel = first + i * vectorLength;
            if (target.half != nullptr) {
                _mm256_storeu_si256(
                    reinterpret_cast<__m256i*>(target.half + pixel * stride + channel),
                    reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
            } else {
                const std::int64_t left = target.channels - channel;
                const auto mask = static_cast<__mmask16>(
                    left >= vectorLength ? 0xFFFFU : (1U << std::max<std::int64_t>(left, 0)) - 1U);
                _mm512_mask_storeu_ps(target.full + pixel * target.channels + channel, mask, value);
            }
        }
    }
}

#endif

} // namespace

void sumNeighbours(const NeighbourRow& row, std::int64_t stride, std::int64_t first,
                   std::int64_t count, const NeighbourTarget& target) {
#if LOFTSCOPE_BF16_KERNELS
    if (hasBf16Products()) {
        constexpr std::array kernels = {sumByRegisters<1>, sumByRegisters<2>, sumByRegisters<3>,
                                        sumByRegisters<4>};
        return kernels[static_cast<std::size_t>(count / vectorLength - 1)](row, stride, first,
                                                                           target);
    }
#endif
    sumPlainly(row, stride, first, count, target);
}

} // namespace loftscope
