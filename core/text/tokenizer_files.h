// SPDX-License-Identifier: Apache-2.0
// Where the vocabulary of a text tower may lie on this computer. It is the publisher's, so that
// none comes with the program.
#pragma once

#include "core/store/model_places.h"
#include "core/text/text_tokenizer.h"
#include "core/text/text_tower.h"

namespace loftscope {

/// The tokenizer of a text tower: from its publisher's file beside the checkpoint, in the places of
/// models, or in a repository of that family in Hugging Face's cache, the first that fits. Errors:
/// NotFound with what to lay where, else those of the only file that was there.
Result<std::unique_ptr<TextTokenizer>> findTokenizer(const TextTowerShape& tower,
                                                     const std::filesystem::path& checkpoint,
                                                     const ModelPlaces& places);

} // namespace loftscope
