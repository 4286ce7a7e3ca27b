// SPDX-License-Identifier: Apache-2.0
// What upsamplers with a checkpoint compute in.
#pragma once

#include "core/base/error.h"

#include <c10/core/ScalarType.h>

#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

enum class Precision {
    Fp32, ///< as the reference
    Tf32, ///< fp32, but a GPU rounds the factors of products to 10 bits; the CPU has no such thing
    Bf16, ///< what is multiplied; angles, norms and residuals stay fp32
    Fp16, ///< the same, on a GPU
};

/// "fp32", "tf32", "bf16", "fp16".
std::vector<std::string> precisionNames();
/// Errors: InvalidArgument.
Result<Precision> precisionNamed(std::string_view name);
std::string nameOf(Precision precision);
/// Of what is multiplied.
c10::ScalarType scalarTypeOf(Precision precision);
bool needsGpu(Precision precision);

} // namespace loftscope
