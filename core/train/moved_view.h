// SPDX-License-Identifier: Apache-2.0
// A photo as a later frame of a clip might show it: moved, turned, nearer, in other light. Pixels
// of it have to find their masks in the photo (matchingLoss in losses.h).
#pragma once

#include "core/train/counter_random.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

struct Motion {
    double zoom = 1;   ///< above 1: the view shows less, larger
    double angle = 0;  ///< radians
    double shiftX = 0; ///< of the view's centre, in shares of half the picture's width
    double shiftY = 0;
};

struct MovedView {
    Motion motion;
    /// H x W, bool: pixels of the picture that move otherwise, in front of the rest; undefined:
    /// none. Where they were and nothing covers them they stay visible, moved like the rest: the
    /// picture does not tell what is behind. Beyond the border the mask is mirrored like the
    /// picture.
    at::Tensor mask;
    Motion maskMotion;
    double brightness = 1;
    double contrast = 1;
    double saturation = 1;
    double noise = 0; ///< deviation of what is added to every value in 0..1
};

struct MovedViewRange {
    double zoom = 0.15; ///< factors from e^-zoom to e^zoom
    double angle = 0.15;
    double shift = 0.08;
    double color = 0.06; ///< brightness, contrast and saturation factors: 1 -+ this
    double noise = 0.01;
};

MovedView sampleMovedView(const MovedViewRange& range, CounterRandom& random);

/// Lets one mask of `labels` (H x W, as in segmentRefine) move on its own, as an object does before
/// its background. Masks are drawn by their area; one that takes less than a hundredth or more than
/// four tenths of the picture stays, and where eight draws find no other, so does everything.
void sampleMovingMask(MovedView& view, const at::Tensor& labels, const MovedViewRange& range,
                      CounterRandom& random);

/// `picture`: 3 x H x W in 0..1; so is the result. Beyond the border it is mirrored. `random`
/// makes the noise.
at::Tensor movedPicture(const at::Tensor& picture, const MovedView& view, CounterRandom random);

/// `labels`: H x W, int64, as in segmentRefine; every pixel takes the label of the nearest one.
at::Tensor movedLabels(const at::Tensor& labels, const MovedView& view);

} // namespace loftscope
