// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/field_metrics.h"

#include "core/base/guard.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

/// Weights that average `size` pixels over `cells` equal cells, fractional borders shared: cells x
/// size.
at::Tensor areaWeights(std::int64_t size, std::int64_t cells) {
    at::Tensor weights = at::zeros({cells, size}, at::kFloat);
    auto* const data = weights.mutable_data_ptr<float>();
    const double step = static_cast<double>(size) / static_cast<double>(cells);
    for (std::int64_t cell = 0; cell < cells; ++cell) {
        const double begin = step * static_cast<double>(cell);
        const double end = begin + step;
        for (auto i = static_cast<std::int64_t>(begin); i < size && static_cast<double>(i) < end;
             ++i) {
            const double overlap =
                std::min(end, static_cast<double>(i + 1)) - std::max(begin, static_cast<double>(i));
            data[cell * size + i] = static_cast<float>(std::max(overlap, 0.0) / step);
        }
    }
    return weights;
}

/// Length of the forward-difference gradient over channels at each pixel of `inner`, from a block
/// that shows `outer` (one pixel more to the right and below where there is one; the last column
/// and row repeat).
struct Differences {
    at::Tensor magnitude; ///< h x w
    at::Tensor absolute;  ///< sum over channels of |dx| + |dy|, h x w
};
Differences differences(const at::Tensor& block, const Rect& inner) {
    const at::Tensor core = block.slice(1, 0, inner.height).slice(2, 0, inner.width);
    const auto shifted = [&](std::int64_t dimension, std::int64_t length) {
        if (block.size(dimension) > length) return block.slice(dimension, 1, length + 1);
        return at::Tensor(
            block.index_select(dimension, (at::zeros({length}, at::kLong).fill_(1).cumsum(0))
                                              .clamp_max(length - 1)
                                              .to(block.device())));
    };
    const at::Tensor dx = shifted(2, inner.width).slice(1, 0, inner.height) - core;
    const at::Tensor dy = shifted(1, inner.height).slice(2, 0, inner.width) - core;
    return {(dx.square() + dy.square()).sum(0).sqrt(), (dx.abs() + dy.abs()).sum(0)};
}

struct Correlation {
    double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    void add(const at::Tensor& a, const at::Tensor& b) {
        const at::Tensor u = a.cpu().to(at::kDouble);
        const at::Tensor v = b.cpu().to(at::kDouble);
        n += static_cast<double>(u.numel());
        x += u.sum().item<double>();
        y += v.sum().item<double>();
        xx += u.square().sum().item<double>();
        yy += v.square().sum().item<double>();
        xy += (u * v).sum().item<double>();
    }
    double value() const {
        const double varianceX = xx / n - (x / n) * (x / n);
        const double varianceY = yy / n - (y / n) * (y / n);
        if (!(varianceX > 0) || !(varianceY > 0)) return 0;
        return (xy / n - (x / n) * (y / n)) / std::sqrt(varianceX * varianceY);
    }
};

} // namespace

Result<FieldMetrics> measureField(const FeatureField& field, const FeatureGrid& low,
                                  const at::Tensor& guidance, std::int64_t tile,
                                  const RunContext& context) {
    const Extent extent = field.extent();
    if (guidance.size(1) != extent.height || guidance.size(2) != extent.width ||
        low.channels() != field.channels()) {
        return fail(
            ErrorCode::Mismatch,
            fmt::format(
                "The field of {} x {} pixels cannot be measured against a picture of {} x {} and "
                "features of {} channels.",
                extent.width, extent.height, guidance.size(2), guidance.size(1), low.channels()));
    }
    return guarded("measuring the field", [&] {
        const at::NoGradGuard noGrad;
        const Extent grid = low.extent();
        const at::Tensor rows = areaWeights(extent.height, grid.height);
        const at::Tensor columns = areaWeights(extent.width, grid.width);
        at::Tensor averaged = at::zeros({low.channels(), grid.height, grid.width});
        at::Tensor sum = at::zeros({low.channels()}, at::kDouble);
        Correlation edges;
        double variation = 0;
        double norm = 0;
        const auto grownTile = [&](const Rect& rect) {
            return Rect{rect.x, rect.y, std::min(rect.width + 1, extent.width - rect.x),
                        std::min(rect.height + 1, extent.height - rect.y)};
        };
        const std::vector<Rect> tiles = tilesOf(wholeOf(extent), tile);
        for (std::size_t i = 0; i < tiles.size(); ++i) {
            context.throwIfStopped();
            context.progress("measuring",
                             static_cast<double>(i) / static_cast<double>(2 * tiles.size()));
            const Rect& rect = tiles[i];
            const Rect outer = grownTile(rect);
            const at::Tensor block = field.evaluate(outer).cpu();
            const at::Tensor core = block.slice(1, 0, rect.height).slice(2, 0, rect.width);
            averaged += at::matmul(rows.slice(1, rect.y, rect.bottom()),
                                   at::matmul(core, columns.slice(1, rect.x, rect.right()).t()));
            sum += core.to(at::kDouble).sum({1, 2});
            norm += core.norm(2, 0).sum().item<double>();
            const Differences feature = differences(block, rect);
            const at::Tensor photo =
                guidance.cpu().slice(1, outer.y, outer.bottom()).slice(2, outer.x, outer.right());
            edges.add(feature.magnitude, differences(photo, rect).magnitude);
            variation += feature.absolute.sum().item<double>();
        }
        const auto pixels = static_cast<double>(extent.area());
        const at::Tensor mean = (sum / pixels).to(at::kFloat).view({-1, 1, 1});
        double deviation = 0;
        for (std::size_t i = 0; i < tiles.size(); ++i) {
            context.throwIfStopped();
            context.progress("measuring",
                             0.5 + static_cast<double>(i) / static_cast<double>(2 * tiles.size()));
            deviation += (field.evaluate(tiles[i]).cpu() - mean).abs().sum().item<double>();
        }

        FieldMetrics metrics;
        const at::Tensor reference = low.values.cpu();
        metrics.consistencyCosine =
            at::cosine_similarity(averaged, reference, 0).mean().item<double>();
        metrics.consistencyError = (averaged - reference).norm().item<double>() /
                                   std::max(reference.norm().item<double>(), 1e-12);
        metrics.edgeAlignment = edges.value();
        metrics.totalVariation = deviation > 0 ? variation / (2 * deviation) : 0;
        metrics.meanNorm = norm / pixels;
        context.progress("measuring", 1.0);
        return metrics;
    });
}

} // namespace loftscope
