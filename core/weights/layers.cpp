// SPDX-License-Identifier: Apache-2.0
#include "core/weights/layers.h"

#include "core/weights/matrix_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

at::Tensor Linear::operator()(const at::Tensor& x) const {
    return linearProduct(x, weight, bias);
}

Linear Linear::to(c10::ScalarType type) const {
    return {weight.to(type), bias.defined() ? bias.to(type) : at::Tensor()};
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
    return at::layer_norm(x, weight.sizes(), weight, bias, eps);
}

Linear readLinear(const WeightScope& scope, std::int64_t out, std::int64_t in, c10::Device device,
                  bool hasBias) {
    return {scope("weight", {out, in}).to(device),
            hasBias ? scope("bias", {out}).to(device) : at::Tensor()};
}

LayerNorm readLayerNorm(const WeightScope& scope, std::int64_t channels, double eps,
                        c10::Device device) {
    return {scope("weight", {channels}).to(device), scope("bias", {channels}).to(device), eps};
}

at::Tensor splitHeads(const at::Tensor& x, std::int64_t heads) {
    return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(-3, -2);
}

at::Tensor joinHeads(const at::Tensor& x) {
    return x.transpose(0, 1).reshape({x.size(1), x.size(0) * x.size(2)});
}

namespace {

/// Weights that are looked at together: few enough to stay in a processor's caches.
constexpr std::int64_t weightsAtOnce = 1 << 19;

/// Head by head and a few queries at a time, as two plain products: LibTorch's fused attention runs
/// at a third of their rate on AMD's processors (docs/performance.md).
at::Tensor attendInProducts(const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(2)));
    const std::int64_t rows = query.size(1);
    const std::int64_t step = std::max<std::int64_t>(16, weightsAtOnce / key.size(1));
    at::Tensor result = at::empty({query.size(0), rows, value.size(2)}, value.options());
    for (std::int64_t head = 0; head < query.size(0); ++head) {
        const at::Tensor keys = key.select(0, head).contiguous();
        const at::Tensor values = value.select(0, head).t().contiguous();
        for (std::int64_t row = 0; row < rows; row += step) {
            const std::int64_t count = std::min(step, rows - row);
            const at::Tensor scaled = query.select(0, head).narrow(0, row, count) * scale;
            const at::Tensor weights = linearProduct(scaled, keys, {}).softmax(-1);
            result.select(0, head).narrow(0, row, count).copy_(linearProduct(weights, values, {}));
        }
    }
    return result;
}

} // namespace

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
    if (key.is_cpu()) return attendInProducts(query, key, value);
    return at::scaled_dot_product_attention(query.unsqueeze(0), key.unsqueeze(0),
                                            value.unsqueeze(0))
        .squeeze(0);
}

at::Tensor attentionWeights(const at::Tensor& query, const at::Tensor& key) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(2)));
    return at::softmax(at::matmul(query.to(at::kFloat) * scale, key.to(at::kFloat).transpose(1, 2)),
                       -1);
}

} // namespace loftscope
