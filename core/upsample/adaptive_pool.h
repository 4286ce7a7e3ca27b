// SPDX-License-Identifier: Apache-2.0
// Adaptive average pooling of rectangles, so that a whole picture need not be there at once.
#pragma once

#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

/// The samples that one output sample averages: from floor(i in / out) up to ceil((i + 1) in /
/// out), as PyTorch's adaptive_avg_pool2d takes them along each side.
struct PoolSpan {
    std::int64_t begin = 0;
    std::int64_t end = 0; ///< one past the last
};
PoolSpan poolSpan(std::int64_t inputSize, std::int64_t outputSize, std::int64_t index);

/// Weights of the input samples `input` for the output samples `output` (both as spans of their
/// side): count of outputs x count of inputs, fp32 on the CPU. Rows sum to 1 where the inputs that
/// they average are all in `input`; sums over disjoint spans of inputs add up to the whole.
at::Tensor poolWeights(std::int64_t inputSize, std::int64_t outputSize, const PoolSpan& input,
                       const PoolSpan& output);

/// Rows of pixels of `rect` (rect.area() x C, of a picture of `from`) averaged into the grid `to`:
/// a contribution of to.height x to.width x C; contributions of disjoint rectangles that cover the
/// picture add up to its pooled map.
at::Tensor pooledRows(const at::Tensor& rows, const Rect& rect, const Extent& from,
                      const Extent& to);

/// The part of a picture of `from` behind `rect` of its pooled map of `to`.
Rect pooledFrom(const Rect& rect, const Extent& from, const Extent& to);
/// Rows of pixels of `source` = pooledFrom(rect, from, to), averaged: those of `rect`.
at::Tensor pooledInto(const at::Tensor& rows, const Rect& source, const Rect& rect,
                      const Extent& from, const Extent& to);

} // namespace loftscope
