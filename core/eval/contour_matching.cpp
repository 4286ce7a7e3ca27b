// SPDX-License-Identifier: Apache-2.0
#include "core/eval/contour_matching.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>

namespace loftscope {

namespace {

std::size_t placeOf(const Extent& extent, std::int64_t x, std::int64_t y) {
    return static_cast<std::size_t>(y * extent.width + x);
}

/// The eight neighbours of a pixel, clockwise from above; outside is empty.
std::array<int, 8> neighbours(const ObjectMask& mask, std::int64_t x, std::int64_t y) {
    constexpr std::array<std::array<int, 2>, 8> around{
        {{0, -1}, {1, -1}, {1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}, {-1, -1}}};
    std::array<int, 8> values{};
    for (std::size_t i = 0; i < around.size(); ++i) {
        const Pixel pixel{x + around[i][0], y + around[i][1]};
        values[i] =
            contains(mask.extent, pixel) && mask.inside[placeOf(mask.extent, pixel.x, pixel.y)] != 0
                ? 1
                : 0;
    }
    return values;
}

/// Zhang and Suen's conditions for taking a pixel away in one of the two sub-iterations.
bool removable(const std::array<int, 8>& p, bool second) {
    int count = 0;
    int starts = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        count += p[i];
        starts += p[i] == 0 && p[(i + 1) % p.size()] == 1 ? 1 : 0;
    }
    if (count < 2 || count > 6 || starts != 1) return false;
    return second ? p[0] * p[2] * p[6] == 0 && p[0] * p[4] * p[6] == 0
                  : p[0] * p[2] * p[4] == 0 && p[2] * p[4] * p[6] == 0;
}

} // namespace

ObjectMask thinned(const ObjectMask& mask) {
    ObjectMask result = mask;
    std::vector<Pixel> left;
    for (std::int64_t y = 0; y < mask.extent.height; ++y)
        for (std::int64_t x = 0; x < mask.extent.width; ++x)
            if (mask.inside[placeOf(mask.extent, x, y)] != 0) left.push_back({x, y});
    for (bool changed = true; changed;) {
        changed = false;
        for (const bool second : {false, true}) {
            std::vector<Pixel> taken;
            for (const Pixel& pixel : left)
                if (removable(neighbours(result, pixel.x, pixel.y), second)) taken.push_back(pixel);
            for (const Pixel& pixel : taken)
                result.inside[placeOf(mask.extent, pixel.x, pixel.y)] = 0;
            std::erase_if(left, [&](const Pixel& pixel) {
                return result.inside[placeOf(mask.extent, pixel.x, pixel.y)] == 0;
            });
            changed = changed || !taken.empty();
        }
    }
    return result;
}

ObjectMask contoursOfSegments(const Extent& extent, std::span<const std::uint8_t> labels) {
    ObjectMask lines{extent, std::vector<std::uint8_t>(labels.size(), 0)};
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const std::uint8_t label = labels[placeOf(extent, x, y)];
            const bool right = x + 1 < extent.width;
            const bool below = y + 1 < extent.height;
            lines.inside[placeOf(extent, x, y)] =
                (right && labels[placeOf(extent, x + 1, y)] != label) ||
                        (below && labels[placeOf(extent, x, y + 1)] != label) ||
                        (right && below && labels[placeOf(extent, x + 1, y + 1)] != label)
                    ? 1
                    : 0;
        }
    }
    return thinned(lines);
}

ContourMatching::ContourMatching(const ObjectMask& drawn, double tolerance)
    : extent_(drawn.extent)
    , drawnAt_(drawn.inside.size(), -1) {
    for (std::size_t i = 0; i < drawn.inside.size(); ++i) {
        if (drawn.inside[i] == 0) continue;
        drawnAt_[i] = static_cast<std::int32_t>(partnerOfDrawn_.size());
        partnerOfDrawn_.push_back(-1);
    }
    const auto radius = static_cast<std::int64_t>(tolerance);
    const double squared = tolerance * tolerance;
    for (std::int64_t y = -radius; y <= radius; ++y)
        for (std::int64_t x = -radius; x <= radius; ++x)
            if (static_cast<double>(x * x + y * y) <= squared) reach_.push_back({x, y});
    std::ranges::stable_sort(reach_, {}, [](const Pixel& p) { return p.x * p.x + p.y * p.y; });
}

void ContourMatching::add(std::span<const Pixel> found) {
    found_.insert(found_.end(), found.begin(), found.end());
    partnerOfFound_.resize(found_.size(), -1);
    depth_.resize(found_.size());
    next_.resize(found_.size());
    while (layer()) {
        std::ranges::fill(next_, std::size_t{0});
        for (std::size_t i = 0; i < found_.size(); ++i)
            if (partnerOfFound_[i] < 0 && augment(static_cast<std::int32_t>(i))) ++pairs_;
    }
}

