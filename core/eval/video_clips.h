// SPDX-License-Identifier: Apache-2.0
// Clips with object masks: the data of video object segmentation.
#pragma once

#include "core/base/error.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace loftscope {

struct VideoClip {
    std::string name;
    std::vector<std::filesystem::path> frames;
    std::vector<std::filesystem::path> masks; ///< per frame: indexed PNG, 0 = background
};

struct ClipChoice {
    std::vector<std::string> names; ///< empty: all
    std::int64_t clips = 0;         ///< evenly spaced ones of these; 0: all
    std::int64_t frames = 0;        ///< the first of each; 0: all
};

/// `images/CLIP/NNNNN.jpg` and `masks/CLIP/NNNNN.png`, or DAVIS' own folders
/// (JPEGImages/480p, Annotations/480p). Errors: NotFound (folder, clip, mask), InvalidArgument
/// (fewer than three frames: the first and the last do not count).
Result<std::vector<VideoClip>> openClips(const std::filesystem::path& folder,
                                         const ClipChoice& choice);

} // namespace loftscope
