// SPDX-License-Identifier: Apache-2.0
#include "core/eval/linear_probe.h"

#include "core/base/guard.h"
#include "core/train/counter_random.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr std::int64_t pieceOfPixels = 1 << 16; // bounds temporaries

at::Tensor drawnPixels(std::int64_t count, std::int64_t total, std::uint64_t seed,
                       std::int64_t step) {
    CounterRandom random(seed, RandomPurpose::ProbeBatch, static_cast<std::uint64_t>(step));
    at::Tensor index = at::empty({count}, at::kLong);
    auto* const data = index.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < count; ++i)
        data[i] = random.below(total);
    return index;
}

struct ChannelStatistics {
    at::Tensor mean;    ///< C, fp32
    at::Tensor inverse; ///< C: 1 / deviation
};

ChannelStatistics channelStatistics(const at::Tensor& features) {
    const at::Tensor mean = features.mean(0);
    at::Tensor squares = at::zeros_like(mean, at::kDouble);
    for (std::int64_t begin = 0; begin < features.size(0); begin += pieceOfPixels) {
        const at::Tensor piece =
            features.slice(0, begin, std::min(begin + pieceOfPixels, features.size(0)));
        squares += (piece - mean).square().sum(0).to(at::kDouble);
    }
    const at::Tensor deviation =
        (squares / static_cast<double>(features.size(0))).sqrt().to(at::kFloat);
    // A constant channel says nothing; it must not become noise.
    return {mean, deviation.clamp_min(1e-6).reciprocal()};
}

} // namespace

at::Tensor LinearProbe::classify(const at::Tensor& block) const {
    const at::NoGradGuard noGrad;
    const at::Tensor logits = at::matmul(weight, block.flatten(1)) + bias.unsqueeze(1);
    return logits.argmax(0).view({block.size(1), block.size(2)});
}

Result<LinearProbe> trainProbe(const at::Tensor& features, const at::Tensor& labels,
                               std::int64_t classes, const ProbeOptions& options,
                               const RunContext& context) {
    if (features.size(0) == 0)
        return fail(ErrorCode::InvalidArgument,
                    "The training pictures have no labelled pixel to learn from.");
    return guarded("training the linear probe", [&]() -> Result<LinearProbe> {
        const std::int64_t pixels = features.size(0);
        const std::int64_t channels = features.size(1);
        ChannelStatistics statistics{at::zeros({channels}, features.options()),
                                     at::zeros({channels}, features.options()) + 1};
        if (options.standardise) statistics = channelStatistics(features);

        StateDict parameters{{"weight", at::zeros({classes, channels}, features.options())},
                             {"bias", at::zeros({classes}, features.options())}};
        for (auto& [name, tensor] : parameters)
            tensor.requires_grad_(true);
        Optimizer optimizer(parameters, options.optimizer);
        const LearningRateSchedule schedule{.warmUp = 0, .total = options.steps, .finalShare = 0};
        for (std::int64_t step = 0; step < options.steps; ++step) {
            context.throwIfStopped();
            const at::Tensor index =
                drawnPixels(options.batch, pixels, options.seed, step).to(features.device());
            const at::Tensor x =
                (features.index_select(0, index) - statistics.mean) * statistics.inverse;
            const at::Tensor loss = at::cross_entropy_loss(
                at::linear(x, parameters.at("weight"), parameters.at("bias")),
                labels.index_select(0, index));
            optimizer.zeroGradients();
            loss.backward();
            optimizer.step(options.learningRate * schedule.factor(step));
        }

        const at::NoGradGuard noGrad;
        LinearProbe probe;
        probe.weight = parameters.at("weight").detach() * statistics.inverse;
        probe.bias = parameters.at("bias").detach() - at::matmul(probe.weight, statistics.mean);
        for (std::int64_t begin = 0; begin < pixels; begin += pieceOfPixels) {
            const std::int64_t end = std::min(begin + pieceOfPixels, pixels);
            const at::Tensor truth = labels.slice(0, begin, end);
            const at::Tensor logits =
                at::linear(features.slice(0, begin, end), probe.weight, probe.bias);
            probe.trainingLoss += at::cross_entropy_loss(logits, truth).item<double>() *
                                  static_cast<double>(end - begin);
            probe.trainingAccuracy +=
                static_cast<double>((logits.argmax(1) == truth).sum().item<std::int64_t>());
        }
        probe.trainingLoss /= static_cast<double>(pixels);
        probe.trainingAccuracy /= static_cast<double>(pixels);
        if (!std::isfinite(probe.trainingLoss))
            return fail(ErrorCode::Internal, "The linear probe diverged: its loss is not finite; "
                                             "use a lower learning rate.");
        return probe;
    });
}

} // namespace loftscope
