// SPDX-License-Identifier: Apache-2.0
// Label maps: pictures whose pixel values are numbers, not colours.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace loftscope {

/// One number per pixel, row by row.
struct LabelMap {
    Extent extent;
    std::vector<std::uint8_t> labels;
};

/// Reads a PNG of palette colours as the indices into its palette, a grayscale one as its values
/// (of 1 to 8 bits). Errors: Unsupported (not a PNG, true colour, 16 bit), Malformed (truncated or
/// damaged). `name` is used in messages.
Result<LabelMap> decodeLabelMap(std::span<const std::byte> bytes, const std::string& name);
Result<LabelMap> decodeLabelMap(const std::filesystem::path& path);

} // namespace loftscope
