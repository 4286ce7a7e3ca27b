// SPDX-License-Identifier: Apache-2.0
// A linear classifier of pixels (a 1 x 1 convolution) on frozen features.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/train/optimizer.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

struct ProbeOptions {
    std::int64_t steps = 500;
    std::int64_t batch = 4096;  ///< pixels per step
    double learningRate = 0.01; ///< peak; half a cosine down to 0
    OptimizerOptions optimizer{.weightDecay = 1e-4};
    /// Every channel is brought to mean 0 and deviation 1 over the training pixels. Without it a
    /// method whose features are merely larger or smaller learns faster or slower.
    bool standardise = true;
    std::uint64_t seed = 0;
};

struct LinearProbe {
    at::Tensor weight;           ///< K x C, fp32; standardisation is folded in
    at::Tensor bias;             ///< K
    double trainingLoss = 0;     ///< cross-entropy over all training pixels, at the end
    double trainingAccuracy = 0; ///< share of training pixels, at the end

    /// Class of every pixel of a C x h x w block: h x w, int64.
    at::Tensor classify(const at::Tensor& block) const;
};

/// Trains on N x C features with labels 0..K-1 (N, int64). The same pixels are drawn in the same
/// order for the same N and seed, whatever the features. Errors: InvalidArgument (no pixels),
/// Internal (diverged), Cancelled.
Result<LinearProbe> trainProbe(const at::Tensor& features, const at::Tensor& labels,
                               std::int64_t classes, const ProbeOptions& options,
                               const RunContext& context);

} // namespace loftscope
