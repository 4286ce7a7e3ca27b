// SPDX-License-Identifier: Apache-2.0
#include "core/train/view_jitter.h"

#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

ViewJitter sampleViewJitter(const Extent& extent, const ViewJitterRange& range,
                            CounterRandom random) {
    ViewJitter jitter;
    // Reflection cannot reach beyond the picture itself.
    jitter.pad = std::min(range.maxPad, std::min(extent.height, extent.width) - 1);
    const double factor = random.uniform(1 - range.maxZoom, 1 + range.maxZoom);
    const auto zoomed = [&](std::int64_t length) {
        const double padded = static_cast<double>(length + 2 * jitter.pad);
        return std::max(length, static_cast<std::int64_t>(std::lround(padded * factor)));
    };
    jitter.zoomed = {zoomed(extent.height), zoomed(extent.width)};
    jitter.offset = {random.below(jitter.zoomed.width - extent.width + 1),
                     random.below(jitter.zoomed.height - extent.height + 1)};
    jitter.flip = range.flips && random.chance(0.5);
    return jitter;
}

at::Tensor applyViewJitter(const at::Tensor& map, const ViewJitter& jitter) {
    at::Tensor view = map;
    if (jitter.pad > 0)
        view = at::reflection_pad2d(view, {jitter.pad, jitter.pad, jitter.pad, jitter.pad});
    if (view.size(2) != jitter.zoomed.height || view.size(3) != jitter.zoomed.width) {
        view = at::upsample_bilinear2d(view, {jitter.zoomed.height, jitter.zoomed.width}, false);
    }
    view = view.narrow(2, jitter.offset.y, map.size(2)).narrow(3, jitter.offset.x, map.size(3));
    return jitter.flip ? view.flip({3}) : view;
}

} // namespace loftscope
