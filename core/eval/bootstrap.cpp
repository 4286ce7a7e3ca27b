// SPDX-License-Identifier: Apache-2.0
#include "core/eval/bootstrap.h"

#include "core/train/counter_random.h"

#include <algorithm>
#include <cmath>

namespace loftscope {

std::vector<std::vector<std::int64_t>> bootstrapDraws(std::int64_t items, std::int64_t resamples,
                                                      std::uint64_t seed) {
    std::vector<std::vector<std::int64_t>> draws;
    for (std::int64_t r = 0; r < resamples; ++r) {
        CounterRandom random(seed, RandomPurpose::Bootstrap, static_cast<std::uint64_t>(r));
        std::vector<std::int64_t> counts(static_cast<std::size_t>(items), 0);
        for (std::int64_t i = 0; i < items; ++i)
            ++counts[static_cast<std::size_t>(random.below(items))];
        draws.push_back(std::move(counts));
    }
    return draws;
}

Interval middle95(std::vector<double> values) {
    if (values.empty()) return {};
    std::ranges::sort(values);
    const auto quantile = [&](double share) {
        const double position = share * static_cast<double>(values.size() - 1);
        const auto below = static_cast<std::size_t>(position);
        const std::size_t above = std::min(below + 1, values.size() - 1);
        return std::lerp(values[below], values[above], position - std::floor(position));
    };
    return {quantile(0.025), quantile(0.975)};
}

} // namespace loftscope
