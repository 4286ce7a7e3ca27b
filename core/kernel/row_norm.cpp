// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/row_norm.h"

#include "core/kernel/packed_matrix.h"
#include "core/kernel/processor.h"

#include <cmath>
#include <stdexcept>

#if LOFTSCOPE_BF16_KERNELS
#include <immintrin.h>
#endif

namespace loftscope {

#if LOFTSCOPE_BF16_KERNELS

namespace {

struct Moments {
    __m512 mean;
    __m512 inverseDeviation;
};

__mmask16 maskOf(std::int64_t channel, std::int64_t channels) {
    const std::int64_t left = channels - channel;
    return left >= vectorLength ? __mmask16{0xFFFF} : static_cast<__mmask16>((1U << left) - 1U);
}

LOFTSCOPE_AVX512_BF16 Moments momentsOf(const float* row, std::int64_t channels, double eps) {
    __m512 sum = _mm512_setzero_ps();
    for (std::int64_t c = 0; c < channels; c += vectorLength)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(maskOf(c, channels), row + c));
    const auto count = static_cast<float>(channels);
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
    __m512 squares = _mm512_setzero_ps();
    for (std::int64_t c = 0; c < channels; c += vectorLength) {
        const __mmask16 mask = maskOf(c, channels);
        const __m512 gap = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, row + c), mean);
        squares = _mm512_fmadd_ps(gap, gap, squares);
    }
    const float variance = _mm512_reduce_add_ps(squares) / count;
    return {mean, _mm512_set1_ps(1.0F / std::sqrt(variance + static_cast<float>(eps)))};
}

} // namespace

LOFTSCOPE_AVX512_BF16 void normaliseRows(const float* input, std::int64_t rows,
                                         std::int64_t channels, std::int64_t stride, double eps,
                                         c10::BFloat16* output) {
    for (std::int64_t row = 0; row < rows; ++row, input += stride, output += stride) {
        const Moments moments = momentsOf(input, channels, eps);
        for (std::int64_t c = 0; c < stride; c += vectorLength) {
            const __mmask16 mask = c < channels ? maskOf(c, channels) : __mmask16{0};
            const __m512 value =
                _mm512_maskz_mul_ps(mask, _mm512_sub_ps(_mm512_loadu_ps(input + c), moments.mean),
                                    moments.inverseDeviation);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(output + c),
                                reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
        }
    }
}

LOFTSCOPE_AVX512_BF16 void normaliseRows(float* values, std::int64_t rows, std::int64_t channels,
                                         std::int64_t stride, double eps, const float* weight,
                                         const float* bias) {
    for (std::int64_t row = 0; row < rows; ++row, values += stride) {
        const Moments moments = momentsOf(values, channels, eps);
        for (std::int64_t c = 0; c < channels; c += vectorLength) {
            const __m512 value = _mm512_mul_ps(
                _mm512_sub_ps(_mm512_loadu_ps(values + c), moments.mean), moments.inverseDeviation);
            _mm512_storeu_ps(values + c, _mm512_fmadd_ps(value, _mm512_loadu_ps(weight + c),
                                                         _mm512_loadu_ps(bias + c)));
        }
    }
}

#else

void normaliseRows(const float*, std::int64_t, std::int64_t, std::int64_t, double, c10::BFloat16*) {
    throw std::logic_error("normaliseRows needs AVX-512 with bf16 products");
}

void normaliseRows(float*, std::int64_t, std::int64_t, std::int64_t, double, const float*,
                   const float*) {
    throw std::logic_error("normaliseRows needs AVX-512 with bf16 products");
}

#endif

} // namespace loftscope
