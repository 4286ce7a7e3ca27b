// SPDX-License-Identifier: Apache-2.0
// What vision transformers have in common: blocks of self-attention and MLP over a sequence of
// patch tokens, with a few tokens without a place in front. A family adds how pictures become
// tokens, where tokens are told their place, and what is done with them at the end.
#pragma once

#include "core/backbone/activation.h"
#include "core/backbone/backbone.h"
#include "core/weights/layers.h"
#include "core/weights/vit_naming.h"

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

/// What the last block gives.
enum class LastBlock {
    Whole,  ///< as every other block
    Values, ///< its values alone, projected (MaskCLIP): no attention, no residual, no MLP
};

struct TransformerShape {
    std::string name;          ///< "DINOv2 ViT-S/14"
    std::int64_t patch = 0;    ///< in pixels
    std::int64_t width = 0;    ///< of a token inside
    std::int64_t channels = 0; ///< of a patch token at the end
    std::int64_t heads = 0;
    std::int64_t prefixTokens = 0;            ///< CLS and registers, in front of the patches
    Activation activation = Activation::Gelu; ///< unless the MLP is gated: SwiGLU
    LastBlock lastBlock = LastBlock::Whole;
    Normalisation normalisation;
};

/// Parameters of a block under their canonical names.
struct TransformerBlock {
    LayerNorm norm1;
    Linear qkv;     ///< `attn.qkv`
    Linear proj;    ///< `attn.proj`
    at::Tensor ls1; ///< `ls1.gamma`; undefined without LayerScale
    LayerNorm norm2;
    Linear expand;   ///< `mlp.fc1`, or `mlp.w12`: gate and value
    Linear contract; ///< `mlp.fc2`, or `mlp.w3`
    bool swiglu = false;
    at::Tensor ls2;
};

/// Reads `blocks.0` to `blocks.(depth - 1)` of `root`.
std::vector<TransformerBlock> readTransformerBlocks(const WeightScope& root, std::int64_t depth,
                                                    const VitBlockShape& shape, double eps,
                                                    c10::Device device);

class TransformerBackbone : public Backbone {
public:
    TransformerBackbone(TransformerShape shape, std::vector<TransformerBlock> blocks,
                        c10::Device device);

    std::string name() const override { return shape_.name; }
    std::int64_t patch() const override { return shape_.patch; }
    std::int64_t channels() const override { return shape_.channels; }
    std::int64_t depth() const override { return static_cast<std::int64_t>(blocks_.size()); }
    std::int64_t heads() const override { return shape_.heads; }
    Normalisation normalisation() const override { return shape_.normalisation; }

    Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps& taps,
                               const RunContext& context) const final;

protected:
    /// Queries and keys (heads x N x d) that know their tokens' places.
    struct QueryKey {
        at::Tensor query;
        at::Tensor key;
    };

    const TransformerShape& shape() const { return shape_; }
    c10::Device device() const { return device_; }

    /// `picture`: 1 x 3 x H x W on the device. The sequence that enters the first block, N x width:
    /// prefix tokens, then patches row by row.
    virtual at::Tensor embed(const at::Tensor& picture, const Extent& grid) const = 0;
    /// Tells queries and keys their places; the default leaves them as they are.
    virtual QueryKey placed(QueryKey pair, const Extent& grid) const;
    /// Tokens of the last block, as they come out at the end: N x channels.
    virtual at::Tensor finish(const at::Tensor& tokens) const = 0;

private:
    Result<void> checkInput(const at::Tensor& picture, const BackboneTaps& taps) const;
    BackboneOutput forward(const at::Tensor& picture, const BackboneTaps& taps,
                           const RunContext& context) const;
    at::Tensor feedForward(const TransformerBlock& block, const at::Tensor& x) const;

    TransformerShape shape_;
    std::vector<TransformerBlock> blocks_;
    c10::Device device_;
};

/// A backbone from a file whose keys follow `rules`; `make` gets its parameters under canonical
/// names and its blocks. Errors: Mismatch naming what is missing or misshapen.
Result<std::unique_ptr<Backbone>> buildTransformer(
    const StateDict& state, const std::vector<KeyRule>& rules, const std::string& name,
    std::int64_t depth, const VitBlockShape& shape, double eps, c10::Device device,
    const std::function<std::unique_ptr<Backbone>(const WeightScope& root,
                                                  std::vector<TransformerBlock> blocks)>& make);

/// What the activation makes of every number.
at::Tensor activated(Activation activation, const at::Tensor& x);

/// The patches of a picture as rows: N x width. `weight`: width x 3 x patch x patch.
at::Tensor patchRows(const at::Tensor& picture, const at::Tensor& weight, const at::Tensor& bias);

} // namespace loftscope
