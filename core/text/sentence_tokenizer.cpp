// SPDX-License-Identifier: Apache-2.0
#include "core/text/text_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <sentencepiece_processor.h>
#include <string>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace loftscope {

namespace {

class SentenceTokenizer final : public TextTokenizer {
public:
    explicit SentenceTokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor)
        : processor_(std::move(processor)) {}

    std::vector<std::int64_t> tokens(std::string_view text, std::int64_t most) const override {
        std::vector<int> ids;
        const std::string canonical = canonicalised(text);
        if (canonical.empty() || !processor_->Encode(canonical, &ids).ok()) return {};
        std::vector<std::int64_t> found(ids.begin(), ids.end());
        found.resize(std::min(found.size(), static_cast<std::size_t>(most - 1)));
        found.push_back(processor_->eos_id());
        return found;
    }

private:
    /// As SigLIP was trained: lower case, underscores as spaces, no other ASCII punctuation, single
    /// spaces.
    static std::string canonicalised(std::string_view text) {
        icu::UnicodeString words = icu::UnicodeString::fromUTF8(
            icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
        words.toLower(icu::Locale::getRoot());
        icu::UnicodeString kept;
        for (std::int32_t i = 0; i < words.length(); ++i) {
            const char16_t unit = words[i];
            const bool space = unit == u'_' || u_isUWhiteSpace(unit) != 0;
            const bool ascii = unit < 128;
            if (space) {
                if (!kept.isEmpty() && kept[kept.length() - 1] != u' ') kept.append(u' ');
            } else if (!ascii || u_isalnum(unit) != 0 || unit < u'!') {
                kept.append(unit);
            }
        }
        std::string result;
        kept.trim().toUTF8String(result);
        return result;
    }

    std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
};

} // namespace

Result<std::unique_ptr<TextTokenizer>> readSentenceTokenizer(const std::filesystem::path& path,
                                                             std::int64_t vocabulary) {
    auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
    if (const auto status = processor->Load(path.string()); !status.ok()) {
        return fail(ErrorCode::Malformed,
                    fmt::format("The vocabulary '{}' is no SentencePiece model that can be read: "
                                "fetch it again.",
                                path.string()));
    }
    if (processor->GetPieceSize() != vocabulary) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("'{}' has {} pieces, but the text tower's vocabulary has {}: take "
                                "the file that belongs to the checkpoint.",
                                path.string(), processor->GetPieceSize(), vocabulary));
    }
    return std::make_unique<SentenceTokenizer>(std::move(processor));
}

} // namespace loftscope
