// SPDX-License-Identifier: Apache-2.0
#include "core/text/sentence_pieces.h"
#include "core/text/text_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <dlfcn.h>
#include <memory>
#include <string>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace loftscope {

namespace {

/// Beside the program; its name is that of the target in CMakeLists.txt.
constexpr const char* sentencePieceModule = "loftscope_sentencepiece.so";

class SentenceTokenizer final : public TextTokenizer {
public:
    explicit SentenceTokenizer(std::unique_ptr<SentencePieces> pieces)
        : pieces_(std::move(pieces)) {}

    std::vector<std::int64_t> tokens(std::string_view text, std::int64_t most) const override {
        const std::vector<int> ids = pieces_->encode(canonicalised(text));
        if (ids.empty()) return {};
        std::vector<std::int64_t> found(ids.begin(), ids.end());
        found.resize(std::min(found.size(), static_cast<std::size_t>(most - 1)));
        found.push_back(pieces_->endOfText());
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

    std::unique_ptr<SentencePieces> pieces_;
};

/// The module beside the program, loaded when first needed and kept; nothing if it cannot be.
LoadSentencePieces moduleFunction() {
    static const LoadSentencePieces function = []() -> LoadSentencePieces {
        std::error_code ignored;
        const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
        // Its symbols before the program's: that is what the module is for. Address sanitizers
        // cannot do that.
#if defined(__SANITIZE_ADDRESS__)
        constexpr int ownSymbolsFirst = 0;
#else
        constexpr int ownSymbolsFirst = RTLD_DEEPBIND;
#endif
        void* module =
            dlopen((folder / sentencePieceModule).c_str(), RTLD_NOW | RTLD_LOCAL | ownSymbolsFirst);
        if (module == nullptr) return nullptr;
        return reinterpret_cast<LoadSentencePieces>(dlsym(module, sentencePiecesSymbol));
    }();
    return function;
}

} // namespace

Result<std::unique_ptr<TextTokenizer>> readSentenceTokenizer(const std::filesystem::path& path,
                                                             std::int64_t vocabulary) {
    const LoadSentencePieces load = moduleFunction();
    if (load == nullptr) {
        return fail(
            ErrorCode::NotFound,
            fmt::format("'{}', which reads SigLIP's vocabularies, is not beside the program "
                        "or cannot be loaded: build or install LoftScope again.",
                        sentencePieceModule));
    }
    std::unique_ptr<SentencePieces> pieces(load(path.c_str()));
    if (!pieces) {
        return fail(ErrorCode::Malformed,
                    fmt::format("The vocabulary '{}' is no SentencePiece model that can be read: "
                                "fetch it again.",
                                path.string()));
    }
    if (pieces->size() != vocabulary) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("'{}' has {} pieces, but the text tower's vocabulary has {}: take "
                                "the file that belongs to the checkpoint.",
                                path.string(), pieces->size(), vocabulary));
    }
    return std::make_unique<SentenceTokenizer>(std::move(pieces));
}

} // namespace loftscope
