// SPDX-License-Identifier: Apache-2.0
// Class-agnostic masks for photos that have none: graph-based segmentation (Felzenszwalb and
// Huttenlocher 2004) at several scales, and connected components of label maps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace loftscope {

struct OverSegmentation {
    double sigma = 0.8; ///< of the Gaussian that the photo is smoothed with, in pixels
    std::vector<double> scales = {50, 150, 400}; ///< larger: larger segments; for colours in 0..255
    std::int64_t smallest = 20; ///< segments with fewer pixels are merged into a neighbour
};

/// `photo`: H x W x 3, uint8, contiguous, on the CPU. One H x W int64 map per scale, labels 0..n-1
/// in raster order of their first pixel. Neighbours are the 8 adjacent pixels; the weight of an
/// edge is the distance of the colours.
std::vector<at::Tensor> overSegment(const at::Tensor& photo, const OverSegmentation& options);

/// Splits every label of an H x W int64 map into its 4-connected parts, labels 0..n-1 in raster
/// order; negative labels stay -1.
at::Tensor connectedComponents(const at::Tensor& labels);

} // namespace loftscope
