// SPDX-License-Identifier: Apache-2.0
// One number per pixel of a feature field.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/upsample/feature_field.h"

#include <ATen/core/Tensor.h>

#include <functional>

namespace loftscope {

/// Calls `each` for rectangles that cover the field once: how a map is walked over is the caller's.
using FieldWalk = std::function<void(
    const FeatureField& field, const std::function<void(const Rect&, const at::Tensor&)>& each)>;

/// Euclidean length of every feature: H x W. Throws what the walk throws.
at::Tensor normMap(const FeatureField& field, const FieldWalk& walk);

/// Cosine of `direction` (D) with what `seen` makes of every feature (C x h x w to D x h x w): H x
/// W in -1..1; 0 where either is zero. Throws what the walk throws.
at::Tensor directionMap(const FeatureField& field, const at::Tensor& direction,
                        const std::function<at::Tensor(const at::Tensor&)>& seen,
                        const FieldWalk& walk);

/// 1 - cosine of the two fields' features at every pixel: H x W in 0..2; 1 where either is zero.
/// Errors: Mismatch (extents or channels differ). Throws what the walk throws.
Result<at::Tensor> cosineDistanceMap(const FeatureField& field, const FeatureField& other,
                                     const FieldWalk& walk);

} // namespace loftscope
