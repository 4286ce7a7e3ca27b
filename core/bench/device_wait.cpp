// SPDX-License-Identifier: Apache-2.0
#include "core/bench/device_wait.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace loftscope {

void waitFor(c10::Device device) {
    if (!device.is_cpu())
        c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

} // namespace loftscope
