// SPDX-License-Identifier: Apache-2.0
#include "core/train/class_heads.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>

namespace loftscope {

namespace {

/// One learning rate serves heads and model; scores so many times as steep let the heads keep up.
constexpr double steepness = 5;

} // namespace

at::Tensor classLoss(const at::Tensor& scores, const at::Tensor& labels) {
    const at::Tensor chosen = labels.flatten();
    const at::Tensor counted = chosen.ge(0);
    if (!counted.any().item<bool>()) return scores.sum() * 0;
    const at::Tensor pixels = at::bincount(chosen.masked_select(counted)).to(scores.scalar_type());
    const at::Tensor index = chosen.clamp_min(0);
    const at::Tensor missed =
        -at::log_softmax(scores.flatten(1), 0).gather(0, index.unsqueeze(0))[0];
    const at::Tensor weights =
        pixels.index_select(0, index).rsqrt().masked_fill(counted.logical_not(), 0);
    return (missed * weights).sum() / pixels.sqrt().sum();
}

ClassHeads ClassHeads::create(std::int64_t sets, std::int64_t channels, c10::Device device) {
    ClassHeads heads;
    if (sets == 0) return heads;
    const at::TensorOptions options = at::TensorOptions(at::kFloat).device(device);
    heads.weight = at::zeros({sets, classes, channels}, options).requires_grad_();
    heads.bias = at::zeros({sets, classes}, options).requires_grad_();
    return heads;
}

at::Tensor ClassHeads::scores(const at::Tensor& features, std::int64_t set) const {
    const at::Tensor flat =
        at::addmm(bias.select(0, set).unsqueeze(1), weight.select(0, set), features.flatten(1));
    return flat.view({classes, features.size(1), features.size(2)}) * steepness;
}

StateDict ClassHeads::parameters() const {
    if (sets() == 0) return {};
    return {{"class_heads.weight", weight}, {"class_heads.bias", bias}};
}

} // namespace loftscope
