// SPDX-License-Identifier: Apache-2.0
#include "core/eval/feature_contours.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/replication_pad2d.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

/// Samples of a Gaussian (sum 1) or of its derivative (response 1 to a slope of 1 per pixel), at
/// -r..r.
at::Tensor gaussianKernel(double sigma, bool derivative) {
    const auto radius = std::max<std::int64_t>(1, std::llround(std::ceil(3 * sigma)));
    at::Tensor kernel = at::empty({2 * radius + 1}, at::kFloat);
    auto* const data = kernel.mutable_data_ptr<float>();
    double norm = 0;
    for (std::int64_t i = -radius; i <= radius; ++i) {
        const auto x = static_cast<double>(i);
        const double gauss = std::exp(-x * x / (2 * sigma * sigma));
        const double value = derivative ? x * gauss : gauss;
        norm += derivative ? x * value : value;
        data[i + radius] = static_cast<float>(value);
    }
    return kernel / norm;
}

/// Correlates every channel of K x h x w with a kernel along rows and another one along columns;
/// borders are continued.
at::Tensor separable(const at::Tensor& map, const at::Tensor& alongX, const at::Tensor& alongY) {
    const std::int64_t rx = alongX.size(0) / 2;
    const std::int64_t ry = alongY.size(0) / 2;
    const at::Tensor padded = at::replication_pad2d(map.unsqueeze(1), {rx, rx, ry, ry});
    const at::Tensor rows = at::conv2d(padded, alongX.view({1, 1, 1, -1}));
    return at::conv2d(rows, alongY.view({1, 1, -1, 1})).squeeze(1);
}

} // namespace

std::vector<ContourPixel> featureContours(const at::Tensor& map, double sigma) {
    const at::NoGradGuard noGrad;
    const at::Tensor smooth = gaussianKernel(sigma, false);
    const at::Tensor slope = gaussianKernel(sigma, true);
    const at::Tensor dx = separable(map, slope, smooth);
    const at::Tensor dy = separable(map, smooth, slope);
    const at::Tensor xx = dx.square().sum(0);
    const at::Tensor yy = dy.square().sum(0);
    const at::Tensor xy = (dx * dy).sum(0);
    const at::Tensor difference = xx - yy;
    const at::Tensor strength =
        ((xx + yy + (difference.square() + 4 * xy.square()).sqrt()) / 2).sqrt().contiguous();
    const at::Tensor angle = ((2 * xy).atan2(difference) / 2).contiguous();

    const auto* const values = strength.const_data_ptr<float>();
    const auto* const angles = angle.const_data_ptr<float>();
    const std::int64_t height = strength.size(0);
    const std::int64_t width = strength.size(1);
    const auto sample = [&](double x, double y) {
        x = std::clamp(x, 0.0, static_cast<double>(width - 1));
        y = std::clamp(y, 0.0, static_cast<double>(height - 1));
        const auto x0 =
            std::min(static_cast<std::int64_t>(x), std::max<std::int64_t>(width - 2, 0));
        const auto y0 =
            std::min(static_cast<std::int64_t>(y), std::max<std::int64_t>(height - 2, 0));
        const std::int64_t x1 = std::min(x0 + 1, width - 1);
        const std::int64_t y1 = std::min(y0 + 1, height - 1);
        const double tx = x - static_cast<double>(x0);
        const double ty = y - static_cast<double>(y0);
        const auto at = [&](std::int64_t u, std::int64_t v) {
            return static_cast<double>(values[v * width + u]);
        };
        return std::lerp(std::lerp(at(x0, y0), at(x1, y0), tx),
                         std::lerp(at(x0, y1), at(x1, y1), tx), ty);
    };
    // A flat region has gradients as well: those of rounding.
    const double least = 1e-5 * static_cast<double>(strength.max().item<float>());
    std::vector<ContourPixel> contours;
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const double here = static_cast<double>(values[y * width + x]);
            if (!(here > least)) continue;
            const double ux = std::cos(static_cast<double>(angles[y * width + x]));
            const double uy = std::sin(static_cast<double>(angles[y * width + x]));
            const double before = sample(static_cast<double>(x) - ux, static_cast<double>(y) - uy);
            const double after = sample(static_cast<double>(x) + ux, static_cast<double>(y) + uy);
            // A step between two pixels has two equally strong ones: the later of them stays.
            if (here >= before && here > after)
                contours.push_back({{x, y}, static_cast<float>(here)});
        }
    }
    return contours;
}

} // namespace loftscope
