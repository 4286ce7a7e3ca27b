// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/pane_colors.h"

#include "core/image/pillow_resize.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace loftscope {

namespace {

using Span = PaneView::Span;

Span percentilesOf(const at::Tensor& values, const PaneView& view) {
    const at::Tensor flat = values.flatten();
    const at::Tensor finite = flat.masked_select(flat.isfinite());
    if (finite.size(0) == 0) return {0, 0};
    const at::Tensor sorted = std::get<0>(finite.sort());
    const auto at = [&](double percent) {
        const double position = percent / 100.0 * static_cast<double>(sorted.size(0) - 1);
        const auto low = static_cast<std::int64_t>(std::floor(position));
        const auto high = std::min(low + 1, sorted.size(0) - 1);
        const double a = sorted[low].item<double>();
        return a + (sorted[high].item<double>() - a) * (position - static_cast<double>(low));
    };
    return {at(view.lowPercent), at(view.highPercent)};
}

/// A range of rounding noise is a constant map and must not be stretched into a pattern.
bool isFlat(const Span& range) {
    return range.high - range.low <= 1e-6 * std::max(std::abs(range.low), std::abs(range.high));
}

/// `colors` over the photo; `opacityAt` tells the opacity at a pixel of the map.
Image overPhoto(const Image& colors, const Image& photo, bool smooth,
                const std::function<double(std::int64_t index)>& opacityAt) {
    const Image large =
        smooth ? pillowResize(colors, photo.extent(), PillowFilter::Bicubic) : colors;
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(photo.extent().area()) * 3);
    const auto cell = [](std::int64_t i, std::int64_t from, std::int64_t to) {
        return (2 * i + 1) * to / (2 * from);
    };
    for (std::int64_t y = 0; y < photo.height(); ++y) {
        const std::int64_t row = cell(y, photo.height(), colors.height());
        for (std::int64_t x = 0; x < photo.width(); ++x) {
            const std::int64_t column = cell(x, photo.width(), colors.width());
            const double opacity = opacityAt(row * colors.width() + column);
            const std::uint8_t* const above =
                smooth ? large.row(y) + 3 * x : colors.row(row) + 3 * column;
            const std::uint8_t* const below = photo.row(y) + 3 * x;
            for (int c = 0; c < 3; ++c)
                pixels.push_back(static_cast<std::uint8_t>(
                    std::lround(above[c] * opacity + below[c] * (1 - opacity))));
        }
    }
    return {photo.extent(), std::move(pixels)};
}

} // namespace

Span rangeOfMap(const at::Tensor& map, const PaneView& view) {
    if (view.ranges.size() == 1) return view.ranges[0];
    Span range = percentilesOf(map, view);
    if (view.map == ColorMap::BlueRed) {
        range.high = std::max(std::abs(range.low), std::abs(range.high));
        range.low = -range.high;
    }
    return range;
}

Image scalarPicture(const at::Tensor& map, const Span& range, const PaneView& view,
                    const Image& photo) {
    const at::Tensor values = map.cpu().to(at::kFloat).contiguous();
    const auto* const data = values.const_data_ptr<float>();
    const bool flat = isFlat(range);
    const auto share = [&](std::int64_t i) {
        return flat ? 0.5 : (static_cast<double>(data[i]) - range.low) / (range.high - range.low);
    };
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(values.numel()) * 3);
    for (std::int64_t i = 0; i < values.numel(); ++i) {
        const auto t = static_cast<float>(view.reversed ? 1 - share(i) : share(i));
        const auto color = colorAt(view.map, t);
        pixels.insert(pixels.end(), color.begin(), color.end());
    }
    const Image colors({map.size(0), map.size(1)}, std::move(pixels));
    if (photo.empty() || (view.opacity >= 1 && !view.opacityByValue)) return colors;
    return overPhoto(colors, photo, view.smooth, [&](std::int64_t i) {
        return view.opacity * (view.opacityByValue ? std::clamp(share(i), 0.0, 1.0) : 1.0);
    });
}

Image scoresPicture(const at::Tensor& scores, const at::Tensor& variances, const PaneView& view,
                    const Image& photo) {
    at::Tensor foreground; // h x w
    if (view.mask) {
        const at::Tensor score = scores.select(0, view.mask->component);
        foreground =
            view.mask->keepAbove ? score > view.mask->threshold : score < view.mask->threshold;
    }
    std::vector<at::Tensor> channels;
    for (std::size_t i = 0; i < 3; ++i) {
        const int component = view.components[i];
        at::Tensor values = scores.select(0, component);
        const double deviation = std::sqrt(variances[component].item<double>());
        if (view.whiten && deviation > 0) values = values / deviation;
        const bool flipped = std::ranges::find(view.flipped, component) != view.flipped.end();
        at::Tensor shown;
        if (view.sigmoid) {
            shown = at::sigmoid(values * (flipped ? -2.0 : 2.0));
        } else {
            const Span range = view.ranges.size() == 3 ? view.ranges[i]
                               : view.mask ? percentilesOf(values.masked_select(foreground), view)
                                           : percentilesOf(values, view);
            shown = isFlat(range) ? at::full(values.sizes(), 0.5)
                                  : ((values - range.low) / (range.high - range.low)).clamp(0, 1);
            if (flipped) shown = 1 - shown;
        }
        channels.push_back(shown);
    }
    at::Tensor colors = at::stack(channels, 2); // h x w x 3
    if (view.mask) colors = at::where(foreground.unsqueeze(2), colors, 0.0);
    const at::Tensor bytes = (colors * 255.0 + 0.5).clamp(0, 255).to(at::kByte).cpu().contiguous();
    const auto* const data = bytes.const_data_ptr<std::uint8_t>();
    const Image picture({scores.size(1), scores.size(2)},
                        std::vector<std::uint8_t>(data, data + bytes.numel()));
    if (photo.empty() || view.opacity >= 1) return picture;
    return overPhoto(picture, photo, view.smooth, [&](std::int64_t) { return view.opacity; });
}

} // namespace loftscope
