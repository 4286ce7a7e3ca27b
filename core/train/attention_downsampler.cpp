// SPDX-License-Identifier: Apache-2.0
#include "core/train/attention_downsampler.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace loftscope {

namespace {

at::Generator generatorOf(CounterRandom& random) {
    return at::make_generator<at::CPUGeneratorImpl>(random.next());
}

} // namespace

AttentionDownsampler AttentionDownsampler::create(std::int64_t channels, std::int64_t patch,
                                                  CounterRandom random, const at::Device& device) {
    const at::Generator generator = generatorOf(random);
    const double bound = 1 / std::sqrt(static_cast<double>(channels));
    const auto parameter = [&](const at::Tensor& values) {
        return values.to(device).set_requires_grad(true);
    };
    AttentionDownsampler downsampler;
    downsampler.saliencyWeight =
        parameter(at::empty({channels}).uniform_(-bound, bound, generator));
    downsampler.saliencyBias = parameter(at::empty({1}).uniform_(-bound, bound, generator));
    downsampler.scale = parameter(at::empty({patch, patch}).normal_(1, 0.01, generator));
    downsampler.offset = parameter(at::empty({patch, patch}).normal_(0, 0.01, generator));
    return downsampler;
}

StateDict AttentionDownsampler::parameters() const {
    return {{"downsampler.saliency.weight", saliencyWeight},
            {"downsampler.saliency.bias", saliencyBias},
            {"downsampler.scale", scale},
            {"downsampler.offset", offset}};
}

at::Tensor AttentionDownsampler::saliency(const at::Tensor& features) const {
    const at::Tensor flat = features.flatten(2).transpose(1, 2); // B x N x C
    return (at::matmul(flat, saliencyWeight) + saliencyBias)
        .reshape({features.size(0), 1, features.size(2), features.size(3)});
}

at::Tensor AttentionDownsampler::pool(const at::Tensor& values, const at::Tensor& saliency,
                                      CounterRandom* random) const {
    const std::int64_t batch = values.size(0);
    const std::int64_t channels = values.size(1);
    const std::int64_t side = patch();
    const std::int64_t rows = values.size(2) / side;
    const std::int64_t columns = values.size(3) / side;
    const at::Tensor padded = at::replication_pad2d(at::cat({values, saliency}, 1), {2, 2, 2, 2});
    // Rows, then columns: the same mean for less than half the additions.
    const at::Tensor blurred =
        at::avg_pool2d(at::avg_pool2d(padded, {5, 1}, {1, 1}), {1, 5}, {1, 1});
    // Patches do not overlap: window p of patch (i, j) is a plain re-arrangement. B x (P + 1) x h x
    // w x k * k
    const at::Tensor windows = blurred.reshape({batch, channels + 1, rows, side, columns, side})
                                   .permute({0, 1, 2, 4, 3, 5})
                                   .reshape({batch, channels + 1, rows, columns, side * side});
    at::Tensor logits = windows.select(1, channels);
    if (random != nullptr && dropout > 0) {
        const at::Generator generator = generatorOf(*random);
        const at::Tensor kept = at::rand({batch, rows, columns, 1}, generator).gt(dropout);
        logits = logits * kept.to(logits.options());
    }
    const at::Tensor weights = at::softmax(logits * scale.reshape({-1}) + offset.reshape({-1}), -1);
    return (windows.narrow(1, 0, channels) * weights.unsqueeze(1)).sum(-1);
}

} // namespace loftscope
