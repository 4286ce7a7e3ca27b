// SPDX-License-Identifier: Apache-2.0
// What a student has to predict: a teacher's features, whitened, at the centres of its own tokens.
#pragma once

#include "core/analysis/pca.h"
#include "core/base/geometry.h"
#include "core/train/sample_stream.h"
#include "core/train/teacher.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

/// Principal components of a teacher's features, brought to similar sizes: component i is divided
/// by sqrt(variance_i + 0.02 variance_1), so that the few large ones do not rule and noise is not
/// blown up.
struct Whitening {
    at::Tensor mean;       ///< C, fp32
    at::Tensor directions; ///< k x C, fp32: scaled components
    at::Tensor variance;   ///< 1, fp32: mean variance of the k results; 0: not fitted yet

    static Whitening unfitted(std::int64_t channels, std::int64_t dims);
    static Whitening from(const Moments& moments, std::int64_t dims);
    /// B x C x h x w to B x h x w x k, on the map's device.
    at::Tensor apply(const at::Tensor& map) const;
};

/// A whitened map of one picture.
struct TargetMap {
    at::Tensor values; ///< h x w x k, fp32, contiguous, on the CPU
    CellGrid cells;
};

/// Writes what the student's `tokens` (row by row, k values each) see of `map`, which is of the
/// whole photo, when the student is shown `region` of it: bilinear between the cells' centres,
/// constant beyond the outermost.
void sampleAtTokens(const TargetMap& map, const CropRegion& region, const Extent& tokens,
                    float* out);

/// One target's loss: mean squared difference over `variance`, and 1 - cosine similarity per token.
/// `predicted`, `wanted`: B x N x k.
struct DistillationLoss {
    at::Tensor squared;
    at::Tensor cosine;
};
DistillationLoss distillationLoss(const at::Tensor& predicted, const at::Tensor& wanted,
                                  double variance);

} // namespace loftscope
