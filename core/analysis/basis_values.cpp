// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/basis_values.h"

#include "core/analysis/pca.h"
#include "core/analysis/tensor_values.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

at::Tensor tensorOf(const std::vector<float>& values, const std::vector<std::int64_t>& shape) {
    return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat).clone();
}

bool allFinite(const std::vector<float>& values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

} // namespace

bool fitTogether(const BasisValues& values) {
    return values.size() > 0 && values.size() <= values.channels() &&
           values.components.size() == values.mean.size() * values.variances.size() &&
           allFinite(values.mean) && allFinite(values.components) && allFinite(values.variances);
}

BasisValues valuesOf(const PcaBasis& basis) {
    return {floatsOf(basis.mean), floatsOf(basis.components), floatsOf(basis.variances),
            basis.totalVariance, basis.fittedOn};
}

Result<PcaBasis> basisFromValues(const BasisValues& values) {
    if (!fitTogether(values))
        return fail(ErrorCode::Malformed, "The numbers of a PCA basis do not fit each other.");
    const std::int64_t channels = values.channels();
    const std::int64_t size = values.size();
    return PcaBasis{tensorOf(values.mean, {channels}),
                    tensorOf(values.components, {size, channels}),
                    tensorOf(values.variances, {size}), values.totalVariance, values.fittedOn};
}

} // namespace loftscope
