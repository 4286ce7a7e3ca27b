// SPDX-License-Identifier: Apache-2.0
#include "core/train/training_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace loftscope {

Result<void> BatchShare::check() const {
    if (accumulation % size == 0) return {};
    return fail(ErrorCode::InvalidArgument,
                fmt::format("{} batches per step cannot be shared out over {} processes: use a "
                            "multiple of {} with --accumulate.",
                            accumulation, size, size));
}

namespace {

/// Sums gradients and losses over the processes.
Result<void> sumOverProcesses(const StateDict& trained, const ProcessGroup& group,
                              LossReport& losses) {
    if (group.size() == 1) return {};
    std::vector<at::Tensor> gradients;
    for (const auto& [key, parameter] : trained) {
        if (!parameter.grad().defined())
            parameter.mutable_grad() = at::zeros_like(parameter).detach();
        gradients.push_back(parameter.grad());
    }
    LOFTSCOPE_CHECK(group.sum(gradients));
    const at::Tensor values =
        at::empty({static_cast<std::int64_t>(losses.size())}, at::TensorOptions(at::kDouble));
    auto* at = values.mutable_data_ptr<double>();
    for (const auto& [name, value] : losses)
        *at++ = value;
    LOFTSCOPE_CHECK(group.sum({values}));
    const auto* summed = values.const_data_ptr<double>();
    for (auto& [name, value] : losses)
        value = *summed++;
    return {};
}

} // namespace

Result<StepReport> takeStep(Optimizer& optimizer, const StateDict& trained,
                            const ProcessGroup& group, const StepOptions& options,
                            const std::function<Result<BatchLoss>(std::int64_t)>& loss,
                            const RunContext& context) {
    const BatchShare& share = options.share;
    LOFTSCOPE_CHECK(share.check());
    StepReport report;
    const std::int64_t done = optimizer.steps();
    const auto weight = 1.0 / static_cast<double>(share.accumulation);
    optimizer.zeroGradients();
    for (std::int64_t own = 0; own < share.batches(); ++own) {
        context.throwIfStopped();
        LOFTSCOPE_TRY(BatchLoss batch, loss(share.batchIndex(done * share.batches() + own)));
        batch.parts["total"] = batch.total.item<double>();
        if (!std::isfinite(batch.parts["total"])) {
            return fail(ErrorCode::Internal,
                        fmt::format("The loss of step {} is not finite: resume from the last "
                                    "checkpoint with a smaller learning rate.",
                                    done + 1));
        }
        (batch.total * weight).backward();
        for (const auto& [name, value] : batch.parts)
            report.losses[name] += value * weight;
    }
    LOFTSCOPE_CHECK(sumOverProcesses(trained, group, report.losses));
    report.gradientNorm = clipGradientNorm(
        trained, options.clip > 0 ? options.clip : std::numeric_limits<double>::infinity());
    report.learningRate = options.learningRate;
    optimizer.step(report.learningRate);
    optimizer.zeroGradients();
    report.step = optimizer.steps();
    return report;
}

void addPrefixed(StateDict& state, const std::string& prefix, const StateDict& part) {
    for (const auto& [key, tensor] : part)
        state[prefix + key] = tensor.detach();
}

StateDict withoutPrefix(const StateDict& state, const std::string& prefix) {
    StateDict found;
    for (const auto& [key, tensor] : state) {
        if (key.starts_with(prefix)) found[key.substr(prefix.size())] = tensor;
    }
    return found;
}

Result<void> copyState(const StateDict& into, const StateDict& from, const std::string& except) {
    const c10::NoGradGuard noGrad;
    for (const auto& [key, tensor] : into) {
        const auto found = from.find(key);
        if (found == from.end() || found->second.sizes() != tensor.sizes()) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("The checkpoint's '{}' is missing or of another shape: resume "
                                    "with the options that the run began with.",
                                    key));
        }
    }
    for (const auto& [key, tensor] : into) {
        if (!key.starts_with(except)) tensor.copy_(from.find(key)->second);
    }
    return {};
}

} // namespace loftscope
