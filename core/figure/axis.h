// SPDX-License-Identifier: Apache-2.0
// Round numbers along a scale, for colour bars and histograms.
#pragma once

#include <string>
#include <vector>

namespace loftscope {

struct Tick {
    double value = 0;
    std::string label; ///< UTF-8, with a typographic minus
};

struct Axis {
    std::vector<Tick> ticks; ///< ascending, all within the range
    std::string factor; ///< what the labels are to be multiplied by, e.g. "×10⁻⁶"; often empty
};

/// At most `maximalTicks` (2 or more) ticks at multiples of 1, 2, 2.5 or 5 times a power of ten;
/// with 5, there are three at least. A range of a single value (a constant map) has one tick. `low`
/// <= `high`, both finite.
Axis niceAxis(double low, double high, int maximalTicks = 5);

} // namespace loftscope
