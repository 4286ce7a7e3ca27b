// SPDX-License-Identifier: Apache-2.0
// Cosine similarity of a pixel's feature with all others.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/upsample/feature_field.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

/// Cosine of `query` (C) with every position of a C x h x w block: h x w in -1..1; 0 where either
/// is zero.
at::Tensor cosineMap(const at::Tensor& query, const at::Tensor& block);

/// Cosine of the feature at `pixel` with the whole field, H x W, computed tile by tile.
/// Errors: InvalidArgument (pixel outside), OutOfMemory, Cancelled.
Result<at::Tensor> similarityMap(const FeatureField& field, const Pixel& pixel, std::int64_t tile,
                                 const RunContext& context);

} // namespace loftscope
