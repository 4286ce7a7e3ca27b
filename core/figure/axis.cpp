// SPDX-License-Identifier: Apache-2.0
#include "core/figure/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace loftscope {

namespace {

std::string withTypographicMinus(const std::string& number) {
    const bool isZero = number.find_first_not_of("-0.") == std::string::npos;
    const std::string digits = number.substr(number.starts_with('-') ? 1 : 0);
    return number.starts_with('-') && !isZero ? "\u2212" + digits : digits;
}

std::string powerOfTen(int exponent) {
    constexpr std::array<std::string_view, 10> digits = {"⁰", "¹", "²", "³", "⁴",
                                                         "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string text = "×10";
    if (exponent < 0) text += "⁻";
    for (const char digit : std::to_string(std::abs(exponent)))
        text += digits[static_cast<std::size_t>(digit - '0')];
    return text;
}

/// Decimals that show multiples of `step` exactly.
int decimalsFor(double step) {
    int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    const double scaled = step * std::pow(10.0, decimals);
    if (std::abs(scaled - std::round(scaled)) > 1e-6) ++decimals;
    return decimals;
}

} // namespace

Axis niceAxis(double low, double high, int maximalTicks) {
    Axis axis;
    const double largest = std::max(std::abs(low), std::abs(high));
    double unit = 1;
    if (largest != 0 && (largest < 1e-3 || largest >= 1e5)) {
        const int exponent = 3 * static_cast<int>(std::floor(std::log10(largest) / 3));
        axis.factor = powerOfTen(exponent);
        unit = std::pow(10.0, exponent);
    }
    const double from = low / unit;
    const double to = high / unit;
    // Ranges that the labels' digits could not tell apart count as constant.
    if (to - from <= 1e-6 * largest / unit) {
        axis.ticks.push_back({low, withTypographicMinus(fmt::format("{:.4g}", from))});
        return axis;
    }
    constexpr std::array mantissas = {1.0, 2.0, 2.5, 5.0};
    // Starts one power of ten below any step that could do.
    double power = std::pow(10.0, std::floor(std::log10((to - from) / maximalTicks)) - 1);
    for (std::size_t i = 0;; ++i) {
        if (i == mantissas.size()) {
            i = 0;
            power *= 10;
        }
        const double step = mantissas[i] * power;
        const double slack = 1e-9; // of a step, for ends that are multiples themselves
        const double first = std::ceil(from / step - slack);
        const double last = std::floor(to / step + slack);
        if (last - first + 1 > maximalTicks) continue;
        const int decimals = decimalsFor(step);
        for (double multiple = first; multiple <= last; ++multiple)
            axis.ticks.push_back(
                {std::clamp(multiple * step * unit, low, high),
                 withTypographicMinus(fmt::format("{:.{}f}", multiple * step, decimals))});
        return axis;
    }
}

} // namespace loftscope
