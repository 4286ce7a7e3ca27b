// SPDX-License-Identifier: Apache-2.0
// LoftUp's first convolution by table. What it convolves is sines and cosines of a pixel's row, of
// its column and of its three colour values, under one LayerNorm. In a picture of few colour levels
// (a photo of 8 bits has 256) each of these takes few values, so that everything a pixel can
// contribute to a neighbour is a sum of a handful of precomputed rows: 63 row additions replace a
// 9 x 203 x D product, exactly up to rounding.
#pragma once

#include "core/base/geometry.h"
#include "core/upsample/coordinate_encoder.h"
#include "core/weights/layers.h"

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace loftscope {

class CoordinateConvolution {
public:
    /// Tables for one picture. `scaled`: 3 x H x W as the encoder takes it, on the CPU. `norm`: the
    /// LayerNorm over the encoder's channels. `weight`: D x channels x 3 x 3, `bias`: D, fp32.
    /// Nothing if a channel of the picture has more than 256 levels.
    static std::optional<CoordinateConvolution>
    create(const CoordinateEncoder& encoder, const CoordinateEncoder::Tables& coordinates,
           const at::Tensor& scaled, const LayerNorm& norm, const at::Tensor& weight,
           const at::Tensor& bias);

    /// ReLU of the convolution at the pixels of `rect`, which may lie at the picture's border
    /// (beyond it, the normed features are 0): (h * w) x D, fp32.
    at::Tensor evaluate(const Rect& rect) const;

private:
    CoordinateConvolution() = default;

    Extent extent_;
    std::int64_t channels_ = 0;          ///< D
    CoordinateEncoder::Tables features_; ///< sines and cosines by row and by column
    at::Tensor rowWeight_;               ///< 9 * D x 2 * frequencies
    at::Tensor columnWeight_;
    std::array<at::Tensor, 3> colors_; ///< levels x 9 x D: what a level adds to each neighbour
    at::Tensor mean_;                  ///< 9 x D: what a unit of the norm's mean takes away
    at::Tensor constant_; ///< 4 x 4 x D: the biases of norm and convolution, for pixels inside, at
                          ///< the first row, at the last, at both; the same for columns
    /// Sum and sum of squares of the features of a row, a column, a colour level.
    struct Sums {
        double value = 0;
        double square = 0;
    };
    std::vector<Sums> rowSums_;
    std::vector<Sums> columnSums_;
    std::array<std::vector<Sums>, 3> colorSums_;
    std::array<std::vector<std::uint8_t>, 3> levels_; ///< H x W: which level a pixel has
    std::int64_t normed_ = 0;                         ///< channels under the norm
    double eps_ = 0;
};

} // namespace loftscope
