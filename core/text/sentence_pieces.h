// SPDX-License-Identifier: Apache-2.0
// The SentencePiece library behind an interface, because it lives in a module of its own: like
// LibTorch it defines FLAGS_minloglevel. In one program the dynamic linker makes one variable of
// both, and the library's constructor writes over what LibTorch keeps behind it: after that a
// tensor that found no memory ended the program instead of throwing.
#pragma once

#include <string>
#include <vector>

namespace loftscope {

class SentencePieces {
public:
    virtual ~SentencePieces() = default;
    /// Numbers of the pieces of a text; none where it cannot be cut up.
    virtual std::vector<int> encode(const std::string& text) const = 0;
    virtual int size() const = 0;
    virtual int endOfText() const = 0;
};

/// What the module exports under `sentencePiecesSymbol`: the model in a file, null if it is none.
/// The caller owns it.
using LoadSentencePieces = SentencePieces* (*)(const char* path);
inline constexpr const char* sentencePiecesSymbol = "loadSentencePieces";

} // namespace loftscope
