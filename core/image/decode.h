// SPDX-License-Identifier: Apache-2.0
// Reading photos of any common kind into 8-bit RGB, upright.
#pragma once

#include "core/base/error.h"
#include "core/image/image.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace loftscope {

/// What becomes of transparency. The published Python example drops it (Pillow's convert("RGB")),
/// which shows whatever colour hides under transparent pixels.
enum class AlphaRule { OverWhite, OverBlack, Drop };

/// A photo as decoded, with what was done to it on the way.
struct Photo {
    Image image;            ///< upright
    int storedChannels = 3; ///< 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA
    int storedBits = 8;     ///< per channel; 16 is reduced to its high byte, as Pillow does
    int orientation = 1;    ///< EXIF orientation 1..8 that was undone
    std::vector<std::string>
        notes; ///< one sentence for each of the above that is out of the ordinary
};

/// Errors: NotFound, Malformed (truncated or damaged), Unsupported (not a picture), InvalidArgument
/// (zero or too many pixels).
Result<Photo> decodePhoto(const std::filesystem::path& path,
                          AlphaRule alpha = AlphaRule::OverWhite);
/// The same from memory; `name` is used in messages.
Result<Photo> decodePhoto(std::span<const std::byte> bytes, const std::string& name,
                          AlphaRule alpha = AlphaRule::OverWhite);

} // namespace loftscope
