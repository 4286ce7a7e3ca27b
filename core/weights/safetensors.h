// SPDX-License-Identifier: Apache-2.0
// The .safetensors format: an 8-byte header length, a JSON header, then the tensors' bytes.
#pragma once

#include "core/weights/mapped_file.h"
#include "core/weights/tensor_file.h"

#include <c10/core/ScalarType.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace loftscope {

/// The format's own limit for the header.
inline constexpr std::uint64_t maxSafetensorsHeader = 100'000'000;

/// Fills `file.tensors` and `file.metadata`; the tensors share the mapping. As strict as the Python
/// library: every byte after the header belongs to exactly one tensor. Errors: Malformed,
/// Unsupported (element type).
Result<void> readSafetensors(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file);

/// Name of a type in a safetensors header ("F32"), or nothing if the format has none.
std::optional<std::string_view> safetensorsTypeName(at::ScalarType type);

} // namespace loftscope
