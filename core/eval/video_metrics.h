// SPDX-License-Identifier: Apache-2.0
// The measures of the DAVIS challenge as its evaluation toolkit defines them: region similarity J,
// boundary measure F, and their mean, recall and decay over a clip (Perazzi et al. 2016,
// Pont-Tuset et al. 2017).
#pragma once

#include "core/base/geometry.h"

#include <cstdint>
#include <span>
#include <vector>

namespace loftscope {

/// 1 where the object is, row by row.
struct ObjectMask {
    Extent extent;
    std::vector<std::uint8_t> inside;
};

/// J: intersection over union; 1 if both are empty. The masks have one extent, here and below.
double regionSimilarity(const ObjectMask& predicted, const ObjectMask& truth);

/// Boundary pixels: those that differ from their right, lower or lower right neighbour.
ObjectMask boundaryOf(const ObjectMask& mask);

/// F: harmonic mean of the shares of boundary pixels that have one of the other boundary within
/// ceil(`tolerance` x length of the diagonal) pixels (Euclidean). Toolkit: 0.008.
double boundaryMeasure(const ObjectMask& predicted, const ObjectMask& truth,
                       double tolerance = 0.008);

/// A measure over the frames of a clip.
struct ClipStatistics {
    double mean = 0;
    double recall = 0; ///< share of frames above 0.5
    double decay = 0;  ///< mean of the first quarter minus mean of the last
};

/// `values`: one per frame that counts (the toolkit leaves out the first and the last frame); at
/// least one.
ClipStatistics clipStatistics(std::span<const double> values);

} // namespace loftscope
