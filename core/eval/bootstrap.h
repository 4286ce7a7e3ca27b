// SPDX-License-Identifier: Apache-2.0
// Confidence intervals by resampling: how much a number depends on which pictures or clips were
// tested.
#pragma once

#include <cstdint>
#include <vector>

namespace loftscope {

struct Interval {
    double low = 0;
    double high = 0;
};

/// How often each of `items` things was drawn, in each of `resamples` draws of `items` with
/// replacement. The same seed gives the same draws, so that differences of methods are paired.
std::vector<std::vector<std::int64_t>> bootstrapDraws(std::int64_t items, std::int64_t resamples,
                                                      std::uint64_t seed);

/// The middle 95 % of the values that a statistic takes over the draws; 0 to 0 for none.
Interval middle95(std::vector<double> values);

} // namespace loftscope
