// SPDX-License-Identifier: Apache-2.0
#include "ui/render/display_style.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace loftscope {
namespace {

/// Percentiles of so many values are off by about a tenth of a percent, and dragging one stays
/// fluent with many panes.
constexpr std::size_t sampleLimit = std::size_t{1} << 16;

bool isBackground(const ForegroundMask& mask, float score) {
    return mask.enabled && (score >= mask.threshold) != mask.keepAbove;
}

std::vector<float> sampleOf(const MapBuffer& map, int channel, const ForegroundMask& mask = {}) {
    const std::span<const float> values = map.channel(channel);
    const std::span<const float> masking = map.channel(mask.component);
    const std::span<const std::uint8_t> coverage = map.coverage();
    // An odd step that shares no factor with common widths, so that columns are not skipped.
    std::size_t step = std::max<std::size_t>(1, values.size() / sampleLimit);
    if (step > 1) step |= 1;
    std::vector<float> sample;
    sample.reserve(values.size() / step + 1);
    for (std::size_t i = 0; i < values.size(); i += step) {
        if (coverage[i] == 0 || !std::isfinite(values[i]) || isBackground(mask, masking[i]))
            continue;
        sample.push_back(values[i]);
    }
    return sample;
}

float atPercent(std::vector<float>& values, double percent) {
    const double position =
        std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(values.size() - 1);
    const auto lower = static_cast<std::ptrdiff_t>(std::floor(position));
    const auto middle = values.begin() + lower;
    std::nth_element(values.begin(), middle, values.end());
    const float below = *middle;
    if (middle + 1 == values.end()) return below;
    const float above = *std::min_element(middle + 1, values.end());
    return below + (above - below) * static_cast<float>(position - std::floor(position));
}

} // namespace

Affine affineOf(const ValueRange& range) {
    if (range.flat()) return {0, 0.5F};
    const float gain = 1 / (range.high - range.low);
    return {gain, -range.low * gain};
}

Affine affineOf(const ScalarStyle& style) {
    const Affine toUnit = affineOf(style.range);
    return style.reversed ? Affine{-toUnit.gain, 1 - toUnit.bias} : toUnit;
}

Affine affineOf(const ScoreStyle& style, int rgbIndex) {
    const auto i = static_cast<std::size_t>(rgbIndex);
    const float sign = style.flipped[i] ? -1.0F : 1.0F;
    if (style.scaling == ScoreScaling::Sigmoid) return {2 * sign * style.whitening[i], 0};
    const Affine toUnit = affineOf(style.ranges[i]);
    const float bias = style.flipped[i] ? 1 - toUnit.bias : toUnit.bias;
    return {sign * toUnit.gain * style.whitening[i], bias};
}

Rgb colorOf(const ScoreStyle& style, std::span<const float> scores) {
    const auto score = [&](int component) {
        const int last = static_cast<int>(scores.size()) - 1;
        return scores[static_cast<std::size_t>(std::clamp(component, 0, last))];
    };
    if (scores.empty()) return {0, 0, 0};
    if (isBackground(style.mask, score(style.mask.component))) return {0, 0, 0};
    Rgb color{};
    for (int i = 0; i < 3; ++i) {
        const float value = score(style.components[static_cast<std::size_t>(i)]);
        if (std::isnan(value)) return {0.5F, 0.5F, 0.5F};
        const Affine affine = affineOf(style, i);
        const float t = value * affine.gain + affine.bias;
        color[static_cast<std::size_t>(i)] = style.scaling == ScoreScaling::Sigmoid
                                                 ? 1 / (1 + std::exp(-t))
                                                 : std::clamp(t, 0.0F, 1.0F);
    }
    return color;
}

Rgb colorOf(const ScalarStyle& style, float value) {
    const Affine affine = affineOf(style);
    const float t = std::isnan(value) ? value : value * affine.gain + affine.bias;
    const auto bytes = colorAt(style.map, t);
    return {static_cast<float>(bytes[0]) / 255, static_cast<float>(bytes[1]) / 255,
            static_cast<float>(bytes[2]) / 255};
}

ValueRange symmetric(const ValueRange& range) {
    const float reach = std::max(std::abs(range.low), std::abs(range.high));
    return {-reach, reach};
}

ValueRange percentileRange(const MapBuffer& map, int channel, double lowPercent, double highPercent,
                           const ForegroundMask& mask) {
    std::vector<float> sample = sampleOf(map, channel, mask);
    if (sample.empty()) return {0, 0};
    return {atPercent(sample, lowPercent), atPercent(sample, highPercent)};
}

Histogram histogramOf(const MapBuffer& map, int channel, int bins) {
    Histogram histogram;
    histogram.bins.assign(static_cast<std::size_t>(std::max(bins, 1)), 0);
    const std::vector<float> sample = sampleOf(map, channel);
    if (sample.empty()) {
        histogram.range = {0, 0};
        return histogram;
    }
    const auto [low, high] = std::minmax_element(sample.begin(), sample.end());
    histogram.range = {*low, *high};
    const float scale = histogram.range.flat() ? 0
                                               : static_cast<float>(histogram.bins.size()) /
                                                     (histogram.range.high - *low);
    for (const float value : sample) {
        const auto bin = static_cast<std::size_t>((value - histogram.range.low) * scale);
        ++histogram.bins[std::min(bin, histogram.bins.size() - 1)];
    }
    return histogram;
}

} // namespace loftscope
