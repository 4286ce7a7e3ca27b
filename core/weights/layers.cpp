// SPDX-License-Identifier: Apache-2.0
#include "core/weights/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <cmath>

namespace loftscope {

at::Tensor Linear::operator()(const at::Tensor& x) const {
    return at::linear(x, weight, bias);
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
    return x.view({x.size(0), heads, x.size(1) / heads}).transpose(0, 1);
}

at::Tensor joinHeads(const at::Tensor& x) {
    return x.transpose(0, 1).reshape({x.size(1), x.size(0) * x.size(2)});
}

at::Tensor attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
    return at::scaled_dot_product_attention(query.unsqueeze(0), key.unsqueeze(0),
                                            value.unsqueeze(0))
        .squeeze(0);
}

at::Tensor attentionWeights(const at::Tensor& query, const at::Tensor& key) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(2)));
    return at::softmax(at::matmul(query * scale, key.transpose(1, 2)), -1);
}

} // namespace loftscope
