// SPDX-License-Identifier: Apache-2.0
// Writing pictures: beside the destination, then renamed.
#pragma once

#include "core/base/error.h"
#include "core/image/image.h"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace loftscope {

/// Writes PNG, JPEG (quality 95), TIFF, WebP or BMP by the ending. Errors: Unsupported ending,
/// WriteFailed.
Result<void> writeImage(const std::filesystem::path& path, const Image& image);

/// The bytes of a PNG file. Errors: WriteFailed, InvalidArgument (no pixels).
Result<std::vector<std::uint8_t>> encodePng(const Image& image);

/// True for an ending that `writeImage` knows.
bool namesPicture(const std::filesystem::path& path);

} // namespace loftscope
