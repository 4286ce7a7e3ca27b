// SPDX-License-Identifier: Apache-2.0
// LoftUp's first convolution by table. What it convolves is sines and cosines of a pixel's row, of
// its column and of its three colour values, under one LayerNorm. In a picture of few colour levels
// (a photo of 8 bits has 256) each of these takes few values, so that everything a pixel can
// contribute to a neighbour is a sum of a handful of precomputed rows: 45 row additions replace a
// 9 x 203 x D product, exactly up to rounding.
#pragma once

#include "core/base/geometry.h"
#include "core/kernel/neighbour_sums.h"
#include "core/upsample/coordinate_encoder.h"
#include "core/weights/layers.h"

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace loftscope {

class CoordinateConvolution {
public:
    /// Tables for one picture. `norm`: the LayerNorm over the encoder's channels. `weight`: D x
    /// channels x 3 x 3, `bias`: D, fp32. Nothing if the picture has too many levels.
    static std::optional<CoordinateConvolution>
    create(const CoordinateEncoder& encoder, const CoordinateEncoder::Tables& coordinates,
           const UnitRangePicture& picture, const LayerNorm& norm, const at::Tensor& weight,
           const at::Tensor& bias);

    /// ReLU of the convolution at the pixels of `rect`, which may lie at the picture's border
    /// (beyond it, the normed features are 0): (h * w) x D, fp32.
    at::Tensor evaluate(const Rect& rect) const;
    /// The same in bf16 for the pixels of `rect` that lie in the picture, which it may exceed: h x
    /// w x D, D padded to a multiple of 16; 0 beyond the picture.
    at::Tensor evaluateHalf(const Rect& rect) const;
    /// For single pixels that lie apart: each with its 8 neighbours, n x 9 x D, fp32; 0 beyond the
    /// picture.
    at::Tensor evaluateAround(std::span<const Pixel> pixels) const;

private:
    CoordinateConvolution() = default;

    /// What some rows (or columns) of the picture give to their neighbours.
    struct LineTable {
        std::vector<std::int64_t> lines; ///< which, rising
        at::Tensor values;               ///< lines x (9 * stride)
        /// Of a line that is not there: any, since beyond the picture it is weighted with 0.
        const float* of(std::int64_t line) const;
    };
    static LineTable tableOf(std::vector<std::int64_t> lines, const at::Tensor& features,
                             const at::Tensor& weight);

    /// The pixels of `rect`, which lies in the picture; picture rows of results are `pitch` values
    /// apart.
    void evaluate(const Rect& rect, NeighbourTarget target, std::int64_t pitch) const;
    void evaluate(const Rect& rect, const LineTable& rows, const LineTable& columns,
                  NeighbourTarget target, std::int64_t pitch) const;
    GivingPixel givingPixel(const Pixel& pixel) const;

    Extent extent_;
    std::int64_t channels_ = 0; ///< D
    std::int64_t stride_ = 0;   ///< D padded to a multiple of 16, which all tables are
    /// By row and by column of the picture: sines, cosines, and what they add to the norm's mean.
    CoordinateEncoder::Tables features_;
    at::Tensor rowWeight_; ///< 9 * stride x features
    at::Tensor columnWeight_;
    std::array<at::Tensor, 3> colors_; ///< levels x 9 x stride: what a level adds to each neighbour
    at::Tensor constant_; ///< 4 x 4 x stride: the biases of norm and convolution, for pixels
                          ///< inside, at the first row, at the last, at both; the same for columns
    /// Sum and sum of squares of the features of a row, a column, a colour level.
    struct Sums {
        double value = 0;
        double square = 0;
    };
    std::vector<Sums> rowSums_;
    std::vector<Sums> columnSums_;
    std::array<std::vector<Sums>, 3> colorSums_;
    at::Tensor levels_;       ///< 3 x H x W, uint8: which level a pixel has
    std::int64_t normed_ = 0; ///< channels under the norm
    double eps_ = 0;
};

} // namespace loftscope
