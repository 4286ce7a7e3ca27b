// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

std::string formatNumber(double value, int significantDigits) {
    if (value == 0) return "0";
    return fmt::format("{:.{}g}", value, significantDigits);
}

std::string formatInRange(double value, double span) {
    if (!std::isfinite(value) || !(span > 0) || span >= 1e6 || span < 1e-6) {
        return formatNumber(value);
    }
    const int decimals = std::clamp(static_cast<int>(std::lround(3 - std::log10(span))), 0, 8);
    const std::string text = fmt::format("{:.{}f}", value, decimals);
    const bool zero = text.find_first_not_of("-0.") == std::string::npos;
    return zero && text.front() == '-' ? text.substr(1) : text;
}

std::vector<double> ticksBetween(double low, double high, int most) {
    std::vector<double> ticks;
    if (!(high > low) || !std::isfinite(high - low) || most < 1) return ticks;
    const double raw = (high - low) / most;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    double step = 10 * power;
    for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
        const double candidate = factor * power;
        const double count =
            std::floor(high / candidate + 1e-9) - std::ceil(low / candidate - 1e-9);
        if (count + 1 <= most) {
            step = candidate;
            break;
        }
        step = 20 * power;
    }
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k) {
        ticks.push_back(k == 0 ? 0 : k * step);
    }
    return ticks;
}

std::vector<std::string> formatTicks(const std::vector<double>& ticks) {
    std::vector<std::string> texts;
    const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 0;
    double largest = 0;
    for (const double tick : ticks)
        largest = std::max(largest, std::abs(tick));
    const bool scientific = largest >= 1e5 || (largest > 0 && largest < 1e-3);
    const int decimals =
        step > 0 ? std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 6) : 3;
    for (const double tick : ticks) {
        texts.push_back(scientific ? fmt::format("{:.3g}", tick)
                                   : fmt::format("{:.{}f}", tick, decimals));
    }
    return texts;
}

} // namespace loftscope
