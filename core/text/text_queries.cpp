// SPDX-License-Identifier: Apache-2.0
#include "core/text/text_queries.h"

#include "core/base/guard.h"
#include "core/text/tokenizer_files.h"
#include "core/weights/tensor_file.h"

#include <fmt/format.h>

#include <mutex>

namespace loftscope {

struct TextQueries::Loaded {
    std::shared_ptr<const TextTower> tower;
    std::unique_ptr<TextTokenizer> tokenizer;
};

struct TextQueries::Guarded {
    std::mutex mutex;
    std::optional<Loaded> loaded;
};

TextQueries::TextQueries(std::filesystem::path checkpoint, std::string backbone,
                         std::int64_t channels, std::optional<Activation> activation,
                         c10::Device device)
    : checkpoint_(std::move(checkpoint))
    , backbone_(std::move(backbone))
    , channels_(channels)
    , activation_(activation)
    , device_(device)
    , guarded_(std::make_unique<Guarded>()) {}

TextQueries::~TextQueries() = default;

Result<TextQuery> TextQueries::query(const std::string& text, const RunContext& context) const {
    const std::lock_guard lock(guarded_->mutex);
    LOFTSCOPE_TRY(const Loaded* const loaded, load(context));
    const TextTowerShape& shape = loaded->tower->shape();
    return guarded("reading the text", [&]() -> Result<TextQuery> {
        const auto tokens = loaded->tokenizer->tokens(text, shape.context);
        if (tokens.empty())
            return fail(
                ErrorCode::InvalidArgument,
                fmt::format("There is no word in the text '{}': write what to look for.", text));
        return TextQuery{text, loaded->tower->embedding(tokens), loaded->tower};
    });
}

Result<const TextQueries::Loaded*> TextQueries::load(const RunContext& context) const {
    if (guarded_->loaded) return &*guarded_->loaded;
    context.progress("reading the text tower", 0);
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(checkpoint_, context));
    LOFTSCOPE_TRY(auto tower, readTextTower(file.tensors, activation_, device_));
    if (!tower) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("{} ('{}') has no text tower: texts need a CLIP or SigLIP "
                                "checkpoint that holds both towers.",
                                backbone_, checkpoint_.filename().string()));
    }
    if (tower->shape().channels != channels_) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("The text tower in '{}' speaks of {} channels, but the features "
                                "have {}: take a checkpoint that holds both towers whole.",
                                checkpoint_.filename().string(), tower->shape().channels,
                                channels_));
    }
    Loaded loaded;
    LOFTSCOPE_TRY(loaded.tokenizer, findTokenizer(tower->shape(), checkpoint_, modelPlaces()));
    loaded.tower = std::make_shared<const TextTower>(*std::move(tower));
    guarded_->loaded = std::move(loaded);
    return &*guarded_->loaded;
}

} // namespace loftscope
