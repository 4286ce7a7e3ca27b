// SPDX-License-Identifier: Apache-2.0
// Paths with options behind them, as command lines give them: PATH[:KEY=VALUE,...].
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

struct PathOptions {
    std::string path;
    std::vector<std::string> options; ///< KEY=VALUE, as they stand there
};

/// What follows the last colon are options if it looks like one: a path may have colons too.
inline PathOptions splitPathOptions(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find('=', colon) == std::string_view::npos)
        return {std::string(text), {}};
    PathOptions split{std::string(text.substr(0, colon)), {}};
    std::string_view rest = text.substr(colon + 1);
    while (!rest.empty()) {
        const std::string_view option = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), option.size() + 1));
        split.options.emplace_back(option);
    }
    return split;
}

} // namespace loftscope
