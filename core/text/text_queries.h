// SPDX-License-Identifier: Apache-2.0
// Texts asked about the features of one backbone. Its text tower is read when the first one is.
#pragma once

#include "core/base/run_context.h"
#include "core/text/text_tower.h"

#include <filesystem>
#include <memory>
#include <string>

namespace loftscope {

/// A text as it is compared with features.
struct TextQuery {
    std::string text;
    at::Tensor direction; ///< of length 1
    std::shared_ptr<const TextTower> tower;
};

class TextQueries {
public:
    /// `checkpoint`: the file of the backbone that is called `backbone`, which makes features of
    /// `channels`.
    TextQueries(std::filesystem::path checkpoint, std::string backbone, std::int64_t channels,
                std::optional<Activation> activation, c10::Device device);
    ~TextQueries();

    /// May be asked from several threads. Errors: Unsupported (no text tower), NotFound (no
    /// vocabulary), InvalidArgument (no word in the text), Mismatch, those of reading the file.
    Result<TextQuery> query(const std::string& text, const RunContext& context = {}) const;

private:
    struct Loaded;
    Result<const Loaded*> load(const RunContext& context) const;

    std::filesystem::path checkpoint_;
    std::string backbone_;
    std::int64_t channels_ = 0;
    std::optional<Activation> activation_;
    c10::Device device_;
    struct Guarded;
    std::unique_ptr<Guarded> guarded_;
};

} // namespace loftscope
