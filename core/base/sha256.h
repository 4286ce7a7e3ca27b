// SPDX-License-Identifier: Apache-2.0
// SHA-256 of files: the identity of every checkpoint that is loaded.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace loftscope {

/// Lower-case hexadecimal digest of the bytes. Throws Cancelled between two pieces if asked to
/// stop.
std::string sha256(std::span<const std::byte> bytes, const RunContext& context = {});

/// Digest of a file's content, read in pieces.
Result<std::string> sha256OfFile(const std::filesystem::path& path);

} // namespace loftscope
