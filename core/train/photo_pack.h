// SPDX-License-Identifier: Apache-2.0
// Packs of decoded photos: one file, for machines that cannot decode.
#pragma once

#include "core/base/run_context.h"
#include "core/train/photo_source.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace loftscope {

struct PackReport {
    std::int64_t photos = 0;
    std::int64_t broken = 0;
    std::string firstBroken; ///< what was wrong with the first
    std::int64_t bytes = 0;  ///< of the pixels and masks
};

/// Writes all photos of `source` that can be read, with their masks. Photos whose short side is
/// longer than `shortSide` pixels are shrunk to it; 0: none is. Errors: WriteFailed, OutOfMemory
/// (the pack is put together in memory), NotFound (nothing could be read), Cancelled.
Result<PackReport> writeDecodedPack(const PhotoSource& source, const std::filesystem::path& path,
                                    std::int64_t shortSide, const RunContext& context);

} // namespace loftscope
