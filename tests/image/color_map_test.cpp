// SPDX-License-Identifier: Apache-2.0
#include "core/image/color_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace loftscope {
namespace {

using Color = std::array<std::uint8_t, 3>;

struct Sample {
    ColorMap map;
    int index; ///< of 256
    Color color;
};

// Entries of the published tables of 256, at places that are not our control points.
TEST(ColorMaps, AgreeWithThePublishedTables) {
    const std::array samples = {
        Sample{ColorMap::Viridis, 0, {68, 1, 84}},
        Sample{ColorMap::Viridis, 27, {72, 38, 119}},
        Sample{ColorMap::Viridis, 62, {60, 80, 139}},
        Sample{ColorMap::Viridis, 98, {43, 116, 142}},
        Sample{ColorMap::Viridis, 127, {33, 144, 141}},
        Sample{ColorMap::Viridis, 163, {44, 177, 126}},
        Sample{ColorMap::Viridis, 202, {117, 208, 84}},
        Sample{ColorMap::Viridis, 238, {210, 226, 27}},
        Sample{ColorMap::Viridis, 255, {253, 231, 37}},
        Sample{ColorMap::Magma, 0, {0, 0, 4}},
        Sample{ColorMap::Magma, 27, {22, 15, 59}},
        Sample{ColorMap::Magma, 62, {78, 17, 123}},
        Sample{ColorMap::Magma, 98, {134, 39, 129}},
        Sample{ColorMap::Magma, 127, {181, 54, 122}},
        Sample{ColorMap::Magma, 163, {234, 86, 97}},
        Sample{ColorMap::Magma, 202, {253, 155, 107}},
        Sample{ColorMap::Magma, 238, {253, 222, 160}},
        Sample{ColorMap::Magma, 255, {252, 253, 191}},
        Sample{ColorMap::Turbo, 0, {48, 18, 59}},
        Sample{ColorMap::Turbo, 27, {69, 94, 211}},
        Sample{ColorMap::Turbo, 62, {44, 183, 240}},
        Sample{ColorMap::Turbo, 98, {56, 244, 145}},
        Sample{ColorMap::Turbo, 127, {161, 253, 61}},
        Sample{ColorMap::Turbo, 163, {242, 201, 58}},
        Sample{ColorMap::Turbo, 202, {242, 96, 20}},
        Sample{ColorMap::Turbo, 238, {175, 24, 1}},
        Sample{ColorMap::Turbo, 255, {122, 4, 3}},
    };
    for (const Sample& sample : samples) {
        const Color color = colorAt(sample.map, static_cast<float>(sample.index) / 255.0F);
        for (std::size_t c = 0; c < 3; ++c)
            EXPECT_NEAR(color[c], sample.color[c], 2)
                << nameOf(sample.map) << " entry " << sample.index;
    }
}

TEST(ColorMaps, GrayIsTheValueItself) {
    for (int i = 0; i < 256; ++i) {
        const auto level = static_cast<std::uint8_t>(i);
        EXPECT_EQ(colorAt(ColorMap::Gray, static_cast<float>(i) / 255.0F),
                  (Color{level, level, level}));
    }
}

TEST(ColorMaps, ClampAndMarkNaN) {
    for (const ColorMap map : allColorMaps()) {
        EXPECT_EQ(colorAt(map, -3.0F), colorAt(map, 0.0F));
        EXPECT_EQ(colorAt(map, 1.5F), colorAt(map, 1.0F));
        EXPECT_EQ(colorAt(map, std::numeric_limits<float>::infinity()), colorAt(map, 1.0F));
        EXPECT_EQ(colorAt(map, std::nanf("")), (Color{128, 128, 128}));
    }
}

double luminance(const Color& color) {
    const auto linear = [](std::uint8_t level) { return std::pow(level / 255.0, 2.2); };
    return 0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2]);
}

TEST(ColorMaps, BlueRedIsBalancedAroundANeutralMiddle) {
    const Color middle = colorAt(ColorMap::BlueRed, 0.5F);
    EXPECT_EQ(middle[0], middle[1]);
    EXPECT_EQ(middle[1], middle[2]);
    EXPECT_GT(middle[0], 220);
    for (int i = 1; i <= 10; ++i) {
        const float distance = 0.05F * static_cast<float>(i);
        const Color blue = colorAt(ColorMap::BlueRed, 0.5F - distance);
        const Color red = colorAt(ColorMap::BlueRed, 0.5F + distance);
        EXPECT_GT(blue[2], blue[0]);
        EXPECT_GT(red[0], red[2]);
        EXPECT_NEAR(luminance(blue), luminance(red), 0.05) << distance;
        EXPECT_LT(luminance(blue), luminance(middle));
    }
}

TEST(ColorMaps, LuminanceOfSequentialMapsGrows) {
    for (const ColorMap map : {ColorMap::Gray, ColorMap::Viridis, ColorMap::Magma}) {
        double previous = -1;
        for (int i = 0; i <= 50; ++i) {
            const double current = luminance(colorAt(map, static_cast<float>(i) / 50.0F));
            EXPECT_GE(current, previous - 0.004) << nameOf(map) << " at " << i;
            previous = current;
        }
    }
}

TEST(ColorMaps, AreFoundByName) {
    for (const ColorMap map : allColorMaps())
        EXPECT_EQ(colorMapNamed(nameOf(map)), map);
    EXPECT_EQ(colorMapNamed("jet"), std::nullopt);
}

} // namespace
} // namespace loftscope
