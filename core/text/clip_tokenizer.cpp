// SPDX-License-Identifier: Apache-2.0
#include "core/text/text_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <unicode/locid.h>
#include <unicode/regex.h>
#include <unicode/unistr.h>
#include <unordered_map>
#include <zlib.h>

namespace loftscope {

namespace {

constexpr std::string_view wordEnd = "</w>";
constexpr std::int64_t marks = 2; ///< of the beginning and the end: the last two of the vocabulary

/// Every byte as a letter that can be seen, in the order of the vocabulary: bytes that are
/// printable are themselves, others letters from 256 on.
struct ByteLetters {
    std::array<std::string, 256> letters; ///< UTF-8, by byte
    std::array<std::uint8_t, 256> order{};
};

ByteLetters byteLetters() {
    const auto utf8 = [](int code) {
        std::string text;
        icu::UnicodeString(static_cast<UChar32>(code)).toUTF8String(text);
        return text;
    };
    const auto printable = [](int byte) {
        return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    };
    ByteLetters table;
    std::size_t place = 0;
    for (int byte = 0; byte < 256; ++byte) {
        if (!printable(byte)) continue;
        table.letters[static_cast<std::size_t>(byte)] = utf8(byte);
        table.order[place++] = static_cast<std::uint8_t>(byte);
    }
    int letter = 256;
    for (int byte = 0; byte < 256; ++byte) {
        if (printable(byte)) continue;
        table.letters[static_cast<std::size_t>(byte)] = utf8(letter++);
        table.order[place++] = static_cast<std::uint8_t>(byte);
    }
    return table;
}

class ClipTokenizer final : public TextTokenizer {
public:
    explicit ClipTokenizer(const std::vector<std::string>& merges)
        : bytes_(byteLetters()) {
        const auto add = [&](std::string symbol) {
            const auto id = static_cast<std::int64_t>(ids_.size());
            ids_.emplace(std::move(symbol), id);
        };
        for (const std::uint8_t byte : bytes_.order)
            add(bytes_.letters[byte]);
        for (const std::uint8_t byte : bytes_.order)
            add(bytes_.letters[byte] + std::string(wordEnd));
        std::int64_t id = static_cast<std::int64_t>(ids_.size());
        for (std::size_t i = 0; i < merges.size(); ++i) {
            ranks_.emplace(merges[i], i);
            std::string symbol = merges[i];
            symbol.erase(symbol.find(' '), 1);
            ids_.insert_or_assign(std::move(symbol), id++);
        }
        begin_ = id;
    }

    std::vector<std::int64_t> tokens(std::string_view text, std::int64_t most) const override {
        icu::UnicodeString cleaned = icu::UnicodeString::fromUTF8(
            icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
        cleaned.toLower(icu::Locale::getRoot());
        UErrorCode status = U_ZERO_ERROR;
        icu::RegexMatcher words(R"('s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+)", cleaned,
                                0, status);
        std::vector<std::int64_t> found{begin_};
        while (U_SUCCESS(status) && words.find() != 0) {
            std::string word;
            words.group(status).toUTF8String(word);
            appendWord(word, found);
        }
        if (found.size() == 1) return {};
        found.resize(std::min(found.size(), static_cast<std::size_t>(most - 1)));
        found.push_back(begin_ + 1);
        return found;
    }

private:
    void appendWord(const std::string& word, std::vector<std::int64_t>& found) const {
        std::vector<std::string> symbols;
        for (const char byte : word)
            symbols.push_back(bytes_.letters[static_cast<std::uint8_t>(byte)]);
        symbols.back() += wordEnd;
        while (symbols.size() > 1) {
            // The pair that was merged first in training is merged first here.
            std::size_t best = std::numeric_limits<std::size_t>::max();
            std::string pair;
            for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
                const auto rank = ranks_.find(symbols[i] + " " + symbols[i + 1]);
                if (rank == ranks_.end() || rank->second >= best) continue;
                best = rank->second;
                pair = rank->first;
            }
            if (pair.empty()) break;
            std::vector<std::string> merged;
            for (std::size_t i = 0; i < symbols.size(); ++i) {
                if (i + 1 < symbols.size() && symbols[i] + " " + symbols[i + 1] == pair) {
                    merged.push_back(symbols[i] + symbols[i + 1]);
                    ++i;
                } else {
                    merged.push_back(symbols[i]);
                }
            }
            symbols = std::move(merged);
        }
        for (const std::string& symbol : symbols)
            found.push_back(ids_.at(symbol));
    }

    ByteLetters bytes_;
    std::unordered_map<std::string, std::int64_t> ids_;
    std::unordered_map<std::string, std::size_t> ranks_; ///< by "first second"
    std::int64_t begin_ = 0;
};

} // namespace

Result<std::unique_ptr<TextTokenizer>> readClipTokenizer(const std::filesystem::path& path,
                                                         std::int64_t vocabulary) {
    // Reads files that are not packed as well.
    gzFile const file = gzopen(path.c_str(), "rb");
    if (file == nullptr) {
        return fail(
            ErrorCode::NotFound,
            fmt::format("The vocabulary '{}' cannot be read: check the file.", path.string()));
    }
    const std::int64_t wanted = vocabulary - 2 * 256 - marks;
    std::vector<std::string> merges;
    std::array<char, 4096> line{};
    bool first = true;
    while (static_cast<std::int64_t>(merges.size()) < wanted &&
           gzgets(file, line.data(), static_cast<int>(line.size())) != nullptr) {
        std::string_view text(line.data());
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
            text.remove_suffix(1);
        // The first line tells the version.
        if (std::exchange(first, false) || text.empty()) continue;
        if (std::ranges::count(text, ' ') != 1) break;
        merges.emplace_back(text);
    }
    gzclose(file);
    if (wanted < 1 || static_cast<std::int64_t>(merges.size()) != wanted) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("'{}' has {} merges of byte pairs, but the text tower's vocabulary "
                                "needs {}: take the file that belongs to the checkpoint.",
                                path.string(), merges.size(), std::max<std::int64_t>(wanted, 0)));
    }
    return std::make_unique<ClipTokenizer>(merges);
}

} // namespace loftscope
