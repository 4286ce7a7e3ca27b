// SPDX-License-Identifier: Apache-2.0
// From a map's values to the picture that a PaneView asks for: ranges, whitening, flips, masks,
// colour maps, opacity over the photo.
#pragma once

#include "core/figure/pane_view.h"
#include "core/image/image.h"

#include <ATen/core/Tensor.h>

#include <optional>

namespace loftscope {

/// The range that the view gives to a scalar map (h x w): fixed, or between its percentiles of the
/// finite values; symmetric about zero for ColorMap::BlueRed unless it is fixed.
PaneView::Span rangeOfMap(const at::Tensor& map, const PaneView& view);

/// A scalar map (h x w) in the view's colours. Where the view shows the photo through it, the
/// picture has the photo's extent.
Image scalarPicture(const at::Tensor& map, const PaneView::Span& range, const PaneView& view,
                    const Image& photo);

/// Scores (k x h x w; k beyond every component that the view names) as false colours. `variances`:
/// k, of the basis.
Image scoresPicture(const at::Tensor& scores, const at::Tensor& variances, const PaneView& view,
                    const Image& photo);

} // namespace loftscope
