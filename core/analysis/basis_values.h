// SPDX-License-Identifier: Apache-2.0
// A PCA basis as plain numbers, for those who know no tensors: the window and sessions.
#pragma once

#include "core/base/error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

struct PcaBasis;

struct BasisValues {
    std::vector<float> mean;       ///< C
    std::vector<float> components; ///< k x C, row by row
    std::vector<float> variances;  ///< k
    double totalVariance = 0;      ///< over all C directions
    std::string fittedOn;          ///< in words

    std::int64_t size() const { return static_cast<std::int64_t>(variances.size()); }
    std::int64_t channels() const { return static_cast<std::int64_t>(mean.size()); }
    friend bool operator==(const BasisValues&, const BasisValues&) = default;
};
using SharedBasis = std::shared_ptr<const BasisValues>;

/// Components that the window fits, and those that `--data` writes, fewer if the features have
/// fewer.
inline constexpr int usualComponents = 9;

/// Whether the counts fit each other and all are numbers.
bool fitTogether(const BasisValues& values);
BasisValues valuesOf(const PcaBasis& basis);
/// Errors: Malformed (they do not fit together).
Result<PcaBasis> basisFromValues(const BasisValues& values);

} // namespace loftscope
