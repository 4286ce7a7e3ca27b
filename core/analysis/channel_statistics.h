// SPDX-License-Identifier: Apache-2.0
// How large features are, channel by channel and as vectors: what tells a healthy map from one with
// dead channels or a handful of outliers.
#pragma once

#include <cstdint>
#include <vector>

namespace at {
class Tensor;
}

namespace loftscope {

class Moments;

struct ChannelStatistics {
    std::vector<float> means;      ///< per channel
    std::vector<float> deviations; ///< per channel, over the map's positions
    double normMean = 0;           ///< of the feature vectors' lengths
    double normDeviation = 0;
    double normMinimum = 0;
    double normMaximum = 0;
    /// Channels that hardly vary: a standard deviation below a thousandth of the median channel's.
    std::vector<int> deadChannels;
};

/// Lengths of feature vectors, accumulated tile by tile.
class NormAccumulator {
public:
    /// C x h x w.
    void add(const at::Tensor& block);
    std::int64_t count() const { return count_; }

private:
    friend ChannelStatistics channelStatistics(const Moments& moments,
                                               const NormAccumulator& norms);
    double sum_ = 0;
    double squares_ = 0;
    double minimum_ = 0;
    double maximum_ = 0;
    std::int64_t count_ = 0;
};

/// Both of the same blocks, at least one.
ChannelStatistics channelStatistics(const Moments& moments, const NormAccumulator& norms);

} // namespace loftscope
