// SPDX-License-Identifier: Apache-2.0
#include "core/image/color_map.h"

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

// Control points 0xRRGGBB at equal distances from t = 0 to t = 1, linear in between. Viridis and
// magma are van der Walt and Smith's perceptually uniform maps, turbo is Mikhailov's; 52 points
// keep each within 1/255 of its full table of 256.
constexpr std::array viridisPoints = {
    0x440154, 0x46085c, 0x471063, 0x481769, 0x481d6f, 0x482475, 0x472a7a, 0x46307e, 0x453781,
    0x433d84, 0x414287, 0x3f4889, 0x3d4e8a, 0x3a538b, 0x38598c, 0x355e8d, 0x33638d, 0x31688e,
    0x2e6d8e, 0x2c718e, 0x2a768e, 0x297b8e, 0x27808e, 0x25848e, 0x23898e, 0x218e8d, 0x20928c,
    0x1f978b, 0x1e9c89, 0x1fa188, 0x21a585, 0x24aa83, 0x28ae80, 0x2eb37c, 0x35b779, 0x3dbc74,
    0x46c06f, 0x50c46a, 0x5ac864, 0x65cb5e, 0x70cf57, 0x7cd250, 0x89d548, 0x95d840, 0xa2da37,
    0xb0dd2f, 0xbddf26, 0xcae11f, 0xd8e219, 0xe5e419, 0xf1e51d, 0xfde725,
};

constexpr std::array magmaPoints = {
    0x000004, 0x02020b, 0x050416, 0x090720, 0x0e0b2b, 0x140e36, 0x1a1042, 0x21114e, 0x29115a,
    0x311165, 0x390f6e, 0x420f75, 0x4a1079, 0x52137c, 0x5a167e, 0x621980, 0x6a1c81, 0x721f81,
    0x792282, 0x812581, 0x892881, 0x912b81, 0x992d80, 0xa1307e, 0xaa337d, 0xb2357b, 0xba3878,
    0xc23b75, 0xca3e72, 0xd2426f, 0xd9466b, 0xe04c67, 0xe75263, 0xec5860, 0xf1605d, 0xf4695c,
    0xf7725c, 0xf97b5d, 0xfb8560, 0xfc8e64, 0xfd9869, 0xfea16e, 0xfeaa74, 0xfeb47b, 0xfebd82,
    0xfec68a, 0xfecf92, 0xfed89a, 0xfde2a3, 0xfdebac, 0xfcf4b6, 0xfcfdbf,
};

constexpr std::array turboPoints = {
    0x30123b, 0x36215f, 0x3b2f80, 0x3f3e9c, 0x424bb5, 0x4559cb, 0x4666dd, 0x4773eb, 0x4680f6,
    0x458cfd, 0x4099ff, 0x38a5fb, 0x2fb2f4, 0x27bee9, 0x1fc9dd, 0x1ad4d0, 0x18ddc2, 0x1ae4b6,
    0x22ebaa, 0x2ff19b, 0x3ff68a, 0x52fa7a, 0x65fd69, 0x79fe59, 0x8bff4b, 0x9cfe40, 0xa9fb39,
    0xb7f735, 0xc3f134, 0xd0ea34, 0xdbe236, 0xe5d938, 0xeecf3a, 0xf5c53a, 0xfaba39, 0xfdae35,
    0xfea130, 0xfe932a, 0xfc8423, 0xf9751d, 0xf46617, 0xef5811, 0xe84b0c, 0xe14109, 0xd83706,
    0xce2d04, 0xc32503, 0xb71d02, 0xa91601, 0x9b0f01, 0x8b0902, 0x7a0403,
};

// Ours: blue and red of equal lightness on either side (told apart with every common colour
// blindness), a light grey without hue in the middle.
constexpr std::array blueRedPoints = {
    0x17407f, 0x2b6cb4, 0x6ba0d3, 0xaecbe6, 0xebebeb, 0xf2c3ad, 0xe08a6e, 0xc24a3e, 0x84172a,
};

constexpr std::array grayPoints = {0x000000, 0xffffff};

std::span<const int> pointsOf(ColorMap map) {
    switch (map) {
    case ColorMap::Gray:
        return grayPoints;
    case ColorMap::Viridis:
        return viridisPoints;
    case ColorMap::Magma:
        return magmaPoints;
    case ColorMap::Turbo:
        return turboPoints;
    case ColorMap::BlueRed:
        return blueRedPoints;
    }
    return grayPoints;
}

constexpr std::array maps = {ColorMap::Gray, ColorMap::Viridis, ColorMap::Magma, ColorMap::Turbo,
                             ColorMap::BlueRed};
constexpr std::array<std::uint8_t, 3> colorOfNaN{128, 128, 128};

} // namespace

std::string_view nameOf(ColorMap map) {
    switch (map) {
    case ColorMap::Gray:
        return "gray";
    case ColorMap::Viridis:
        return "viridis";
    case ColorMap::Magma:
        return "magma";
    case ColorMap::Turbo:
        return "turbo";
    case ColorMap::BlueRed:
        return "blue-red";
    }
    return "";
}

std::optional<ColorMap> colorMapNamed(std::string_view name) {
    for (const ColorMap map : maps)
        if (nameOf(map) == name) return map;
    return std::nullopt;
}

std::span<const ColorMap> allColorMaps() {
    return maps;
}

std::array<std::uint8_t, 3> colorAt(ColorMap map, float t) {
    if (std::isnan(t)) return colorOfNaN;
    const std::span<const int> points = pointsOf(map);
    const float position = std::clamp(t, 0.0F, 1.0F) * static_cast<float>(points.size() - 1);
    const std::size_t left = std::min(static_cast<std::size_t>(position), points.size() - 2);
    const float share = position - static_cast<float>(left);
    std::array<std::uint8_t, 3> color{};
    for (std::size_t c = 0; c < 3; ++c) {
        const int shift = 16 - 8 * static_cast<int>(c);
        const auto from = static_cast<float>((points[left] >> shift) & 0xff);
        const auto to = static_cast<float>((points[left + 1] >> shift) & 0xff);
        color[c] = static_cast<std::uint8_t>(std::lround(from + share * (to - from)));
    }
    return color;
}

} // namespace loftscope
