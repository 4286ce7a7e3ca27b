// SPDX-License-Identifier: Apache-2.0
#include "core/eval/confusion.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bincount.h>

namespace loftscope {

at::Tensor confusionMatrix(const at::Tensor& labels, const at::Tensor& predictions,
                           std::int64_t classes) {
    const at::Tensor truth = labels.flatten().to(at::kLong);
    const at::Tensor guess = predictions.flatten().to(at::kLong);
    const at::Tensor counts = (truth >= 0)
                                  .logical_and(truth < classes)
                                  .logical_and(guess >= 0)
                                  .logical_and(guess < classes);
    const at::Tensor cell = truth.masked_select(counts) * classes + guess.masked_select(counts);
    return at::bincount(cell, std::nullopt, classes * classes).view({classes, classes});
}

SegmentationScores segmentationScores(const at::Tensor& confusion) {
    const at::Tensor counts = confusion.to(at::kDouble);
    const at::Tensor hits = counts.diagonal();
    const at::Tensor either = counts.sum(0) + counts.sum(1) - hits;
    SegmentationScores scores;
    double sum = 0;
    int occurring = 0;
    for (std::int64_t k = 0; k < counts.size(0); ++k) {
        const double area = either[k].item<double>();
        if (area > 0) {
            scores.classIoU.emplace_back(hits[k].item<double>() / area);
            sum += *scores.classIoU.back();
            ++occurring;
        } else {
            scores.classIoU.emplace_back(std::nullopt);
        }
    }
    if (occurring > 0) scores.meanIoU = sum / occurring;
    const double total = counts.sum().item<double>();
    if (total > 0) scores.pixelAccuracy = hits.sum().item<double>() / total;
    return scores;
}

} // namespace loftscope
