// SPDX-License-Identifier: Apache-2.0
// A high-resolution feature map as a field: evaluated on demand, rectangle by rectangle, never held
// whole.
#pragma once

#include "core/backbone/backbone.h"
#include "core/base/error.h"
#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

namespace loftscope {

/// What an upsampler may look at besides the features.
struct Guidance {
    Extent extent;      ///< size of the output that is wanted
    at::Tensor picture; ///< 3 x H x W fp32, normalised with ImageNet's mean and deviation, of that
                        ///< extent (methods that average it take any other, too); undefined where
                        ///< the method needs none
};

class FeatureField {
public:
    virtual ~FeatureField() = default;

    /// Size of the map: the guidance's extent, but a method with a fixed factor has its own.
    virtual Extent extent() const = 0;
    virtual std::int64_t channels() const = 0;
    /// Size of the low-resolution grid that the field was made from.
    virtual Extent gridExtent() const = 0;

    /// Features of `rect` (inside the extent): C x h x w, fp32. Exact: independent of how the field
    /// is cut into rectangles (up to summation order). Throws as LibTorch does; callers are stages
    /// run under `guarded`. Long evaluations heed the thread's StopScope.
    virtual at::Tensor evaluate(const Rect& rect) const = 0;

    /// Features of every `stride`-th pixel of `rect` in both directions, from its first on:
    /// C x ceil(h / stride) x ceil(w / stride). What `evaluate` has there (in half precision up to
    /// its rounding), for less.
    virtual at::Tensor evaluateEvery(const Rect& rect, std::int64_t stride) const;

    /// How much each low-resolution token contributes to `pixel`: blocks x heads x h x w.
    /// Cross-attention weights (each sums to 1) or an interpolation's taps (1 x 1 x h x w; bicubic
    /// has negative ones). Nothing where the method has no such weights.
    virtual std::optional<at::Tensor> attend(const Pixel& pixel) const = 0;
};

/// A feature upsampler with its weights, if it has any. Immutable after loading.
class Upsampler {
public:
    virtual ~Upsampler() = default;
    virtual std::string name() const = 0; ///< as shown to the user: "LoftUp", "bilinear"
    virtual bool needsGuidance() const = 0;
    /// Does the per-picture work once; checks `context` where that takes long. Errors: Mismatch
    /// (channels), InvalidArgument (empty grid or output), Cancelled.
    virtual Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low,
                                                       const Guidance& guidance,
                                                       const RunContext& context = {}) const = 0;
};

} // namespace loftscope
