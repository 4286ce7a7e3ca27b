// SPDX-License-Identifier: Apache-2.0
// How values become colours: every choice the user has, as plain values. The shaders take them as
// uniforms; the functions here are the same maths on the CPU, for readouts and exported figures.
#pragma once

#include "core/image/color_map.h"
#include "ui/render/map_buffer.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace loftscope {

struct ValueRange {
    float low = 0;
    float high = 1;
    bool flat() const { return !(high > low); }
    friend bool operator==(const ValueRange&, const ValueRange&) = default;
};

using Rgb = std::array<float, 3>; ///< 0..1

enum class ScoreScaling {
    Linear, ///< range to 0..1
    Sigmoid ///< 1 / (1 + exp(-2 v)), as the DINOv3 notebooks colour whitened scores
};

/// Blackens what is not foreground by one component's score.
struct ForegroundMask {
    bool enabled = false;
    int component = 0;
    float threshold = 0;
    bool keepAbove = true;
    friend bool operator==(const ForegroundMask&, const ForegroundMask&) = default;
};

/// PCA scores as false colours: three components as red, green and blue.
struct ScoreStyle {
    std::array<int, 3> components{0, 1, 2};
    std::array<ValueRange, 3> ranges{};      ///< of the whitened score, before a flip
    std::array<bool, 3> flipped{};           ///< the sign of a principal component is arbitrary
    std::array<float, 3> whitening{1, 1, 1}; ///< 1 / standard deviation of the component, or 1
    ScoreScaling scaling = ScoreScaling::Linear;
    ForegroundMask mask;
    friend bool operator==(const ScoreStyle&, const ScoreStyle&) = default;
};

/// One channel through a colour map.
struct ScalarStyle {
    int channel = 0;
    ColorMap map = ColorMap::Viridis;
    ValueRange range;
    bool reversed = false;       ///< the colour map from its end to its beginning
    bool opacityByValue = false; ///< over the photo, low values are transparent
    friend bool operator==(const ScalarStyle&, const ScalarStyle&) = default;
};

/// value * gain + bias; what the shaders receive for a range, a flip and a whitening together.
struct Affine {
    float gain = 1;
    float bias = 0;
};

/// Range to 0..1; a flat range gives 0.5 everywhere.
Affine affineOf(const ValueRange& range);
/// The range and the direction of the colour map.
Affine affineOf(const ScalarStyle& style);
/// Channel 0..2 of the style: to 0..1 (linear) or to the argument of the logistic function.
Affine affineOf(const ScoreStyle& style, int rgbIndex);

/// Colour of a pixel with the given scores (one per component of the map); components beyond the
/// last count as the last, NaN gives grey.
Rgb colorOf(const ScoreStyle& style, std::span<const float> scores);
Rgb colorOf(const ScalarStyle& style, float value);

/// Symmetric around zero, for differences.
ValueRange symmetric(const ValueRange& range);

/// Range between two percentiles (0..100) of the finite values that have arrived, linearly
/// interpolated, where the mask shows the map. Large maps are sampled evenly (at most 2^16
/// values). {0, 0} if there are none.
ValueRange percentileRange(const MapBuffer& map, int channel, double lowPercent, double highPercent,
                           const ForegroundMask& mask = {});

struct Histogram {
    ValueRange range; ///< smallest and largest finite value
    std::vector<std::uint32_t> bins;
    friend bool operator==(const Histogram&, const Histogram&) = default;
};

/// Of the finite values that have arrived, sampled like the percentiles.
Histogram histogramOf(const MapBuffer& map, int channel, int bins = 96);

} // namespace loftscope
