// SPDX-License-Identifier: Apache-2.0
// What the machine can do at best, measured beside the work that is compared with it.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace loftscope {

struct MachineProbe {
    double productGmacs = 0;     ///< 10^9 multiply-adds a second in a large matrix product
    double convolutionGmacs = 0; ///< the same in a 3 x 3 convolution of 384 channels
};

/// The best of a few tries, with as many threads as LibTorch has now. About half a second.
MachineProbe probeMachine(c10::Device device, c10::ScalarType arithmetic);

} // namespace loftscope
