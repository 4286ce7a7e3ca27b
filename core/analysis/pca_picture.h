// SPDX-License-Identifier: Apache-2.0
// From PCA scores to colours: which components, which scaling, what counts as background.
#pragma once

#include "core/analysis/pca.h"
#include "core/image/image.h"

#include <array>
#include <optional>
#include <vector>

namespace loftscope {

enum class PcaScaling {
    MinMax,     ///< each component from its smallest to its largest score, as the published code
    Percentile, ///< the same between two percentiles, so that single pixels do not wash out the
                ///< rest
    Sigmoid,    ///< sigmoid(2 score / standard deviation), as DINOv3's notebooks
};

struct PcaDisplay {
    std::array<std::int64_t, 3> components{0, 1, 2}; ///< shown as red, green, blue
    PcaScaling scaling = PcaScaling::Percentile;
    double lowPercentile = 1.0; ///< 0..100
    double highPercentile = 99.0;
    bool whiten = false; ///< scores divided by their standard deviation: one common range for the
                         ///< three components
    /// Foreground mask: pixels whose score of the first component is not above it become black;
    /// ranges are taken over the rest.
    std::optional<double> foregroundAbove;
};

/// Range of one component that is mapped to 0..1.
struct ScoreRange {
    double low = 0;
    double high = 1;
};

/// The ranges that `display` implies for `scores` (k x H x W), one per shown component. A flat
/// component gets an empty range (low == high), which shows as mid grey.
std::array<ScoreRange, 3> scoreRanges(const at::Tensor& scores, const PcaBasis& basis,
                                      const PcaDisplay& display);

/// Colours of `scores` (k x H x W). Errors: InvalidArgument (a component that the basis lacks,
/// percentiles out of order).
Result<Image> pcaPicture(const at::Tensor& scores, const PcaBasis& basis,
                         const PcaDisplay& display);

} // namespace loftscope
