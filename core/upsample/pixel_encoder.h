// SPDX-License-Identifier: Apache-2.0
// What AnyUp and JAFAR make of a picture's pixels: queries, and the picture's part of the keys.
#pragma once

#include "core/base/geometry.h"
#include "core/base/run_context.h"
#include "core/upsample/group_norm_blocks.h"

#include <memory>
#include <vector>

namespace loftscope {

struct PixelEncoderWeights {
    std::int64_t width = 0; ///< of queries and keys: 128
    Linear image_encoder_0; ///< 1 x 1, from R, G, B
    ResBlocks image_encoder;
    Linear query_encoder_0;
    ResBlocks query_encoder;
    Linear key_encoder_0;
    ResBlocks key_encoder;
    at::Tensor rope_freqs; ///< 2 x width: row, column
};

/// x cos + rotated x sin with angles of the pixel's place; coordinates run from 0 to 1 and include
/// both ends.
class RotaryPositions {
public:
    RotaryPositions(const at::Tensor& freqs, const Extent& extent);
    /// `rows`: those of `rect`, P x width.
    at::Tensor operator()(const at::Tensor& rows, const Rect& rect) const;

private:
    at::Tensor freqs_;
    at::Tensor rows_;
    at::Tensor columns_;
};

/// Describes pixels of one picture. A pixel's description needs of the others only the group norms'
/// statistics, which are found once, in one pass over the picture per norm.
class PixelEncoder {
public:
    /// `picture`: 3 x H x W on the weights' device.
    PixelEncoder(std::shared_ptr<const PixelEncoderWeights> weights, at::Tensor picture,
                 const RunContext& context);

    const Extent& extent() const { return extent_; }

    /// Queries of `rect` of the picture: P x width.
    at::Tensor queries(const Rect& rect) const;
    /// Queries of `rect` of a map of `extent`, averaged over the pixels behind each: P x width.
    at::Tensor pooledQueries(const Rect& rect, const Extent& extent) const;
    /// The picture's part of the keys, averaged over the cells of `grid`: h x w x width.
    at::Tensor pooledKeys(const Extent& grid, const RunContext& context) const;

private:
    at::Tensor pixels(const Rect& rect) const;
    at::Tensor encoded(const Rect& rect) const;
    template <typename Input>
    FittedNorms fit(const ResBlocks& blocks, bool keep, const RunContext& context,
                    const Input& input) const;

    std::shared_ptr<const PixelEncoderWeights> weights_;
    at::Tensor picture_;
    Extent extent_;
    RotaryPositions positions_;
    std::vector<Rect> strips_;
    FittedNorms imageNorms_;
    FittedNorms queryNorms_;
    FittedNorms keyNorms_;
};

/// `picture` of `extent` cut into full-width strips of about 16,000 pixels.
std::vector<Rect> stripsOf(const Extent& extent);

/// Root mean square norm over the last dimension (P x C), with PyTorch's default epsilon.
at::Tensor rmsNormed(const at::Tensor& rows, const at::Tensor& weight);

} // namespace loftscope
