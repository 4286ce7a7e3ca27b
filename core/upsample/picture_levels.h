// SPDX-License-Identifier: Apache-2.0
// A picture of few distinct values, as one byte a value: a photo of 8 bits needs a quarter of the
// memory of its fp32 values.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

namespace loftscope {

struct PictureLevels {
    at::Tensor index; ///< 3 x H x W, uint8: which of its channel's values a pixel has
    /// Of each channel at most 256, fp32, in the order of their first pixels.
    std::array<at::Tensor, 3> values;
};

/// The levels of a picture of 3 x H x W, fp32. Nothing if a channel has more than 256 values or the
/// picture is not on the CPU.
std::optional<PictureLevels> levelsOf(const at::Tensor& picture);

} // namespace loftscope
