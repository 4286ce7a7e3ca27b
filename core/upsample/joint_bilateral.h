// SPDX-License-Identifier: Apache-2.0
// Joint bilateral upsampling (Kopf et al. 2007): an average of nearby low-resolution features,
// weighted by how close they lie and by how much their colour is the pixel's. No training; the
// classic among guided baselines.
#pragma once

#include "core/upsample/feature_field.h"

#include <cstdint>
#include <memory>

namespace loftscope {

struct JointBilateralOptions {
    std::int64_t radius =
        2; ///< of the window in low-resolution cells: (2 radius + 1)^2 of them take part
    double sigmaSpatial = 0.8; ///< in low-resolution cells
    double sigmaRange = 0.12;  ///< in colour, each channel scaled to a range of 1 over the picture
};

std::unique_ptr<Upsampler> makeJointBilateral(const JointBilateralOptions& options = {});

} // namespace loftscope
