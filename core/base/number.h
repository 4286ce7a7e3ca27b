// SPDX-License-Identifier: Apache-2.0
// Numbers in text that a user or a file gives.
#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <type_traits>

namespace loftscope {

/// The finite number that `text` is, and nothing else.
template <typename Number>
std::optional<Number> parsedNumber(std::string_view text) {
    Number value{};
    const char* const end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || after != end || text.empty()) return std::nullopt;
    if constexpr (std::is_floating_point_v<Number>)
        if (!std::isfinite(value)) return std::nullopt;
    return value;
}

} // namespace loftscope
