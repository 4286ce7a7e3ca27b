// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/seen_part.h"

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr double coarsePixels = 4096;

struct Stretch {
    std::int64_t begin;
    std::int64_t length;
};

Stretch spanOf(double begin, double end, std::int64_t length) {
    const auto size = static_cast<double>(length);
    const auto first = static_cast<std::int64_t>(std::floor(std::clamp(begin, 0.0, 1.0) * size));
    const auto last = static_cast<std::int64_t>(std::ceil(std::clamp(end, 0.0, 1.0) * size));
    return {first, std::max<std::int64_t>(last - first, 0)};
}

} // namespace

Rect seenRect(const SeenPart& part, const Extent& map) {
    const Stretch x = spanOf(part.left, part.right, map.width);
    const Stretch y = spanOf(part.top, part.bottom, map.height);
    return {x.begin, y.begin, x.length, y.length};
}

std::int64_t seenStride(const SeenPart& part, const Extent& map) {
    if (!(part.screenWidth > 0)) return 1;
    const double pixelsPerDot = static_cast<double>(map.width) / part.screenWidth;
    for (const std::int64_t stride : {16, 8, 4})
        if (pixelsPerDot >= static_cast<double>(stride)) return stride;
    return 1;
}

std::int64_t coarseStride(const Extent& map) {
    const double stride = std::sqrt(static_cast<double>(map.area()) / coarsePixels);
    return std::max<std::int64_t>(8, static_cast<std::int64_t>(std::ceil(stride)));
}

} // namespace loftscope
