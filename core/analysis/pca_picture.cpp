// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/pca_picture.h"

#include "core/base/guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sigmoid.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace loftscope {

namespace {

at::Tensor foregroundMask(const at::Tensor& scores, double above) {
    return scores.select(0, 0) > above;
}

/// The component as it is shown: whitened if asked for.
at::Tensor shownScores(const at::Tensor& scores, const PcaBasis& basis, const PcaDisplay& display,
                       std::int64_t component) {
    const at::Tensor values = scores.select(0, component);
    if (!display.whiten && display.scaling != PcaScaling::Sigmoid) return values;
    const double deviation = std::sqrt(basis.variances[component].item<double>());
    return deviation > 0 ? values / deviation : values;
}

/// The value below which `percent` of the values lie, linearly interpolated. Reorders them.
double percentile(std::vector<float>& values, double percent) {
    const double position = percent / 100.0 * static_cast<double>(values.size() - 1);
    const auto low = values.begin() + static_cast<std::ptrdiff_t>(std::floor(position));
    std::nth_element(values.begin(), low, values.end());
    const double a = *low;
    const double b = low + 1 == values.end() ? a : *std::min_element(low + 1, values.end());
    return a + (b - a) * (position - std::floor(position));
}

} // namespace

std::array<ScoreRange, 3> scoreRanges(const at::Tensor& scores, const PcaBasis& basis,
                                      const PcaDisplay& display) {
    std::array<ScoreRange, 3> ranges;
    for (std::size_t i = 0; i < 3; ++i) {
        at::Tensor values = shownScores(scores, basis, display, display.components[i]).flatten();
        if (display.foregroundAbove)
            values =
                values.masked_select(foregroundMask(scores, *display.foregroundAbove).flatten());
        if (values.size(0) == 0) {
            ranges[i] = {0, 0};
            continue;
        }
        const at::Tensor flat = values.contiguous();
        const auto* data = flat.const_data_ptr<float>();
        std::vector<float> sorted(data, data + flat.numel());
        const bool whole = display.scaling != PcaScaling::Percentile;
        ranges[i] = {percentile(sorted, whole ? 0 : display.lowPercentile),
                     percentile(sorted, whole ? 100 : display.highPercentile)};
    }
    if (display.whiten) {
        const auto [low, high] =
            std::pair{std::min({ranges[0].low, ranges[1].low, ranges[2].low}),
                      std::max({ranges[0].high, ranges[1].high, ranges[2].high})};
        ranges.fill({low, high});
    }
    return ranges;
}

Result<Image> pcaPicture(const at::Tensor& scores, const PcaBasis& basis,
                         const PcaDisplay& display) {
    for (const std::int64_t component : display.components) {
        if (component < 0 || component >= scores.size(0)) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("Component {} was asked for, but there are components 0 to {}.",
                                    component, scores.size(0) - 1));
        }
    }
    if (!(display.lowPercentile >= 0 && display.lowPercentile < display.highPercentile &&
          display.highPercentile <= 100))
        return fail(ErrorCode::InvalidArgument, "Percentiles must rise and lie between 0 and 100.");
    return guarded("colouring principal components", [&] {
        const std::array<ScoreRange, 3> ranges = scoreRanges(scores, basis, display);
        // One component after the other: a map of many megapixels has no room for copies of all.
        std::vector<std::uint8_t> pixels(static_cast<std::size_t>(scores[0].numel()) * 3);
        const at::Tensor bytes =
            at::from_blob(pixels.data(), {scores.size(1), scores.size(2), 3}, at::kByte);
        for (std::size_t i = 0; i < 3; ++i) {
            const at::Tensor values = shownScores(scores, basis, display, display.components[i]);
            const double span = ranges[i].high - ranges[i].low;
            // A range of rounding noise is a constant map and must not be stretched into a pattern.
            const double magnitude = std::max(std::abs(ranges[i].low), std::abs(ranges[i].high));
            at::Tensor channel;
            if (span <= 1e-6 * magnitude) {
                channel = at::full({values.size(0), values.size(1)}, 0.5);
            } else if (display.scaling == PcaScaling::Sigmoid) {
                channel = at::sigmoid(values * 2.0);
            } else {
                channel = (values - ranges[i].low).div_(span).clamp_(0, 1);
            }
            if (display.foregroundAbove)
                channel.mul_(foregroundMask(scores, *display.foregroundAbove));
            bytes.select(2, static_cast<std::int64_t>(i))
                .copy_(channel.mul_(255.0).add_(0.5).clamp_(0, 255));
        }
        return Image({scores.size(1), scores.size(2)}, std::move(pixels));
    });
}

} // namespace loftscope
