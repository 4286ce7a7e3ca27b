// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

namespace loftscope {

/// Returns when everything that was handed to the device is done; at once on a CPU.
void waitFor(c10::Device device);

} // namespace loftscope
