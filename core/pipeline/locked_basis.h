// SPDX-License-Identifier: Apache-2.0
// Bases that were locked for one photo and are used for another.
#pragma once

#include "core/analysis/pca.h"

#include <cstdint>
#include <string>

namespace loftscope {

/// Whether a locked basis goes with features of so many channels; `method` as users read it.
/// Errors: Mismatch.
Result<void> checkLockedBasis(const PcaBasis& basis, std::int64_t channels,
                              const std::string& method);

} // namespace loftscope
