// SPDX-License-Identifier: Apache-2.0
// TF32 for one upsampler alone: LibTorch knows it as a setting of the whole process.
#pragma once

#include "core/upsample/feature_field.h"

#include <memory>

namespace loftscope {

/// While one lives, on whichever thread, products and convolutions of a GPU may round their factors
/// to TF32; when the last one ends they are exact again.
class Tf32Scope {
public:
    Tf32Scope();
    ~Tf32Scope();
    Tf32Scope(const Tf32Scope&) = delete;
    Tf32Scope& operator=(const Tf32Scope&) = delete;
};

/// The same upsampler, during whose work (binding, evaluating, attending) a Tf32Scope lives. What
/// computes between is exact.
std::unique_ptr<Upsampler> makeTf32Upsampler(std::unique_ptr<Upsampler> upsampler);

} // namespace loftscope
