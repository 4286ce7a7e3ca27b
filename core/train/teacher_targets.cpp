// SPDX-License-Identifier: Apache-2.0
#include "core/train/teacher_targets.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace loftscope {

namespace {

constexpr double softness = 0.02;

/// Between which cells a position lies, and how far from the first.
struct Between {
    std::int64_t first = 0;
    std::int64_t second = 0;
    float share = 0; ///< of the second
};

std::vector<Between> placesOf(double origin, double length, bool backwards, std::int64_t tokens,
                              double start, double step, std::int64_t cells) {
    std::vector<Between> places;
    for (std::int64_t i = 0; i < tokens; ++i) {
        const double along = (static_cast<double>(i) + 0.5) / static_cast<double>(tokens);
        const double position = origin + (backwards ? 1 - along : along) * length;
        const double cell =
            std::clamp((position - start) / step, 0.0, static_cast<double>(cells - 1));
        const auto first = static_cast<std::int64_t>(std::floor(cell));
        places.push_back({first, std::min(first + 1, cells - 1),
                          static_cast<float>(cell - static_cast<double>(first))});
    }
    return places;
}

} // namespace

Whitening Whitening::unfitted(std::int64_t channels, std::int64_t dims) {
    return {at::zeros({channels}), at::zeros({std::min(channels, dims), channels}), at::zeros({1})};
}

Whitening Whitening::from(const Moments& moments, std::int64_t dims) {
    const c10::NoGradGuard noGrad;
    const PcaBasis basis = basisFromMoments(moments.mean(), moments.secondMoment(),
                                            std::min(moments.channels(), dims));
    const at::Tensor softened = (basis.variances + basis.variances[0] * softness).clamp_min(1e-12);
    return {basis.mean, (basis.components / softened.sqrt().unsqueeze(1)).contiguous(),
            (basis.variances / softened).mean().reshape({1})};
}

at::Tensor Whitening::apply(const at::Tensor& map) const {
    const c10::NoGradGuard noGrad;
    const at::Tensor cells = map.permute({0, 2, 3, 1}).to(at::kFloat);
    return at::matmul(cells - mean.to(map.device()), directions.to(map.device()).t());
}

void sampleAtTokens(const TargetMap& map, const CropRegion& region, const Extent& tokens,
                    float* out) {
    const std::int64_t width = map.values.size(1);
    const std::int64_t dims = map.values.size(2);
    const std::vector<Between> rows = placesOf(region.y, region.height, false, tokens.height,
                                               map.cells.y, map.cells.stepY, map.values.size(0));
    const std::vector<Between> columns = placesOf(region.x, region.width, region.flip, tokens.width,
                                                  map.cells.x, map.cells.stepX, width);
    const float* values = map.values.const_data_ptr<float>();
    const auto at = [&](std::int64_t y, std::int64_t x) { return values + (y * width + x) * dims; };
    for (const Between& row : rows) {
        for (const Between& column : columns) {
            const float* upperLeft = at(row.first, column.first);
            const float* upperRight = at(row.first, column.second);
            const float* lowerLeft = at(row.second, column.first);
            const float* lowerRight = at(row.second, column.second);
            for (std::int64_t k = 0; k < dims; ++k) {
                const float upper = upperLeft[k] + column.share * (upperRight[k] - upperLeft[k]);
                const float lower = lowerLeft[k] + column.share * (lowerRight[k] - lowerLeft[k]);
                *out++ = upper + row.share * (lower - upper);
            }
        }
    }
}

DistillationLoss distillationLoss(const at::Tensor& predicted, const at::Tensor& wanted,
                                  double variance) {
    return {at::mse_loss(predicted, wanted) / variance,
            1 - at::cosine_similarity(predicted, wanted, 2, 1e-6).mean()};
}

} // namespace loftscope
