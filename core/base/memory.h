// SPDX-License-Identifier: Apache-2.0
// How much memory the process holds, as the system counts it.
#pragma once

#include <cstdint>

namespace loftscope {

/// Resident memory in bytes; 0 where the system does not tell.
std::int64_t residentBytes();
/// The most since the last `resetPeakResidentBytes`, or since the start where that is not allowed.
std::int64_t peakResidentBytes();
void resetPeakResidentBytes();

} // namespace loftscope
