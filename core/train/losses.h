// SPDX-License-Identifier: Apache-2.0
// The parts of LoftUp's training objective (paper, sections 3.2 and 3.3, and one of this project's)
// that are plain functions of feature maps. All are differentiable by LibTorch's autograd; all take
// and return fp32 unless said otherwise.
#pragma once

#include "core/base/geometry.h"
#include "core/train/counter_random.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

/// Equation 1: features inside a mask move towards the mask's mean, alpha * mean + (1 - alpha) * F.
/// The masks are applied one after another, so a later one sees what the earlier ones left.
/// `features`: C x H x W; `masks`: K x H x W, pixels > 0 belong to the mask; empty masks change
/// nothing.
at::Tensor maskRefine(const at::Tensor& features, const at::Tensor& masks, double alpha);

/// The same for masks that do not overlap, given as one label map, in one pass.
/// `labels`: H x W, int64; pixels of equal label form a mask, negative ones belong to none.
at::Tensor segmentRefine(const at::Tensor& features, const at::Tensor& labels, double alpha);

/// Mean squared difference of vertical plus horizontal neighbours of a B x C x H x W map.
at::Tensor totalVariation(const at::Tensor& map);

/// Gaussian matrix of `inputs` rows and `outputs` columns, every column of unit length.
at::Tensor randomProjection(std::int64_t inputs, std::int64_t outputs, CounterRandom random);

/// B x C x H x W times C x P: B x P x H x W.
at::Tensor projectChannels(const at::Tensor& map, const at::Tensor& projection);

/// Stage 2: mean squared difference of the two maps' affinity matrices. An affinity matrix holds
/// the cosine similarity of every pair of the N positions; `border` (0..0.5) of each side's length
/// is left out first. The N x N matrices are not built where C x C ones are smaller:
///     |A A^T - B B^T|^2 = |A^T A|^2 - 2 |A^T B|^2 + |B^T B|^2
/// `first`, `second`: B x C x h x w of the same shape.
at::Tensor affinityLoss(const at::Tensor& first, const at::Tensor& second, double border = 0.1);

/// Features of some pixels and the masks that these belong to.
struct MaskedFeatures {
    at::Tensor features; ///< C x h x w
    at::Tensor labels;   ///< h x w, int64, as in segmentRefine
};

/// How hard it is to find a pixel's mask by similarity (this project's; what carries masks from one
/// frame of a clip to the next asks just that). Every pixel of `view` looks at the pixels of
/// `photo` within `radius` columns and rows around its place, where `place` is the view's top left
/// one, and weighs them by exp(cosine similarity / temperature). Its loss is -log of the share of
/// its own mask, nothing where one mask alone, or none of its own, is in reach. Pixels without a
/// mask neither look nor count. Returns the sum over the view's pixels divided by their number.
at::Tensor matchingLoss(const MaskedFeatures& view, const MaskedFeatures& photo, const Pixel& place,
                        std::int64_t radius, double temperature);

} // namespace loftscope
