// SPDX-License-Identifier: Apache-2.0
#include "core/train/optimizer.h"

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace loftscope {

Optimizer::Optimizer(StateDict parameters, const OptimizerOptions& options)
    : parameters_(std::move(parameters))
    , options_(options) {
    const c10::NoGradGuard noGrad;
    for (const auto& [key, parameter] : parameters_) {
        moments_[key] = {at::zeros_like(parameter), at::zeros_like(parameter)};
    }
}

void Optimizer::step(double learningRate) {
    const c10::NoGradGuard noGrad;
    ++steps_;
    const auto step = static_cast<double>(steps_);
    const double correction1 = 1 - std::pow(options_.beta1, step);
    const double correction2 = 1 - std::pow(options_.beta2, step);
    const auto momentum = [&](double at) {
        return options_.beta1 * (1 - 0.5 * std::pow(0.96, at * options_.momentumDecay));
    };
    const double mu = momentum(step);
    const double nextMu = momentum(step + 1);
    if (options_.kind == OptimizerKind::NAdam) momentumProduct_ *= static_cast<float>(mu);

    for (auto& [key, parameter] : parameters_) {
        at::Tensor gradient = parameter.grad();
        if (!gradient.defined()) continue;
        auto& [first, second] = moments_.find(key)->second;
        const bool isMatrix = key.ends_with(".weight") && parameter.dim() >= 2;
        if (options_.weightDecay != 0 && (isMatrix || !options_.decayMatricesOnly)) {
            if (options_.kind == OptimizerKind::AdamW) {
                parameter.mul_(1 - learningRate * options_.weightDecay);
            } else {
                gradient = gradient.add(parameter, options_.weightDecay);
            }
        }
        first.lerp_(gradient, 1 - options_.beta1);
        second.mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
        if (options_.kind == OptimizerKind::AdamW) {
            const at::Tensor denominator =
                second.sqrt().div_(std::sqrt(correction2)).add_(options_.epsilon);
            parameter.addcdiv_(first, denominator, -learningRate / correction1);
        } else {
            const at::Tensor denominator = second.div(correction2).sqrt_().add_(options_.epsilon);
            const double product = momentumProduct_;
            parameter.addcdiv_(gradient, denominator, -learningRate * (1 - mu) / (1 - product));
            parameter.addcdiv_(first, denominator, -learningRate * nextMu / (1 - product * nextMu));
        }
    }
}

void Optimizer::zeroGradients() {
    for (auto& [key, parameter] : parameters_)
        parameter.mutable_grad().reset();
}

StateDict Optimizer::state() const {
    StateDict state;
    for (const auto& [key, moments] : moments_) {
        state[key + ".first"] = moments.first;
        state[key + ".second"] = moments.second;
    }
    state["optimizer.steps"] = at::full({1}, steps_, at::kLong);
    state["optimizer.momentum_product"] = at::full({1}, momentumProduct_, at::kFloat);
    return state;
}

Result<void> Optimizer::restore(const StateDict& state) {
    const auto wanted = this->state();
    for (const auto& [key, tensor] : wanted) {
        const auto found = state.find(key);
        if (found == state.end() || found->second.sizes() != tensor.sizes()) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("The optimiser's '{}' is missing or of another shape: resume "
                                    "with the options that the run began with.",
                                    key));
        }
    }
    const c10::NoGradGuard noGrad;
    for (auto& [key, moments] : moments_) {
        moments.first.copy_(state.find(key + ".first")->second);
        moments.second.copy_(state.find(key + ".second")->second);
    }
    steps_ = state.find("optimizer.steps")->second.item<std::int64_t>();
    momentumProduct_ = state.find("optimizer.momentum_product")->second.item<float>();
    return {};
}

double clipGradientNorm(const StateDict& parameters, double maximum) {
    const c10::NoGradGuard noGrad;
    std::vector<at::Tensor> norms;
    for (const auto& [key, parameter] : parameters) {
        if (const at::Tensor& gradient = parameter.grad(); gradient.defined())
            norms.push_back(gradient.norm());
    }
    if (norms.empty()) return 0;
    // Fetched together: on a GPU every number that is asked for is waited for.
    const at::Tensor each = at::stack(norms).to(at::kCPU, at::kDouble);
    const auto* first = each.const_data_ptr<double>();
    const double norm = std::sqrt(std::inner_product(first, first + each.numel(), first, 0.0));
    const double share = maximum / (norm + 1e-6);
    if (share < 1) {
        for (const auto& [key, parameter] : parameters) {
            if (at::Tensor gradient = parameter.grad(); gradient.defined()) gradient.mul_(share);
        }
    }
    return norm;
}

double LearningRateSchedule::factor(std::int64_t step) const {
    if (step < warmUp) return static_cast<double>(step + 1) / static_cast<double>(warmUp);
    if (total <= warmUp) return 1;
    const double progress =
        std::min(1.0, static_cast<double>(step - warmUp) / static_cast<double>(total - warmUp));
    return finalShare + (1 - finalShare) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

} // namespace loftscope