/// Breadth-first depths of found pixels over alternating paths that start at those without partner;
/// false if none of them leads to a free drawn pixel.
bool ContourMatching::layer() {
    std::deque<std::int32_t> queue;
    for (std::size_t i = 0; i < found_.size(); ++i) {
        depth_[i] = partnerOfFound_[i] < 0 ? 0 : -1;
        if (depth_[i] == 0) queue.push_back(static_cast<std::int32_t>(i));
    }
    bool free = false;
    while (!queue.empty()) {
        const auto at = static_cast<std::size_t>(queue.front());
        queue.pop_front();
        for (const Pixel& offset : reach_) {
            const Pixel place{found_[at].x + offset.x, found_[at].y + offset.y};
            if (!contains(extent_, place)) continue;
            const std::int32_t drawn = drawnAt_[placeOf(extent_, place.x, place.y)];
            if (drawn < 0) continue;
            const std::int32_t holder = partnerOfDrawn_[static_cast<std::size_t>(drawn)];
            if (holder < 0) {
                free = true;
            } else if (depth_[static_cast<std::size_t>(holder)] < 0) {
                depth_[static_cast<std::size_t>(holder)] = depth_[at] + 1;
                queue.push_back(holder);
            }
        }
    }
    return free;
}

/// Depth-first along the layers; without recursion, since paths can be long.
bool ContourMatching::augment(std::int32_t start) {
    struct Step {
        std::int32_t found;
        std::int32_t drawn; ///< through which the path goes on
    };
    std::vector<Step> path{{start, -1}};
    while (!path.empty()) {
        const auto at = static_cast<std::size_t>(path.back().found);
        bool advanced = false;
        while (next_[at] < reach_.size() && !advanced) {
            const Pixel& offset = reach_[next_[at]++];
            const Pixel place{found_[at].x + offset.x, found_[at].y + offset.y};
            if (!contains(extent_, place)) continue;
            const std::int32_t drawn = drawnAt_[placeOf(extent_, place.x, place.y)];
            if (drawn < 0) continue;
            const std::int32_t holder = partnerOfDrawn_[static_cast<std::size_t>(drawn)];
            if (holder < 0) {
                path.back().drawn = drawn;
                for (const Step& step : path) {
                    partnerOfDrawn_[static_cast<std::size_t>(step.drawn)] = step.found;
                    partnerOfFound_[static_cast<std::size_t>(step.found)] = step.drawn;
                }
                return true;
            }
            if (depth_[static_cast<std::size_t>(holder)] == depth_[at] + 1) {
                path.back().drawn = drawn;
                path.push_back({holder, -1});
                advanced = true;
            }
        }
        if (!advanced) path.pop_back();
    }
    return false;
}

double ContourCounts::precision() const {
    return found == 0 ? 0 : static_cast<double>(foundPaired) / static_cast<double>(found);
}

double ContourCounts::recall() const {
    return drawn == 0 ? 0 : static_cast<double>(drawnPaired) / static_cast<double>(drawn);
}

double ContourCounts::f() const {
    const double sum = precision() + recall();
    return sum == 0 ? 0 : 2 * precision() * recall() / sum;
}

ContourCounts& ContourCounts::operator+=(const ContourCounts& other) {
    foundPaired += other.foundPaired;
    found += other.found;
    drawnPaired += other.drawnPaired;
    drawn += other.drawn;
    return *this;
}

ContourScores contourScores(const std::vector<std::vector<ContourCounts>>& counts,
                            std::span<const std::int64_t> weights) {
    const std::size_t thresholds = counts.empty() ? 0 : counts.front().size();
    std::vector<ContourCounts> sums(thresholds);
    ContourCounts best;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto own = std::ranges::max_element(counts[i], {}, &ContourCounts::f);
        for (std::int64_t repeat = 0; repeat < weights[i]; ++repeat) {
            for (std::size_t t = 0; t < thresholds; ++t)
                sums[t] += counts[i][t];
            best += *own;
        }
    }
    ContourScores scores;
    scores.ois = best.f();
    std::vector<std::pair<double, double>> curve; // recall, precision
    for (std::size_t t = 0; t < thresholds; ++t) {
        if (sums[t].f() > scores.ods) {
            scores.ods = sums[t].f();
            scores.odsPrecision = sums[t].precision();
            scores.odsRecall = sums[t].recall();
            scores.odsThreshold = t;
        }
        if (sums[t].found > 0) curve.emplace_back(sums[t].recall(), sums[t].precision());
    }
    std::ranges::sort(curve);
    for (int i = 0; i <= 100; ++i) {
        const double recall = i / 100.0;
        const auto above =
            std::ranges::lower_bound(curve, recall, {}, &std::pair<double, double>::first);
        // Beyond the ends of the curve nothing is known, and counts as 0.
        if (above == curve.end() || (above == curve.begin() && above->first > recall)) continue;
        double precision = above->second;
        if (above->first > recall) {
            const auto below = above - 1;
            const double t = (recall - below->first) / (above->first - below->first);
            precision = std::lerp(below->second, above->second, t);
        }
        scores.averagePrecision += precision / 100;
    }
    return scores;
}

} // namespace loftscope
