// SPDX-License-Identifier: Apache-2.0
// Between 8-bit pictures and the fp32 tensors that networks take and give.
#pragma once

#include "core/image/image.h"
#include "core/image/normalisation.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

/// 1 x 3 x H x W, fp32: torchvision's `ToTensor` and `Normalize`, (u8 / 255 - mean) / std, each
/// step rounded to fp32 (so bit-equal to it).
at::Tensor normalisedTensor(const Image& image, const Normalisation& normalisation);

/// The picture of a 3 x H x W (or 1 x 3 x H x W) tensor with values 0..1: clamped, rounded to the
/// nearest of 256 levels; NaN becomes 0.
Image imageFromTensor(const at::Tensor& chw01);

} // namespace loftscope
