// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/winograd.h"

#include "core/kernel/processor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include <stdexcept>

#if LOFTSCOPE_BF16_KERNELS
#include <immintrin.h>
#endif

namespace loftscope {

namespace {

constexpr std::int64_t places = 16; // of a transformed 4 x 4 neighbourhood
constexpr std::int64_t mostPanelColumns = 3 * vectorLength;

} // namespace

PackedMatrix packWinograd(const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor g =
        at::tensor({1.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0.0, 0.0, 1.0}).view({4, 3});
    const at::Tensor transformed = at::matmul(at::matmul(g, weight.to(at::kDouble)), g.t());
    return packMatrix(transformed.to(at::kFloat), bias);
}

WinogradScratch::WinogradScratch(std::int64_t inputs)
    : inputs_(at::empty({places, mostSquares, inputs}, at::kBFloat16))
    , products_(at::empty({places, mostSquares, mostPanelColumns})) {}

#if LOFTSCOPE_BF16_KERNELS

namespace {

LOFTSCOPE_AVX512_BF16 inline __m512 loadHalf(const c10::BFloat16* from) {
    const __m512i wide =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

LOFTSCOPE_AVX512_BF16 inline void storeHalf(c10::BFloat16* to, __m512 value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
}

/// The transform of four neighbours along one direction.
LOFTSCOPE_AVX512_BF16 inline void transformInputs(__m512& a, __m512& b, __m512& c, __m512& d) {
    const __m512 first = _mm512_sub_ps(a, c);
    const __m512 second = _mm512_add_ps(b, c);
    const __m512 third = _mm512_sub_ps(c, b);
    d = _mm512_sub_ps(b, d);
    a = first;
    b = second;
    c = third;
}

/// The 4 x 4 neighbourhoods of all squares, as 16 matrices of squares x inputs.
LOFTSCOPE_AVX512_BF16 void gather(const HalfRows& input, std::int64_t pitch, std::int64_t squares,
                                  c10::BFloat16* out) {
    const std::int64_t plane = mostSquares * input.stride;
    for (std::int64_t square = 0; square < squares; ++square) {
        const c10::BFloat16* corner = input.values + 2 * square * input.stride;
        for (std::int64_t channel = 0; channel < input.stride; channel += vectorLength) {
            __m512 d[4][4];
#pragma GCC unroll 4
            for (int y = 0; y < 4; ++y) {
#pragma GCC unroll 4
                for (int x = 0; x < 4; ++x)
                    d[y][x] = loadHalf(corner + (y * pitch + x) * input.stride + channel);
                transformInputs(d[y][0], d[y][1], d[y][2], d[y][3]);
            }
            c10::BFloat16* to = out + square * input.stride + channel;
#pragma GCC unroll 4
            for (int x = 0; x < 4; ++x) {
                transformInputs(d[0][x], d[1][x], d[2][x], d[3][x]);
#pragma GCC unroll 4
                for (int y = 0; y < 4; ++y)
                    storeHalf(to + (y * 4 + x) * plane, d[y][x]);
            }
        }
    }
}

/// The products of some neighbouring outputs back to pixels.
LOFTSCOPE_AVX512_BF16 void spreadOut(const float* products, std::int64_t squares,
                                     std::int64_t columns, const float* bias, float* output,
                                     std::int64_t stride) {
    const std::int64_t plane = mostSquares * mostPanelColumns;
    const std::int64_t below = 2 * squares * stride; // the second row of pixels
    for (std::int64_t square = 0; square < squares; ++square) {
        for (std::int64_t column = 0; column < columns; column += vectorLength) {
            const float* from = products + square * mostPanelColumns + column;
            __m512 top[4];
            __m512 bottom[4];
#pragma GCC unroll 4
            for (int x = 0; x < 4; ++x) {
                const __m512 a = _mm512_loadu_ps(from + x * plane);
                const __m512 b = _mm512_loadu_ps(from + (4 + x) * plane);
                const __m512 c = _mm512_loadu_ps(from + (8 + x) * plane);
                const __m512 d = _mm512_loadu_ps(from + (12 + x) * plane);
                top[x] = _mm512_add_ps(a, _mm512_add_ps(b, c));
                bottom[x] = _mm512_sub_ps(_mm512_sub_ps(b, c), d);
            }
            const __m512 start = _mm512_loadu_ps(bias + column);
            float* to = output + 2 * square * stride + column;
#pragma GCC unroll 2
            for (int y = 0; y < 2; ++y) {
                const __m512* m = y == 0 ? top : bottom;
                const __m512 left =
                    _mm512_add_ps(_mm512_add_ps(m[0], start), _mm512_add_ps(m[1], m[2]));
                const __m512 right =
                    _mm512_add_ps(_mm512_sub_ps(m[1], m[2]), _mm512_sub_ps(start, m[3]));
                _mm512_storeu_ps(to + y * below, _mm512_max_ps(left, _mm512_setzero_ps()));
                _mm512_storeu_ps(to + y * below + stride,
                                 _mm512_max_ps(right, _mm512_setzero_ps()));
            }
        }
    }
}

} // namespace

void convolveSquares(const HalfRows& input, std::int64_t pitch, std::int64_t squares,
                     const PackedMatrix& matrix, WinogradScratch& scratch, float* output,
                     std::int64_t outputStride) {
    gather(input, pitch, squares, scratch.inputs());
    const auto* bias = matrix.bias.const_data_ptr<float>();
    for (const PackedMatrix::Panel& panel : matrix.panels) {
        for (std::int64_t place = 0; place < places; ++place)
            multiplyPanel({scratch.inputs() + place * mostSquares * input.stride, input.stride},
                          squares, matrix, panel, place,
                          {Finish::Store,
                           scratch.products() + place * mostSquares * mostPanelColumns, nullptr,
                           mostPanelColumns});
        spreadOut(scratch.products(), squares, panel.registers * vectorLength,
                  bias + panel.firstColumn, output + panel.firstColumn, outputStride);
    }
}

#else

void convolveSquares(const HalfRows&, std::int64_t, std::int64_t, const PackedMatrix&,
                     WinogradScratch&, float*, std::int64_t) {
    throw std::logic_error("convolveSquares needs AVX-512 with bf16 products");
}

#endif

} // namespace loftscope
