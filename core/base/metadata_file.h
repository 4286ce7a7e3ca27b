// SPDX-License-Identifier: Apache-2.0
// How a file was made, beside files whose format has no place for that.
#pragma once

#include "core/base/error.h"

#include <filesystem>
#include <map>
#include <string>

namespace loftscope {

/// Writes `metadata` as a JSON object to NAME.json beside the file NAME ("a.npy" -> "a.npy.json").
/// Errors: WriteFailed.
Result<void> writeMetadataFile(const std::filesystem::path& path,
                               const std::map<std::string, std::string>& metadata);

} // namespace loftscope
