// SPDX-License-Identifier: Apache-2.0
// The text towers of CLIP (Radford et al. 2021) and SigLIP (Zhai et al. 2023): what a text means,
// as a direction in the space that they share with image features.
#pragma once

#include "core/backbone/transformer.h"
#include "core/weights/model_identity.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// How the words of a text tower are numbered.
enum class TextVocabulary {
    Clip,   ///< byte pairs
    Siglip, ///< SentencePiece, padded with the mark of the end
    Siglip2 ///< SentencePiece, padded with its own token
};

struct TextTowerShape {
    TextVocabulary vocabulary = TextVocabulary::Clip;
    std::int64_t words = 0;   ///< rows of the table
    std::int64_t context = 0; ///< tokens that a text may have
    std::int64_t heads = 0;
    std::int64_t channels = 0; ///< of image features
    Activation activation = Activation::QuickGelu;
    Activation pooling = Activation::Gelu; ///< of the pooling's MLP
};

/// SigLIP's pooling of image tokens, as it is for one token alone: attention over one token is its
/// value.
struct TokenPooling {
    Linear value;
    Linear proj;
    LayerNorm norm;
    Linear expand;
    Linear contract;
};

struct TextTowerWeights {
    at::Tensor words;     ///< words x width
    at::Tensor positions; ///< context x width
    std::vector<TransformerBlock> blocks;
    LayerNorm norm;
    Linear projection;
    std::optional<TokenPooling> pooling; ///< of SigLIP
};

class TextTower {
public:
    TextTower(TextTowerShape shape, TextTowerWeights weights, c10::Device device);

    const TextTowerShape& shape() const { return shape_; }

    /// Direction of a text, of length 1. `tokens`: from the tokenizer, at most shape().context.
    at::Tensor embedding(const std::vector<std::int64_t>& tokens) const;

    /// Image features (C x h x w) in the space of texts: CLIP's are there already, SigLIP's pass
    /// its pooling, every pixel alone.
    at::Tensor inTextSpace(const at::Tensor& features) const;

private:
    TextTowerShape shape_;
    TextTowerWeights weights_;
    c10::Device device_;
};

/// Whether there is one in a state dict, told from names alone.
bool holdsTextTower(const StateDict& state);

/// The text tower in a state dict, in OpenAI's, open_clip's and Hugging Face's layouts; nothing
/// where there is none. `activation`: of CLIP, where the file does not tell. Errors: Unsupported,
/// Mismatch naming what is missing.
Result<std::optional<TextTower>>
readTextTower(const StateDict& state, std::optional<Activation> activation, c10::Device device);

} // namespace loftscope
