// SPDX-License-Identifier: Apache-2.0
// From words to the numbers that a text tower was trained with.
#pragma once

#include "core/base/error.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace loftscope {

class TextTokenizer {
public:
    virtual ~TextTokenizer() = default;
    /// Tokens of a text (UTF-8), with the marks at its beginning and end, at most `most`; a text
    /// that is too long loses its end, not the mark. Empty where nothing is left of the text.
    virtual std::vector<std::int64_t> tokens(std::string_view text, std::int64_t most) const = 0;
};

/// CLIP's byte pairs. `path`: the publisher's `bpe_simple_vocab_16e6.txt.gz` (or unpacked), or
/// Hugging Face's `merges.txt`. `vocabulary`: rows of the text tower's table, 49408. Errors: those
/// of the file, Mismatch (too few merges).
Result<std::unique_ptr<TextTokenizer>> readClipTokenizer(const std::filesystem::path& path,
                                                         std::int64_t vocabulary);

/// A SentencePiece model, as SigLIP's (`spiece.model`) and SigLIP 2's (`tokenizer.model`): texts
/// are lower-cased and lose their punctuation. Errors: those of the file, Mismatch (another number
/// of pieces).
Result<std::unique_ptr<TextTokenizer>> readSentenceTokenizer(const std::filesystem::path& path,
                                                             std::int64_t vocabulary);

} // namespace loftscope
