// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy format, versions 1 to 3: one array.
#pragma once

#include "core/weights/mapped_file.h"
#include "core/weights/tensor_file.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

/// Puts the array into `file.tensors` under the key ""; it shares the mapping. Little-endian
/// floats, integers and bool in C or Fortran order. Errors: Malformed, Unsupported (Python objects,
/// structures, big endian, text).
Result<void> readNpy(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file);

/// Header of a C-order fp32 array, padded so that the data start at a multiple of 64 bytes.
std::string npyHeader(const std::vector<std::int64_t>& shape);

} // namespace loftscope
