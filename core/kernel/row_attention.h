// SPDX-License-Identifier: Apache-2.0
// softmax(q k^T) v for rows of queries, in one go: the weights never leave the caches. To be called
// only where hasBf16Products().
#pragma once

#include "core/kernel/bf16_product.h"
#include "core/kernel/packed_matrix.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace loftscope {

/// Keys and values of one head, some tokens at a time.
struct PackedHead {
    struct Tokens {
        std::int64_t count = 0;
        PackedMatrix keys;   ///< tokens by channels of a head
        PackedMatrix values; ///< channels of a head by tokens
    };
    std::int64_t channels = 0;
    std::vector<Tokens> chunks;
};

/// `keys`, `values`: tokens x channels.
PackedHead packHead(const at::Tensor& keys, const at::Tensor& values);

/// Room for intermediate values of one thread.
class AttentionScratch {
public:
    AttentionScratch();
    float* scores() { return scores_.mutable_data_ptr<float>(); }
    c10::BFloat16* weights() { return weights_.mutable_data_ptr<c10::BFloat16>(); }
    float* sums(std::int64_t channels);
    float* part(std::int64_t channels);

private:
    at::Tensor scores_;
    at::Tensor weights_;
    at::Tensor sums_;
    at::Tensor part_;
};

/// Queries of one head (`rows` rows, already scaled by log2(e) / sqrt(channels), an even number of
/// values each) to the head's part of `output`, whose rows start `outputStride` values apart.
void attendRows(const HalfRows& queries, std::int64_t rows, const PackedHead& head,
                AttentionScratch& scratch, c10::BFloat16* output, std::int64_t outputStride);

} // namespace loftscope
