// SPDX-License-Identifier: Apache-2.0
// Where features change: thin lines with a strength.
#pragma once

#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace loftscope {

/// A pixel of a contour.
struct ContourPixel {
    Pixel pixel;
    float strength = 0;
};

/// Ridges of the gradient of a K x h x w map (fp32, on the CPU). All channels count together: the
/// gradient is the largest eigenvalue of the structure tensor (Di Zenzo 1986), from derivatives of
/// the map smoothed by a Gaussian of `sigma` pixels. A pixel stays if it is at least as strong as
/// the map one pixel to either side along the gradient, and stronger than one of them.
std::vector<ContourPixel> featureContours(const at::Tensor& map, double sigma);

} // namespace loftscope
