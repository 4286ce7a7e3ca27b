// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them: 3-4 significant digits, round ticks.
#pragma once

#include <string>
#include <vector>

namespace loftscope {

/// "0.1234", "12.3", "-1.2e-05"; never "-0".
std::string formatNumber(double value, int significantDigits = 4);

/// With as many decimals as tell values a thousandth of `span` apart (0: significant digits), so
/// that numbers of one pane have the same length: "0.360", "12.4"; never "-0.000".
std::string formatInRange(double value, double span);

/// Round values (1, 2 or 5 times a power of ten apart) inside low..high, at most `most` of them.
std::vector<double> ticksBetween(double low, double high, int most);
/// Ticks as text with the same number of decimals.
std::vector<std::string> formatTicks(const std::vector<double>& ticks);

} // namespace loftscope
