// SPDX-License-Identifier: Apache-2.0
// A vision transformer that turns a picture into a grid of patch tokens.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/base/run_context.h"
#include "core/image/normalisation.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// Low-resolution features of one picture.
struct FeatureGrid {
    at::Tensor values; ///< C x h x w, fp32
    std::int64_t channels() const { return values.size(0); }
    Extent extent() const { return {values.size(1), values.size(2)}; }
};

/// What to return besides the final patch tokens.
struct BackboneTaps {
    std::vector<std::int64_t> layers; ///< blocks (0-based) whose output tokens are wanted, after
                                      ///< the final norm's place is not applied
    bool attention = false;           ///< every block's self-attention of `query`
    std::optional<Pixel> query; ///< the attending patch, as column and row of the token grid; the
                                ///< CLS token if absent
};

struct BackboneOutput {
    FeatureGrid tokens; ///< patch tokens after the final norm
    std::vector<FeatureGrid>
        layers; ///< as asked for in BackboneTaps::layers, before the final norm
    at::Tensor
        attention; ///< depth x heads x h x w: softmax weights of the query over the patch tokens
    at::Tensor
        attentionElsewhere; ///< depth x heads: the share that goes to CLS and register tokens
};

/// A backbone with its weights. Immutable after loading; may be used from several threads.
class Backbone {
public:
    virtual ~Backbone() = default;

    virtual std::string name() const = 0;            ///< e.g. "DINOv2 ViT-S/14"
    virtual std::int64_t patch() const = 0;          ///< in pixels
    virtual std::int64_t channels() const = 0;       ///< of a patch token
    virtual std::int64_t depth() const { return 0; } ///< inner blocks that can be looked at
    virtual std::int64_t heads() const { return 0; } ///< per block
    virtual Normalisation normalisation() const { return {}; }

    /// `picture`: 1 x 3 x H x W, fp32, normalised, H and W multiples of the patch. Checks `context`
    /// between blocks. Errors: InvalidArgument (size), OutOfMemory, Cancelled.
    virtual Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps& taps,
                                       const RunContext& context) const = 0;
};

/// Whether `picture` is one that the backbone takes: 1 x 3 x H x W, sides multiples of the patch.
/// Errors: InvalidArgument.
Result<void> checkPicture(const Backbone& backbone, const at::Tensor& picture);

/// For backbones whose inner blocks cannot be seen. Errors: Unsupported if any tap is wanted.
Result<void> refuseTaps(const Backbone& backbone, const BackboneTaps& taps);

} // namespace loftscope
