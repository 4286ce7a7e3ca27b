// SPDX-License-Identifier: Apache-2.0
// Pillow's antialiased resize, bit for bit. The published LoftUp example prepares its input with
// it, and one grey level of difference moves 25 pixels of LoftUp's output.
#pragma once

#include "core/base/geometry.h"
#include "core/image/image.h"

namespace loftscope {

enum class PillowFilter { Box, Bilinear, Bicubic, Lanczos };

/// Pillow 13's `Image.resize`: a horizontal and a vertical pass, each with 8-bit output and
/// fixed-point weights (ImagingResample of Pillow's libImaging). The horizontal pass comes first,
/// unless the height shrinks by more than twice as many pixels as the width (Pillow up to 12 knows
/// no such exception: there, photos taller than 2:1 can differ by a grey level). `size` must not be
/// empty.
Image pillowResize(const Image& image, Extent size, PillowFilter filter);

/// torchvision's `Resize(shortSide)` size rule: the long side is int(shortSide * long / short).
Extent torchvisionResizedExtent(Extent original, std::int64_t shortSide);

/// Where torchvision's `CenterCrop(size)` cuts: offset int(round((n - size) / 2.0)) with banker's
/// rounding. `original` must be at least as large as `size`.
Rect centeredRect(Extent original, Extent size);

/// torchvision's `CenterCrop(size)`. The picture must be at least as large.
Image centerCrop(const Image& image, Extent size);

/// The pixels of `rect`, which must lie inside.
Image crop(const Image& image, const Rect& rect);

} // namespace loftscope
