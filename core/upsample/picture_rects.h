// SPDX-License-Identifier: Apache-2.0
// Rectangles of a picture for methods whose pixels see their neighbours: margins, crops, and
// pictures as rows of pixels.
#pragma once

#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

/// oneDNN convolves very small pictures with other kernels, which add up in another order:
/// rectangles are convolved at this size at least, so that the result does not depend on how a
/// picture is tiled, to the last bit.
inline constexpr std::int64_t smallestConvolved = 24;

/// `rect` grown by `margin` on every side, cut at the picture's border.
Rect grown(const Rect& rect, std::int64_t margin, const Extent& extent);

/// `rect` grown to at least `side` pixels on each side where the picture has them.
Rect atLeast(const Rect& rect, std::int64_t side, const Extent& extent);

/// The pixels of `rect`; rows and columns are the last two dimensions. Shares memory.
at::Tensor cut(const at::Tensor& map, const Rect& rect);

/// The part `inner` of a 1 x C x h x w picture that shows `outer`.
at::Tensor cropped(const at::Tensor& picture, const Rect& outer, const Rect& inner);

/// (h * w) x C rows as the 1 x C x h x w picture that convolutions take; shares memory (channels
/// last).
at::Tensor pictureFromRows(const at::Tensor& rows, const Rect& rect);

/// The inverse of pictureFromRows.
at::Tensor rowsFromPicture(const at::Tensor& picture);

} // namespace loftscope
