// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/image/normalisation.h"

#include <ATen/core/Tensor.h>

namespace loftscope {

/// Pictures with values in 0..1 as a backbone wants to see them: minus its mean, over its standard
/// deviation, per channel. `pictures`: B x 3 x H x W, on any device, where the result is too.
at::Tensor normalisedPictures(const at::Tensor& pictures, const Normalisation& normalisation);

} // namespace loftscope
