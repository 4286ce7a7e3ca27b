// SPDX-License-Identifier: Apache-2.0
// Nearest, bilinear and bicubic interpolation as feature fields: the baselines of every comparison.
#pragma once

#include "core/upsample/feature_field.h"

#include <optional>
#include <string_view>

namespace loftscope {

enum class Interpolation { Nearest, Bilinear, Bicubic };

std::string_view nameOf(Interpolation kind);
std::optional<Interpolation> interpolationNamed(std::string_view name);

/// Weights of `inputSize` samples for the output samples `begin .. begin + count` of `outputSize`:
/// count x inputSize, each row sums to 1. PyTorch's F.interpolate with align_corners=False and no
/// antialias (bicubic with a = -0.75), in fp32.
at::Tensor interpolationWeights(Interpolation kind, std::int64_t inputSize, std::int64_t outputSize,
                                std::int64_t begin, std::int64_t count);

/// The same for the samples that take part alone: `first .. last` of the input.
struct InterpolationAxis {
    at::Tensor weights; ///< count x (last - first)
    std::int64_t first = 0;
    std::int64_t last = 0; ///< one past
};
InterpolationAxis interpolationAxis(Interpolation kind, std::int64_t inputSize,
                                    std::int64_t outputSize, std::int64_t begin,
                                    std::int64_t count);

/// An interpolation as an upsampler; it looks only at the guidance's extent.
std::unique_ptr<Upsampler> makeInterpolation(Interpolation kind);

/// The low-resolution grid itself as a field of its own size: what a pane shows as "low-res".
std::unique_ptr<FeatureField> makeGridField(const FeatureGrid& low);

} // namespace loftscope
