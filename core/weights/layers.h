// SPDX-License-Identifier: Apache-2.0
// Parameters of the layers that models are built of, read from a checkpoint by their names.
#pragma once

#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>

namespace loftscope {

/// y = x W^T + b over the last dimension, in the type of the weight.
struct Linear {
    at::Tensor weight; ///< out x in
    at::Tensor bias;   ///< out; undefined where the layer has none

    at::Tensor operator()(const at::Tensor& x) const;
    /// The same layer in another type.
    Linear to(c10::ScalarType type) const;
};

/// Normalisation over the last dimension.
struct LayerNorm {
    at::Tensor weight;
    at::Tensor bias;
    double eps = 1e-5;

    at::Tensor operator()(const at::Tensor& x) const;
};

/// Reads `weight` and, unless `hasBias` is false, `bias` of the scope.
Linear readLinear(const WeightScope& scope, std::int64_t out, std::int64_t in, c10::Device device,
                  bool hasBias = true);
LayerNorm readLayerNorm(const WeightScope& scope, std::int64_t channels, double eps,
                        c10::Device device);

/// Splits ... x N x (heads * d) into ... x heads x N x d.
at::Tensor splitHeads(const at::Tensor& x, std::int64_t heads);
/// The inverse of splitHeads, of heads x N x d.
at::Tensor joinHeads(const at::Tensor& x);

/// softmax(q k^T / sqrt(d)) v for heads x N x d queries and heads x M x d keys and values, without
/// keeping the weights.
at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);
/// The weights themselves, fp32: heads x N x M.
at::Tensor attentionWeights(const at::Tensor& query, const at::Tensor& key);

} // namespace loftscope
