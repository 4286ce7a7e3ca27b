// SPDX-License-Identifier: Apache-2.0
// Sinusoidal encoding of pixel coordinates and colours (LoftUp's ImplicitFeaturizer, after FeatUp),
// in fp32 and with the reference's rounding: the highest frequency is e^10, so that one unit in the
// last place of a coordinate shows in the output.
#pragma once

#include "core/base/geometry.h"
#include "core/upsample/picture_levels.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace loftscope {

/// torch.linspace on the CPU, bit for bit: computed from both ends with one rounding (fused
/// multiply-add).
std::vector<float> torchLinspace(float start, float end, std::int64_t count);

/// The encoder's frequencies: exp(linspace(-2, 10, count)).
std::vector<float> encoderFrequencies(std::int64_t count);

/// min-max scaling of a guidance picture: per channel (x - min) / max(max - min, 1e-4) - 0.5 over
/// all its pixels. `picture`: 3 x H x W fp32; the result has the same shape.
at::Tensor scaleToUnitRange(const at::Tensor& picture);

/// The same for parts of a large picture, which is kept as its levels where it has few.
class UnitRangePicture {
public:
    explicit UnitRangePicture(const at::Tensor& picture);
    /// Of the picture as given; nothing where it has too many.
    const std::optional<PictureLevels>& levels() const { return levels_; }
    /// Scales values of a channel: n to n.
    at::Tensor scaled(std::int64_t channel, const at::Tensor& values) const;
    /// The scaled pixels of `rect`: 3 x h x w.
    at::Tensor scaled(const Rect& rect) const;

private:
    std::optional<PictureLevels> levels_;
    at::Tensor picture_; // undefined where there are levels
    at::Tensor low_;     // 3 x 1 x 1
    at::Tensor range_;   // 3 x 1 x 1
};

/// Encodes values v_d (row and column in -1..1, and optionally scaled R, G, B) as sin(f_k v_d + b)
/// and cos(f_k v_d + b'). Channel order: all sines (frequency-major, then d), all cosines, then the
/// raw colours.
class CoordinateEncoder {
public:
    /// `biases`: 2 x dims x frequencies as stored in checkpoints; the reference reshapes (does not
    /// transpose) each half to frequencies x dims, so its flat order is the channel order. dims is
    /// 2 (coordinates) or 5 (with colours).
    /// `hidden`: sines and cosines of row and column are 0 everywhere.
    explicit CoordinateEncoder(const at::Tensor& biases, bool hidden = false);

    /// 2 * dims * frequencies, plus 3 with colours.
    std::int64_t channels() const;

    /// Tables of the part that depends on the row (or column) alone, for a picture of `extent`.
    struct Tables {
        at::Tensor row;    ///< 2 x H x frequencies: sines, cosines
        at::Tensor column; ///< 2 x W x frequencies
    };
    Tables tables(const Extent& extent) const;

    /// Encoding of the pixels of `rect`: (h * w) x channels, row by row. `colors`: 3 x h x w, the
    /// scaled picture there (undefined without colours).
    at::Tensor encode(const Tables& tables, const at::Tensor& colors, const Rect& rect) const;

private:
    at::Tensor biases_;      // 2 x frequencies x dims
    at::Tensor frequencies_; // frequencies
    bool hidden_ = false;
};

} // namespace loftscope
