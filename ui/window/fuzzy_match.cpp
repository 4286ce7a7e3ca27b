// SPDX-License-Identifier: Apache-2.0
#include "ui/window/fuzzy_match.h"

#include <QStringList>

#include <algorithm>
#include <cstddef>
#include <limits>

namespace loftscope {

namespace {

constexpr int letterScore = 1;
constexpr int sideBySideScore = 8;
constexpr int textStartScore = 2;
constexpr int gapScore = -2;
constexpr int wordStartScore = 8;
constexpr int impossible = std::numeric_limits<int>::min() / 2;

bool startsWord(const QString& text, int at) {
    return at == 0 || (text[at].isLetterOrNumber() && !text[at - 1].isLetterOrNumber());
}

/// The best alignment of one word. best[i][j]: letters 0..i matched, letter i at text position j.
std::optional<FuzzyMatch> matchWord(const QString& word, const QString& text) {
    const auto rows = static_cast<std::size_t>(word.size());
    const auto columns = static_cast<std::size_t>(text.size());
    std::vector<std::vector<int>> best(rows, std::vector<int>(columns, impossible));
    std::vector<std::vector<int>> from(rows, std::vector<int>(columns, -1));
    for (std::size_t i = 0; i < rows; ++i) {
        int before = impossible; // best of the row above, left of j - 1
        int beforeAt = -1;
        for (std::size_t j = i; j < columns; ++j) {
            if (i > 0 && j > 1 && best[i - 1][j - 2] + gapScore > before) {
                before = best[i - 1][j - 2] + gapScore;
                beforeAt = static_cast<int>(j) - 2;
            }
            if (text[static_cast<int>(j)].toCaseFolded() !=
                word[static_cast<int>(i)].toCaseFolded())
                continue;
            const int own = letterScore + (j == 0 ? textStartScore : 0) +
                            (startsWord(text, static_cast<int>(j)) ? wordStartScore : 0);
            if (i == 0) {
                best[i][j] = own;
                continue;
            }
            const int adjacent = j > 0 && best[i - 1][j - 1] > impossible
                                     ? best[i - 1][j - 1] + sideBySideScore
                                     : impossible;
            if (adjacent <= impossible && before <= impossible) continue;
            best[i][j] = own + std::max(adjacent, before);
            from[i][j] = adjacent >= before ? static_cast<int>(j) - 1 : beforeAt;
        }
    }
    const auto& last = best.back();
    const auto end = std::ranges::max_element(last);
    if (end == last.end() || *end <= impossible) return std::nullopt;
    FuzzyMatch match{*end, std::vector<int>(rows)};
    int at = static_cast<int>(end - last.begin());
    for (std::size_t i = rows; i-- > 0;) {
        match.positions[i] = at;
        at = from[i][static_cast<std::size_t>(at)];
    }
    return match;
}

} // namespace

std::optional<FuzzyMatch> fuzzyMatch(const QString& pattern, const QString& text) {
    FuzzyMatch match;
    for (const QString& word : pattern.split(' ', Qt::SkipEmptyParts)) {
        if (word.size() > text.size()) return std::nullopt;
        const auto found = matchWord(word, text);
        if (!found) return std::nullopt;
        match.score += found->score;
        match.positions.insert(match.positions.end(), found->positions.begin(),
                               found->positions.end());
    }
    std::ranges::sort(match.positions);
    const auto repeated = std::ranges::unique(match.positions);
    match.positions.erase(repeated.begin(), repeated.end());
    return match;
}

} // namespace loftscope
