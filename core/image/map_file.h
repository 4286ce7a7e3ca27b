// SPDX-License-Identifier: Apache-2.0
// One number per pixel as a file for other programs: 16-bit PNG, EXR or CSV. (.npy and .safetensors
// are core/weights/tensor_sink.h.)
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace loftscope {

/// True for an ending that `writeMapFile` knows: .png, .exr, .csv.
bool namesMapFile(const std::filesystem::path& path);

/// `values`: h x w, row by row. .png: 16-bit grey from the smallest finite value (0) to the largest
/// (65535), which `low` and `high` of its metadata name; NaN becomes 0. .exr: 32-bit floats as they
/// are. .csv: nine digits, a line per row. `metadata` says how it was made: in a PNG as an iTXt
/// chunk with the keyword "loftscope", in an EXR as the attribute "loftscope", else in NAME.json
/// beside. Errors: Unsupported (ending), InvalidArgument (no values), WriteFailed.
Result<void> writeMapFile(const std::filesystem::path& path, const Extent& extent,
                          std::span<const float> values,
                          std::map<std::string, std::string> metadata);

/// A PNG with a text chunk (iTXt) after its header.
std::string withPngText(std::string_view png, std::string_view keyword, std::string_view text);

/// An EXR (of one part, in lines) with a further attribute of type string.
std::string withExrText(std::string_view exr, std::string_view name, std::string_view text);

} // namespace loftscope
