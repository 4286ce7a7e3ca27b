// SPDX-License-Identifier: Apache-2.0
// Fresh LoftUp weights that begin as a smooth interpolation instead of noise.
//
// LoftUp has to learn that the token beneath a pixel matters most, and learns it slowly: a query
// meets a key where both carry sin(f x) and cos(f x) of the same frequency, and nothing in random
// weights says so. Here they are set so: sum_f a_f cos(f (x - x')) over three frequencies and both
// axes is a bump around the pixel. Values are the tokens' features, unchanged. All weights stay
// free to be trained; keys, shapes and the forward pass are those of any LoftUp.
//
// A bilateral start lets colour take part as well. Tokens have no colours, but a backbone's
// features tell a patch's colours well enough: a linear map, fitted to some photos, from features
// to the patch's mean sin(f c) and cos(f c) becomes rows of the keys, the pixel's own sines and
// cosines become rows of the queries, and LoftUp begins as a joint bilateral upsampler.
#pragma once

#include "core/backbone/backbone.h"
#include "core/base/error.h"
#include "core/train/photo_source.h"
#include "core/upsample/loftup_spec.h"
#include "core/weights/state_dict.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace loftscope {

/// Frequencies of both codes, exp(linspace(-2, 10, this)), that contain e, e^2 and e^3.
inline constexpr std::int64_t localStartFrequencies = 13;

/// What features say of a patch's colours: sines and cosines of frequencies e and e^2 of the three
/// colours, as `weight` (12 x C) of the channel-normalised features plus `bias` (12).
struct ColorKeys {
    at::Tensor weight;
    at::Tensor bias;
    double explained = 0; ///< share of the waves' variance in the photos of the fit
};

/// Fits them by ridge regression to the tokens of so many crops of `size` pixels. Errors: those of
/// reading photos and running the backbone.
Result<ColorKeys> fitColorKeys(const Backbone& backbone, const PhotoSource& photos,
                               std::int64_t count, std::int64_t size, std::uint64_t seed);

/// Changes the parameters of a freshly made LoftUp (published names) in place; with `colors` a
/// bilateral start. BatchNorm must have its first running statistics, 0 and 1, and keep them
/// (frozen) for the start to hold in training. Errors: Unsupported (the codes do not share the
/// frequencies e, e^2 and e^3).
Result<void> beginLocal(const StateDict& parameters, const LoftUpSpec& spec,
                        const ColorKeys* colors = nullptr);

} // namespace loftscope
