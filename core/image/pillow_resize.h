// SPDX-License-Identifier: Apache-2.0
// Pillow's antialiased resize, bit for bit. The published LoftUp example prepares its input with
// it, and one grey level of difference moves 25 pixels of LoftUp's output.
#pragma once

#include "core/base/geometry.h"
#include "core/image/image.h"

namespace loftscope {

enum class PillowFilter { Box, Bilinear, Bicubic, Lanczos };

/// Pillow's `Image.resize`: horizontal pass, then vertical pass, each with 8-bit output and
/// fixed-point weights (ImagingResample of Pillow's libImaging). `size` must not be empty.
Image pillowResize(const Image& image, Extent size, PillowFilter filter);

/// torchvision's `Resize(shortSide)` size rule: the long side is int(shortSide * long / short).
Extent torchvisionResizedExtent(Extent original, std::int64_t shortSide);

/// torchvision's `CenterCrop(size)`: offset int(round((n - size) / 2.0)) with banker's rounding.
/// The picture must be at least as large.
Image centerCrop(const Image& image, Extent size);

/// The pixels of `rect`, which must lie inside.
Image crop(const Image& image, const Rect& rect);

} // namespace loftscope
