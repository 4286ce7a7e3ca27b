// SPDX-License-Identifier: Apache-2.0
// What a picture file says about itself besides its pixels. OpenCV decodes the pixels, but it does
// not tell the orientation, the colour type or that a file is cut off.
#pragma once

#include "core/base/error.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

enum class PictureFormat { Jpeg, Png, WebP, Tiff, Bmp, Pnm, Jpeg2000 };

/// "JPEG", "PNG", ...
std::string_view nameOf(PictureFormat format);

struct PictureFileInfo {
    PictureFormat format = PictureFormat::Jpeg;
    int orientation = 1;        ///< EXIF orientation 1..8 that the decoder leaves to us
    bool grayWithAlpha = false; ///< PNG: decoded as four channels of which three are equal
    bool cmyk = false;          ///< JPEG for print
    bool animated = false;      ///< PNG with more than one frame; the first one is decoded
    /// PNG: the one opaque colour (R, G, B at the file's bit depth) that stands for transparent.
    std::optional<std::array<std::uint16_t, 3>> transparentColor = std::nullopt;
};

/// Reads the container, not the pixels; every access is bounds-checked. `name` is for messages.
/// Errors: Malformed (empty or cut off), InvalidArgument (no pixels), Unsupported (not a picture of
/// a kind that can be read).
Result<PictureFileInfo> inspectPictureFile(std::span<const std::byte> bytes,
                                           const std::string& name);

/// EXIF orientation 1..8 of a TIFF structure (the content of an EXIF block); 1 if it has none or is
/// damaged.
int orientationOfExif(std::span<const std::byte> tiff);

/// A copy of a TIFF file whose orientation is the upright one, for decoders that apply orientation
/// themselves.
std::vector<std::byte> withoutOrientation(std::span<const std::byte> tiff);

} // namespace loftscope
