// SPDX-License-Identifier: Apache-2.0
// Values of a map as an array file, for those who know no tensors.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>

namespace loftscope {

/// `values`: channels x H x W, channel by channel; one channel is written as H x W. .npy, with its
/// metadata in NAME.npy.json beside, or .safetensors under the key "map". Errors: InvalidArgument
/// (another count), WriteFailed.
Result<void> writeMapArray(const std::filesystem::path& path, std::int64_t channels,
                           const Extent& extent, std::span<const float> values,
                           const std::map<std::string, std::string>& metadata);

} // namespace loftscope
