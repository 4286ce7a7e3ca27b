// SPDX-License-Identifier: Apache-2.0
// Finding the pictures of a data set.
#pragma once

#include "core/base/error.h"

#include <filesystem>
#include <vector>

namespace loftscope {

/// Every file below `folder` with the ending of a picture, in the order of its path. Errors:
/// NotFound (no such folder, no picture in it).
Result<std::vector<std::filesystem::path>> picturesBelow(const std::filesystem::path& folder);

} // namespace loftscope
