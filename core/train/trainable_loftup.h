// SPDX-License-Identifier: Apache-2.0
// LoftUp with gradients: the same network as core/upsample/loftup.h (which folds, tiles and never
// differentiates), over batches, with parameters under their checkpoint names.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/train/counter_random.h"
#include "core/train/process_group.h"
#include "core/upsample/loftup_spec.h"
#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

namespace loftscope {

/// The published architecture for a backbone of `channels` channels.
LoftUpSpec publishedLoftUp(std::int64_t channels);

struct LoftUpPass {
    /// Training: BatchNorm uses the batch's own statistics and gathers them. Otherwise the running
    /// ones.
    bool training = false;
    /// Type of convolutions, matrix products and attention: fp32, or bf16 with fp32 parameters,
    /// norms and residuals.
    at::ScalarType arithmetic = at::kFloat;
    /// Training: blocks forget what they computed and compute it again for the gradients; less
    /// memory, a third slower.
    bool checkpointing = false;
};

class TrainableLoftUp {
public:
    /// Fresh weights, initialised as PyTorch initialises the published modules.
    static TrainableLoftUp create(const LoftUpSpec& spec, CounterRandom random,
                                  c10::Device device = c10::kCPU);
    /// Errors: Mismatch naming what is missing or misshapen; Unsupported (learned token positions).
    static Result<TrainableLoftUp> fromState(const StateDict& state, const LoftUpSpec& spec,
                                             c10::Device device = c10::kCPU);

    const LoftUpSpec& spec() const { return spec_; }
    /// What the optimiser changes: fp32 leaves, by checkpoint name.
    const StateDict& parameters() const { return parameters_; }
    /// All of a published checkpoint: parameters, running statistics, channelnorm. Shares memory
    /// with the model.
    StateDict state() const;

    /// Makes the model blind to where a pixel is: sines and cosines of row and column become 0. A
    /// key of its own says so in the state, so that the exported model is blind as well.
    void hideCoordinates();

    /// The backbone's features under the channel normalisation that LoftUp sees and is compared in;
    /// no gradients. `low`: B x C x h x w.
    at::Tensor channelNorm(const at::Tensor& low) const;

    /// High-resolution features. `normalised`: B x C x h x w, after channelNorm. `guidance`: B x 3
    /// x H x W; its colour range is taken per photo, as at inference. Returns B x C x H x W, fp32.
    at::Tensor forward(const at::Tensor& normalised, const at::Tensor& guidance,
                       const LoftUpPass& pass) const;
    /// The same for the pixels of `window` alone, B x C x h x w: exactly what the whole would have
    /// there, except that in training BatchNorm sees the window's pixels only.
    at::Tensor forward(const at::Tensor& normalised, const at::Tensor& guidance,
                       const LoftUpPass& pass, const Rect& window) const;

    /// Moves the running statistics a tenth of the way towards the mean of what training passes
    /// gathered since the last call, in all processes. Once per optimiser step, however many passes
    /// it was made of.
    Result<void> updateStatistics(const ProcessGroup& group = {});
    /// Every parameter and running statistic becomes decay * own + (1 - decay) * other's.
    void average(const TrainableLoftUp& other, double decay);
    /// An independent copy.
    TrainableLoftUp clone() const;

private:
    struct BatchStatistics {
        at::Tensor mean;
        at::Tensor variance; ///< unbiased
        std::int64_t passes = 0;
    };
    TrainableLoftUp() = default;
    const at::Tensor& parameter(const std::string& key) const;
    at::Tensor convolution(const at::Tensor& x, std::int64_t index, const LoftUpPass& pass) const;
    at::Tensor block(const at::Tensor& x, const at::Tensor& tokens, std::int64_t index,
                     const LoftUpPass& pass) const;

    LoftUpSpec spec_;
    StateDict parameters_;
    StateDict
        buffers_; ///< running statistics (`num_batches_tracked` too) and the frozen channelnorm
    mutable std::map<std::int64_t, BatchStatistics>
        gathered_; ///< by the BatchNorm's index in `first_conv`
};

} // namespace loftscope
