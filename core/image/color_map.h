// SPDX-License-Identifier: Apache-2.0
// Colour maps for scalar maps: sequential for shares and similarities, diverging for signed
// differences.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace loftscope {

enum class ColorMap {
    Gray,
    Viridis,
    Magma,
    Turbo,
    BlueRed /**< diverging, neutral in the middle */
};

std::string_view nameOf(ColorMap map);
std::optional<ColorMap> colorMapNamed(std::string_view name);
std::span<const ColorMap> allColorMaps();

/// R, G, B of the map at `t`, clamped to 0..1; NaN gives a neutral grey.
std::array<std::uint8_t, 3> colorAt(ColorMap map, float t);

} // namespace loftscope
