// SPDX-License-Identifier: Apache-2.0
// Telling a user what an unfamiliar state dict might be.
#pragma once

#include "core/weights/recognise.h"

namespace loftscope {

/// The model family whose typical keys occur most in `state`.
UnknownModel closestFamily(const StateDict& state);

/// The same as an error: Unsupported.
Error unknownModelError(const UnknownModel& model);

} // namespace loftscope
