// SPDX-License-Identifier: Apache-2.0
// Finer tokens of the same scale: what a backbone sees in a photo and in the same photo moved by
// fractions of a patch, put together to one grid (the idea of the views that FeatUp averages over,
// Fu et al. 2024, as a map).
#pragma once

#include "core/base/error.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace loftscope {

/// Errors: InvalidArgument, where the moves of `shifts` per patch and direction are not whole
/// pixels.
Result<void> checkTokenShifts(std::int64_t shifts, std::int64_t patch);

/// `pictures`: B x 3 x H x W of whole patches; `tokens` makes B x C x h x w of such pictures.
/// Returns B x C x kh x kw for k = `shifts`: the token at (y, x) is of the patch that is centred
/// where pixel (y, x) of a map k times finer than the tokens is. Beyond the border the pictures are
/// mirrored.
at::Tensor shiftedTokens(const at::Tensor& pictures, std::int64_t patch, std::int64_t shifts,
                         const std::function<at::Tensor(const at::Tensor&)>& tokens);

} // namespace loftscope
