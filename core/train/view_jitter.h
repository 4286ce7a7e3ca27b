// SPDX-License-Identifier: Apache-2.0
// The small random changes of view of the multi-view objective (FeatUp, Fu et al. 2024): a shift by
// reflect padding and cropping, a zoom, a flip. A photo and its high-resolution features go through
// exactly the same one.
#pragma once

#include "core/base/geometry.h"
#include "core/train/counter_random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

struct ViewJitter {
    std::int64_t pad = 0; ///< reflected pixels on every side
    Extent zoomed;        ///< size of the padded picture after the zoom
    Pixel offset;         ///< of the crop in the zoomed picture
    bool flip = false;    ///< left to right
    friend bool operator==(const ViewJitter&, const ViewJitter&) = default;
};

struct ViewJitterRange {
    std::int64_t maxPad = 8;
    double maxZoom = 0.1; ///< zoom factors from 1 - maxZoom (as far as the padding fills the frame)
                          ///< to 1 + maxZoom
    bool flips = true;
};

/// A jitter for pictures of `extent`.
ViewJitter sampleViewJitter(const Extent& extent, const ViewJitterRange& range,
                            CounterRandom random);

/// `map`: B x C x H x W of the extent that the jitter was sampled for; the result has the same
/// size. Differentiable.
at::Tensor applyViewJitter(const at::Tensor& map, const ViewJitter& jitter);

} // namespace loftscope
