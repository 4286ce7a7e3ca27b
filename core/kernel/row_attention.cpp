// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/row_attention.h"

#include "core/kernel/processor.h"
#include "core/kernel/vector_math.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

namespace loftscope {

namespace {

constexpr std::int64_t rowsAtOnce = 64;    // their scores stay in the caches
constexpr std::int64_t tokensAtOnce = 512; // the same for keys, values and scores

float* roomFor(at::Tensor& tensor, std::int64_t channels) {
    const std::int64_t count = rowsAtOnce * paddedTo16(channels);
    if (!tensor.defined() || tensor.numel() < count) tensor = at::empty({count});
    return tensor.mutable_data_ptr<float>();
}

} // namespace

PackedHead packHead(const at::Tensor& keys, const at::Tensor& values) {
    PackedHead head;
    head.channels = keys.size(1);
    for (std::int64_t first = 0; first < keys.size(0); first += tokensAtOnce) {
        const std::int64_t count = std::min(tokensAtOnce, keys.size(0) - first);
        head.chunks.push_back({count, packMatrix(keys.narrow(0, first, count), {}),
                               packMatrix(values.narrow(0, first, count).t(), {})});
    }
    return head;
}

AttentionScratch::AttentionScratch()
    : scores_(at::empty({rowsAtOnce, tokensAtOnce}))
    , weights_(at::empty({rowsAtOnce, tokensAtOnce}, at::kBFloat16)) {}

float* AttentionScratch::sums(std::int64_t channels) {
    return roomFor(sums_, channels);
}

float* AttentionScratch::part(std::int64_t channels) {
    return roomFor(part_, channels);
}

#if LOFTSCOPE_BF16_KERNELS

namespace {

__mmask16 firstOf(std::int64_t count) {
    return count >= vectorLength ? __mmask16{0xFFFF} : static_cast<__mmask16>((1U << count) - 1U);
}

/// Of the tokens seen so far: the largest score, and the sum of all 2^(score - largest).
struct Seen {
    float largest = -std::numeric_limits<float>::infinity();
    float sum = 0;
};

/// 2^(score - largest) of some more tokens of a row. Returns what the sums so far must be scaled
/// by.
LOFTSCOPE_AVX512_BF16 float weigh(const float* scores, std::int64_t count, Seen& seen,
                                  c10::BFloat16* weights) {
    const __m512 lowest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    __m512 largest = _mm512_set1_ps(seen.largest);
    for (std::int64_t i = 0; i < count; i += vectorLength)
        largest =
            _mm512_max_ps(largest, _mm512_mask_loadu_ps(lowest, firstOf(count - i), scores + i));
    const float top = _mm512_reduce_max_ps(largest);
    const __m512 shift = _mm512_set1_ps(top);
    __m512 sum = _mm512_setzero_ps();
    for (std::int64_t i = 0; i < count; i += vectorLength) {
        const __mmask16 mask = firstOf(count - i);
        const __m512 weight = _mm512_maskz_mov_ps(
            mask, exp2Of(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, scores + i), shift)));
        sum = _mm512_add_ps(sum, weight);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + i),
                            reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(weight)));
    }
    const float scale =
        _mm512_cvtss_f32(exp2Of(_mm512_set1_ps(std::max(seen.largest - top, -1000.0F))));
    seen.sum = seen.sum * scale + _mm512_reduce_add_ps(sum);
    seen.largest = top;
    return scale;
}

LOFTSCOPE_AVX512_BF16 void addScaled(float* sums, float scale, const float* part,
                                     std::int64_t stride) {
    const __m512 factor = _mm512_set1_ps(scale);
    for (std::int64_t c = 0; c < stride; c += vectorLength)
        _mm512_storeu_ps(sums + c, _mm512_fmadd_ps(_mm512_loadu_ps(sums + c), factor,
                                                   _mm512_loadu_ps(part + c)));
}

LOFTSCOPE_AVX512_BF16 void storeScaled(const float* sums, float scale, std::int64_t channels,
                                       c10::BFloat16* output) {
    const __m512 factor = _mm512_set1_ps(scale);
    for (std::int64_t c = 0; c < channels; c += vectorLength) {
        const __m512 value = _mm512_mul_ps(_mm512_loadu_ps(sums + c), factor);
        _mm256_mask_storeu_epi16(output + c, firstOf(channels - c),
                                 reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
    }
}

} // namespace

void attendRows(const HalfRows& queries, std::int64_t rows, const PackedHead& head,
                AttentionScratch& scratch, c10::BFloat16* output, std::int64_t outputStride) {
    const std::int64_t stride = paddedTo16(head.channels);
    float* sums = scratch.sums(head.channels);
    float* part = scratch.part(head.channels);
    for (std::int64_t first = 0; first < rows; first += rowsAtOnce) {
        const std::int64_t count = std::min(rowsAtOnce, rows - first);
        std::array<Seen, rowsAtOnce> seen{};
        for (std::size_t chunk = 0; chunk < head.chunks.size(); ++chunk) {
            const PackedHead::Tokens& tokens = head.chunks[chunk];
            multiplyRows({queries.values + first * queries.stride, queries.stride}, count,
                         tokens.keys, {Finish::Store, scratch.scores(), nullptr, tokensAtOnce});
            std::array<float, rowsAtOnce> scales{};
            for (std::int64_t row = 0; row < count; ++row)
                scales[static_cast<std::size_t>(row)] = weigh(
                    scratch.scores() + row * tokensAtOnce, tokens.count,
                    seen[static_cast<std::size_t>(row)], scratch.weights() + row * tokensAtOnce);
            multiplyRows({scratch.weights(), tokensAtOnce}, count, tokens.values,
                         {Finish::Store, chunk == 0 ? sums : part, nullptr, stride});
            if (chunk == 0) continue;
            for (std::int64_t row = 0; row < count; ++row)
                addScaled(sums + row * stride, scales[static_cast<std::size_t>(row)],
                          part + row * stride, stride);
        }
        for (std::int64_t row = 0; row < count; ++row)
            storeScaled(sums + row * stride, 1 / seen[static_cast<std::size_t>(row)].sum,
                        head.channels, output + (first + row) * outputStride);
    }
}

#else

void attendRows(const HalfRows&, std::int64_t, const PackedHead&, AttentionScratch&, c10::BFloat16*,
                std::int64_t) {
    throw std::logic_error("attendRows needs AVX-512 with bf16 products");
}

#endif

} // namespace loftscope
