// SPDX-License-Identifier: Apache-2.0
// Numbers that compare upsamplers without labels.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/upsample/feature_field.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

struct FieldMetrics {
    /// Mean cosine between the field averaged over each low-resolution cell and the low-resolution
    /// feature there. 1: the field says the same as the backbone at low resolution. LoftUp leaves
    /// the backbone's feature space, so that a low value is no fault of it.
    double consistencyCosine = 0;
    /// Root mean square of that difference over the root mean square of the low-resolution
    /// features.
    double consistencyError = 0;
    /// Pearson correlation over pixels of feature gradient magnitude and photo gradient magnitude:
    /// do features change where the photo does? -1..1; 0 if either is constant.
    double edgeAlignment = 0;
    /// Mean absolute difference of neighbouring pixels over the mean absolute deviation of features
    /// from their mean: low is smooth.
    double totalVariation = 0;
    double meanNorm = 0; ///< mean Euclidean length of a feature
};

/// Streams the field once (twice for the deviation). `guidance`: 3 x H x W of the field's extent.
/// Errors: Mismatch (sizes), OutOfMemory, Cancelled.
Result<FieldMetrics> measureField(const FeatureField& field, const FeatureGrid& low,
                                  const at::Tensor& guidance, std::int64_t tile,
                                  const RunContext& context);

} // namespace loftscope
