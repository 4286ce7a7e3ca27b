// SPDX-License-Identifier: Apache-2.0
// Whole small files: read at once, and written beside the destination, then renamed.
#pragma once

#include "core/base/error.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace loftscope {

/// Content of a regular file. Errors: NotFound (missing, a directory, not readable), Malformed
/// (reading failed).
Result<std::vector<std::byte>> readFile(const std::filesystem::path& path);

/// Writes `NAME.part`, then renames it to `path`: an existing file stays as it was until the new
/// one is whole, and a failure leaves nothing behind. Errors: those of PartFile.
Result<void> writeFile(const std::filesystem::path& path, std::span<const std::byte> bytes);

} // namespace loftscope
