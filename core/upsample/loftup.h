// SPDX-License-Identifier: Apache-2.0
// LoftUp (arXiv 2504.14032): every output pixel is a query, made of its coordinates and colour,
// that attends to the low-resolution tokens. Members carry the names of the published checkpoint's
// keys.
#pragma once

#include "core/upsample/coordinate_convolution.h"
#include "core/upsample/coordinate_encoder.h"
#include "core/upsample/feature_field.h"
#include "core/upsample/loftup_spec.h"
#include "core/upsample/packed_loftup.h"
#include "core/upsample/upsampler_methods.h"
#include "core/weights/layers.h"
#include "core/weights/state_dict.h"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <optional>
#include <vector>

namespace loftscope {

/// A 3 x 3 convolution with the BatchNorm behind it folded in (eval mode: running statistics).
struct FoldedConv {
    at::Tensor weight; ///< out x in x 3 x 3
    at::Tensor bias;
};

/// One block of the cross-attention transformer: `layers.i.0` (attention) and `layers.i.1`
/// (feed-forward).
struct CrossAttentionBlock {
    LayerNorm norm_q;
    LayerNorm norm_kv;
    Linear in_proj_q; ///< the three thirds of `attention.in_proj_weight`
    Linear in_proj_k;
    Linear in_proj_v;
    Linear out_proj;
    LayerNorm ff_norm;  ///< `net.0`
    Linear ff_expand;   ///< `net.1`
    Linear ff_contract; ///< `net.4`
};

struct LoftUpWeights {
    LoftUpSpec spec;
    std::optional<LayerNorm> channelnorm; ///< absent in files pushed without it
    CoordinateEncoder lr_pe;
    CoordinateEncoder fourier_feat;
    LayerNorm first_conv_norm; ///< `first_conv.0`
    FoldedConv first_conv_1;   ///< `first_conv.1` and its BatchNorm `first_conv.2`
    FoldedConv first_conv_4;   ///< `first_conv.4` and its BatchNorm `first_conv.5`
    std::vector<CrossAttentionBlock> layers;
    LayerNorm norm;            ///< `ca_transformer.norm`
    Linear final_conv;         ///< `final_conv.0`, a 1 x 1 convolution
    LayerNorm final_conv_norm; ///< `final_conv.1`, over channels
    /// Type of convolutions, linear layers and attention. In bf16 and fp16 Fourier angles, norms
    /// and the residual stream stay fp32.
    c10::ScalarType arithmetic = c10::ScalarType::Float;
    c10::Device device = c10::kCPU;
    /// The same for the bf16 kernels, where the processor has what they need.
    std::shared_ptr<const PackedLoftUp> packed;
};

/// Intermediate values of a rectangle, (h * w) x channels each: what parity tests and diagnoses
/// look at.
struct LoftUpStages {
    at::Tensor fourier;                     ///< 203 channels
    at::Tensor fourierNorm;                 ///< after LayerNorm(203)
    at::Tensor conv1;                       ///< after the first convolution, BatchNorm, ReLU
    at::Tensor firstConv;                   ///< query tokens
    std::vector<at::Tensor> afterAttention; ///< per block: query + attention
    std::vector<at::Tensor> afterBlock;     ///< per block: after the feed-forward residual
};

/// LoftUp of one picture: any rectangle of it, exact to the last bits however it is tiled (the
/// convolutions reach 2 pixels, colour range and coordinates are those of the whole picture, output
/// pixels do not see each other otherwise).
class LoftUpField final : public FeatureField {
public:
    /// `low`: C x h x w. `guidance`: 3 x H x W.
    LoftUpField(std::shared_ptr<const LoftUpWeights> weights, const FeatureGrid& low,
                const at::Tensor& guidance);

    Extent extent() const override { return extent_; }
    std::int64_t channels() const override { return weights_->spec.channels; }
    Extent gridExtent() const override { return grid_; }
    at::Tensor evaluate(const Rect& rect) const override;
    at::Tensor evaluateEvery(const Rect& rect, std::int64_t stride) const override;
    std::optional<at::Tensor> attend(const Pixel& pixel) const override;

    /// The same as `evaluate`, keeping what came between; always by plain LibTorch.
    at::Tensor evaluate(const Rect& rect, LoftUpStages& stages) const;
    /// The guidance after min-max scaling, 3 x H x W.
    at::Tensor scaledGuidance() const { return picture_.scaled(wholeOf(extent_)); }
    /// Keys and values before each block's norm: N x D (features after channelnorm, and their
    /// position code).
    const at::Tensor& tokens() const { return tokens_; }

private:
    struct KeysValues {
        at::Tensor keys;   ///< heads x N x D / heads
        at::Tensor values; ///< heads x N x D / heads
    };

    /// The first convolution's output at the pixels of `middle`: 1 x D x h x w.
    at::Tensor firstConvolved(const Rect& middle, LoftUpStages* stages) const;
    /// Query tokens of `rect`; the convolutions run over at least `convolvedSide` pixels each way.
    at::Tensor queryTokens(const Rect& rect, std::int64_t convolvedSide,
                           LoftUpStages* stages) const;
    /// The second convolution at the pixels of `inner`, from the first one's around them (0 beyond
    /// the picture): a few rows at a time on a CPU, so that a stop is heeded soon.
    at::Tensor secondConvolved(const at::Tensor& conv1, const Rect& middle,
                               const Rect& inner) const;
    at::Tensor blockQuery(std::size_t block, const at::Tensor& x) const;
    at::Tensor feedForward(const CrossAttentionBlock& block, const at::Tensor& x) const;
    /// From query tokens to features: n x D to n x C.
    at::Tensor throughLayers(at::Tensor x, LoftUpStages* stages) const;
    /// Query tokens of single pixels: n x D.
    at::Tensor queryTokens(const std::vector<Pixel>& pixels) const;
    at::Tensor evaluateByKernels(const Rect& rect) const;
    at::Tensor run(const Rect& rect, std::int64_t convolvedSide, LoftUpStages* stages) const;

    std::shared_ptr<const LoftUpWeights> weights_;
    Extent extent_;
    Extent grid_;
    UnitRangePicture picture_;
    CoordinateEncoder::Tables coordinates_;
    std::optional<CoordinateConvolution> conv1Table_; ///< where the picture has few colour levels
    at::Tensor tokens_;
    std::vector<KeysValues> keysValues_;
    std::vector<PackedHeads> packedHeads_; ///< per block, where the kernels are used
};

/// Builds the upsampler from canonical (published) key names. Errors: Mismatch naming what is
/// missing or misshapen.
Result<std::unique_ptr<Upsampler>> makeLoftUp(const StateDict& state, const LoftUpSpec& spec,
                                              c10::Device device = c10::kCPU,
                                              c10::ScalarType arithmetic = c10::ScalarType::Float);
/// Recognises it as published, as Lightning stores it, and without its channel norm.
Recognition<UpsamplerCandidate> recogniseLoftUpModel(const StateDict& state);
/// The parameters alone, for those who bind by themselves.
Result<std::shared_ptr<const LoftUpWeights>>
readLoftUpWeights(const StateDict& state, const LoftUpSpec& spec, c10::Device device = c10::kCPU,
                  c10::ScalarType arithmetic = c10::ScalarType::Float);

} // namespace loftscope
