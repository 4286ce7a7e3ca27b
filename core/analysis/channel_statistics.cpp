// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/channel_statistics.h"

#include "core/analysis/pca.h"
#include "core/analysis/tensor_values.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace loftscope {

namespace {

constexpr float deadShare = 1e-3F;

} // namespace

void NormAccumulator::add(const at::Tensor& block) {
    const at::Tensor norms = block.norm(2, 0).to(at::kDouble);
    if (norms.numel() == 0) return;
    const double low = norms.min().item<double>();
    const double high = norms.max().item<double>();
    minimum_ = count_ == 0 ? low : std::min(minimum_, low);
    maximum_ = count_ == 0 ? high : std::max(maximum_, high);
    sum_ += norms.sum().item<double>();
    squares_ += norms.square().sum().item<double>();
    count_ += norms.numel();
}

ChannelStatistics channelStatistics(const Moments& moments, const NormAccumulator& norms) {
    ChannelStatistics statistics;
    const at::Tensor mean = moments.mean();
    const at::Tensor variance = (moments.secondMoment().diagonal() - mean.square()).clamp_min(0);
    statistics.means = floatsOf(mean);
    statistics.deviations = floatsOf(variance.sqrt());
    const auto count = static_cast<double>(std::max<std::int64_t>(norms.count_, 1));
    statistics.normMean = norms.sum_ / count;
    statistics.normDeviation = std::sqrt(
        std::max(0.0, norms.squares_ / count - statistics.normMean * statistics.normMean));
    statistics.normMinimum = norms.minimum_;
    statistics.normMaximum = norms.maximum_;
    std::vector<float> sorted = statistics.deviations;
    if (sorted.empty()) return statistics;
    std::ranges::nth_element(sorted,
                             sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2));
    const float threshold = sorted[sorted.size() / 2] * deadShare;
    for (std::size_t c = 0; c < statistics.deviations.size(); ++c)
        if (statistics.deviations[c] <= threshold)
            statistics.deadChannels.push_back(static_cast<int>(c));
    return statistics;
}

} // namespace loftscope
