// SPDX-License-Identifier: Apache-2.0
// AdamW and NAdam, in PyTorch's arithmetic (torch.optim of 2.x, single-tensor form), over named
// parameters; clipping of the gradient's norm; learning-rate schedules.
#pragma once

#include "core/base/error.h"
#include "core/weights/state_dict.h"

#include <cstdint>
#include <map>
#include <string>

namespace loftscope {

enum class OptimizerKind { AdamW, NAdam };

struct OptimizerOptions {
    OptimizerKind kind = OptimizerKind::AdamW;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    double weightDecay = 0; ///< AdamW: decoupled; NAdam: added to the gradient (PyTorch's defaults)
    /// Only of parameters called `*.weight` with two dimensions or more: no norms, biases, tokens
    /// or position tables.
    bool decayMatricesOnly = false;
    double momentumDecay = 0.004; ///< NAdam alone
};

/// Holds the moments of parameters that it updates in place.
class Optimizer {
public:
    /// `parameters` are shared, not copied; each must be a leaf that requires gradients.
    Optimizer(StateDict parameters, const OptimizerOptions& options);

    /// One step with the gradients that the parameters hold; a parameter without gradient stays as
    /// it is.
    void step(double learningRate);
    void zeroGradients();
    std::int64_t steps() const { return steps_; }

    /// Moments and counters, bit-exact: `KEY.first`, `KEY.second` for every parameter and
    /// `optimizer.*` for the rest.
    StateDict state() const;
    /// Errors: Mismatch (a moment is missing or misshapen); the optimiser is then unchanged.
    Result<void> restore(const StateDict& state);

private:
    struct Moments {
        at::Tensor first;
        at::Tensor second;
    };
    StateDict parameters_;
    OptimizerOptions options_;
    std::map<std::string, Moments, std::less<>> moments_;
    std::int64_t steps_ = 0;
    float momentumProduct_ = 1; ///< NAdam's running product of momenta; fp32 as in PyTorch
};

/// Scales the gradients of all parameters so that their joint 2-norm is at most `maximum`; returns
/// the norm before.
double clipGradientNorm(const StateDict& parameters, double maximum);

/// Linear warm-up to 1 over `warmUp` steps, then constant, or a half cosine down to `finalShare` at
/// step `total` (0: none).
struct LearningRateSchedule {
    std::int64_t warmUp = 0;
    std::int64_t total = 0;
    double finalShare = 0;
    /// Factor of the peak learning rate for the 0-based `step`.
    double factor(std::int64_t step) const;
};

} // namespace loftscope
