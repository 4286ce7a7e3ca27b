// SPDX-License-Identifier: Apache-2.0
// Pictures that belong together in time: a video file, or the pictures of a folder.
#pragma once

#include "core/base/error.h"
#include "core/image/decode.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Endings of video files, lower case, without the dot.
const std::vector<std::string_view>& videoEndings();
/// Endings of pictures, as above.
const std::vector<std::string_view>& pictureEndings();

/// The order in which people count: "p2" before "p10"; upper and lower case alike.
bool countsBefore(std::string_view a, std::string_view b);

/// The pictures directly in `folder`, in that order; hidden files are left out. Empty if there is
/// no such folder.
std::vector<std::filesystem::path> picturesIn(const std::filesystem::path& folder);

/// Frames by number, counted from 0. May be used from several threads, one at a time.
class Clip {
public:
    virtual ~Clip() = default;
    /// At least 1. Of a video as its container says; the last few may turn out to be missing.
    virtual std::int64_t frames() const = 0;
    /// Frames per second; 0 for pictures of a folder.
    virtual double rate() const = 0;
    /// Errors: InvalidArgument (no such frame), Malformed, those of decodePhoto.
    virtual Result<Photo> frame(std::int64_t index) const = 0;
};

/// A video file, or a folder with at least one picture. Errors: NotFound, Malformed (no video that
/// can be read).
Result<std::shared_ptr<const Clip>> openClip(const std::filesystem::path& path);

} // namespace loftscope
