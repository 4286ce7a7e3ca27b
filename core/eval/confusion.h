// SPDX-License-Identifier: Apache-2.0
// Confusion matrices and what is read off them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace loftscope {

/// Label of a pixel that does not count.
inline constexpr std::int64_t ignoredLabel = 255;

/// Pixels by true class (row) and predicted class (column), K x K, int64. `labels` and
/// `predictions` have equally many elements; a pixel counts if both are in 0..K-1.
at::Tensor confusionMatrix(const at::Tensor& labels, const at::Tensor& predictions,
                           std::int64_t classes);

struct SegmentationScores {
    /// Mean of the classes' intersection over union (Jaccard index), over those that occur.
    double meanIoU = 0;
    double pixelAccuracy = 0;
    /// Per class; nothing where a class is neither in the labels nor predicted.
    std::vector<std::optional<double>> classIoU;
};

/// Scores of a confusion matrix that was accumulated over a set. All 0 if it is empty.
SegmentationScores segmentationScores(const at::Tensor& confusion);

} // namespace loftscope
