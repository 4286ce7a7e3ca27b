// SPDX-License-Identifier: Apache-2.0
#include "core/eval/video_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace loftscope {

namespace {

/// Pixels of `from` with a pixel of `other` within `radius`, and all pixels of `from`.
struct Matched {
    double matched = 0;
    double all = 0;
};
Matched matchedWithin(const ObjectMask& from, const ObjectMask& other, std::int64_t radius) {
    Matched result;
    const auto [height, width] = from.extent;
    const auto near = [&](std::int64_t x, std::int64_t y) {
        for (std::int64_t dy = -radius; dy <= radius; ++dy) {
            if (y + dy < 0 || y + dy >= height) continue;
            for (std::int64_t dx = -radius; dx <= radius; ++dx) {
                if (dx * dx + dy * dy > radius * radius || x + dx < 0 || x + dx >= width) continue;
                if (other.inside[static_cast<std::size_t>((y + dy) * width + x + dx)] != 0)
                    return true;
            }
        }
        return false;
    };
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            if (from.inside[static_cast<std::size_t>(y * width + x)] == 0) continue;
            result.all += 1;
            result.matched += near(x, y) ? 1 : 0;
        }
    }
    return result;
}

double meanOf(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

} // namespace

double regionSimilarity(const ObjectMask& predicted, const ObjectMask& truth) {
    std::int64_t both = 0;
    std::int64_t either = 0;
    for (std::size_t i = 0; i < truth.inside.size(); ++i) {
        const bool a = predicted.inside[i] != 0;
        const bool b = truth.inside[i] != 0;
        both += a && b ? 1 : 0;
        either += a || b ? 1 : 0;
    }
    return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

ObjectMask boundaryOf(const ObjectMask& mask) {
    const auto [height, width] = mask.extent;
    ObjectMask boundary{mask.extent, std::vector<std::uint8_t>(mask.inside.size(), 0)};
    const auto at = [&, width = width](std::int64_t x, std::int64_t y) {
        return mask.inside[static_cast<std::size_t>(y * width + x)] != 0;
    };
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            // The toolkit compares the last row only sideways and the last column only downwards.
            const bool right = x + 1 < width;
            const bool below = y + 1 < height;
            const bool differs = (right && at(x, y) != at(x + 1, y)) ||
                                 (below && at(x, y) != at(x, y + 1)) ||
                                 (right && below && at(x, y) != at(x + 1, y + 1));
            boundary.inside[static_cast<std::size_t>(y * width + x)] = differs ? 1 : 0;
        }
    }
    return boundary;
}

double boundaryMeasure(const ObjectMask& predicted, const ObjectMask& truth, double tolerance) {
    const auto radius = static_cast<std::int64_t>(
        std::ceil(tolerance * std::hypot(static_cast<double>(truth.extent.height),
                                         static_cast<double>(truth.extent.width))));
    const ObjectMask predictedBoundary = boundaryOf(predicted);
    const ObjectMask trueBoundary = boundaryOf(truth);
    const Matched found = matchedWithin(predictedBoundary, trueBoundary, radius);
    const Matched wanted = matchedWithin(trueBoundary, predictedBoundary, radius);
    double precision = 1;
    double recall = 1;
    if (found.all == 0 && wanted.all > 0) {
        recall = 0;
    } else if (found.all > 0 && wanted.all == 0) {
        precision = 0;
    } else if (found.all > 0) {
        precision = found.matched / found.all;
        recall = wanted.matched / wanted.all;
    }
    return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
}

ClipStatistics clipStatistics(std::span<const double> values) {
    ClipStatistics statistics;
    statistics.mean = meanOf(values);
    statistics.recall =
        static_cast<double>(std::ranges::count_if(values, [](double v) { return v > 0.5; })) /
        static_cast<double>(values.size());
    // The toolkit's borders of four bins, which share their end frames.
    const auto count = static_cast<double>(values.size());
    std::array<std::size_t, 5> ends{};
    for (std::size_t i = 0; i < ends.size(); ++i)
        ends[i] = static_cast<std::size_t>(
            std::nearbyint(1 + (count - 1) * static_cast<double>(i) / 4 + 1e-10) - 1);
    statistics.decay = meanOf(values.subspan(ends[0], ends[1] - ends[0] + 1)) -
                       meanOf(values.subspan(ends[3], ends[4] - ends[3] + 1));
    return statistics;
}

} // namespace loftscope
