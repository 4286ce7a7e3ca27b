// SPDX-License-Identifier: Apache-2.0
// From a scalar map to colours.
#pragma once

#include "core/image/color_map.h"
#include "core/image/image.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

/// Colours of `map` (h x w) with `low` at the colour map's beginning and `high` at its end; a flat
/// range shows its middle.
Image mapPicture(const at::Tensor& map, double low, double high, ColorMap colors);

} // namespace loftscope
