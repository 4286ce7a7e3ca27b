// SPDX-License-Identifier: Apache-2.0
#include "core/text/sentence_pieces.h"

#include <memory>
#include <sentencepiece_processor.h>

namespace loftscope {

namespace {

class Pieces final : public SentencePieces {
public:
    bool load(const char* path) { return processor_.Load(path).ok(); }
    std::vector<int> encode(const std::string& text) const override {
        std::vector<int> ids;
        if (!processor_.Encode(text, &ids).ok()) ids.clear();
        return ids;
    }
    int size() const override { return processor_.GetPieceSize(); }
    int endOfText() const override { return processor_.eos_id(); }

private:
    sentencepiece::SentencePieceProcessor processor_;
};

} // namespace

extern "C" SentencePieces* loadSentencePieces(const char* path) {
    auto pieces = std::make_unique<Pieces>();
    return pieces->load(path) ? pieces.release() : nullptr;
}

} // namespace loftscope
