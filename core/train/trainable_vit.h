// SPDX-License-Identifier: Apache-2.0
// A plain vision transformer with gradients: the same network as core/backbone/dinov2.h, over
// batches, with parameters under DINOv2's hub names, so that what it exports is loaded as any other
// backbone.
#pragma once

#include "core/backbone/vit_spec.h"
#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/train/counter_random.h"
#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

namespace loftscope {

/// The numbers of a fresh ViT. Heads are 64 channels wide, as everywhere in this family.
struct VitSize {
    std::int64_t patch = 16;
    std::int64_t width = 192;
    std::int64_t depth = 12;
    std::int64_t grid = 14;        ///< side of the learned position table
    double mlp = 4;                ///< channels inside the MLP, relative to the width
    double layerScale = 0.1;       ///< initial value; 0: no LayerScale
    std::vector<StemStage> stem{}; ///< convolutions before the patch embedding
    /// Errors: InvalidArgument.
    Result<VitSpec> spec() const;
};

class TrainableVit {
public:
    /// Fresh weights: truncated normal of deviation 0.02, biases zero, as DINOv2 begins.
    static TrainableVit create(const VitSize& size, const VitSpec& spec, CounterRandom random,
                               c10::Device device = c10::kCPU);
    /// `state` under hub names. Errors: Mismatch naming what is missing or misshapen; Unsupported
    /// (SwiGLU).
    static Result<TrainableVit> fromState(const StateDict& state, const VitSpec& spec,
                                          c10::Device device = c10::kCPU);

    const VitSpec& spec() const { return spec_; }
    /// What the optimiser changes: fp32 leaves, by checkpoint name.
    const StateDict& parameters() const { return parameters_; }
    /// Shares memory with the model.
    StateDict state() const;
    /// A file's content, fp16, with the mask token that tells the hub's layout from others.
    StateDict exported() const;

    /// Patch tokens after the final norm, row by row: B x (H/patch * W/patch) x C, fp32.
    /// `pictures`: B x 3 x H x W, normalised. `arithmetic`: of convolutions, matrix products and
    /// attention; norms and residuals stay fp32.
    at::Tensor forward(const at::Tensor& pictures, at::ScalarType arithmetic = at::kFloat) const;

    /// Every parameter becomes decay * own + (1 - decay) * other's.
    void average(const TrainableVit& other, double decay);
    /// An independent copy.
    TrainableVit clone() const;

private:
    TrainableVit() = default;
    at::Tensor block(const at::Tensor& x, std::int64_t index, at::ScalarType arithmetic) const;

    VitSpec spec_;
    StateDict parameters_;
};

} // namespace loftscope
