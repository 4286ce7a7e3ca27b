// SPDX-License-Identifier: Apache-2.0
// Finding an entry by a few of its letters: "clp" finds "Clear picks".
#pragma once

#include <QString>

#include <optional>
#include <vector>

namespace loftscope {

struct FuzzyMatch {
    int score = 0;              ///< higher is better
    std::vector<int> positions; ///< letters of the text that match, ascending
};

/// Every word of `pattern` must be found in `text`, its letters in order but not necessarily side
/// by side; case does not count. Starts of words and letters side by side score best. An empty
/// pattern matches everything with score 0.
std::optional<FuzzyMatch> fuzzyMatch(const QString& pattern, const QString& text);

} // namespace loftscope
