// SPDX-License-Identifier: Apache-2.0
// From a photo to the picture that a backbone or an upsampler sees, and back: which size, what is
// cropped, what is stretched.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/image/image.h"
#include "core/image/pillow_resize.h"

#include <string>

namespace loftscope {

enum class FitRule {
    /// The whole photo. The short side becomes `shortSide`, the long side follows the aspect; both
    /// are rounded to the nearest
    /// multiple of the patch, so that aspect changes by less than half a patch and nothing is cut
    /// off.
    Whole,
    /// The published example: torchvision's Resize(shortSide) and CenterCrop(shortSide), a square.
    CenterSquare,
};

struct PrepareRequest {
    std::int64_t shortSide = 224; ///< in pixels; rounded to a multiple of `patch`
    std::int64_t patch = 1;       ///< both sides become multiples of it
    FitRule fit = FitRule::Whole;
    PillowFilter filter =
        PillowFilter::Bilinear; ///< torchvision's default, used by the published example
};

/// Where the pixels of a prepared picture come from. Pixel centres are at half-integers.
struct PhotoMapping {
    Extent photo;   ///< size of the photo
    Extent resized; ///< size of the whole photo after the resize
    Rect kept;      ///< the part of `resized` that was kept; its size is the prepared picture's

    /// The prepared picture's pixel that shows photo pixel `pixel`; may lie outside where the photo
    /// was cropped.
    Pixel preparedFromPhoto(const Pixel& pixel) const;
    /// The photo pixel at the centre of the prepared picture's pixel `pixel`.
    Pixel photoFromPrepared(const Pixel& pixel) const;
    bool cropped() const { return kept != wholeOf(resized); }
    /// One sentence: "768 x 512 photo, resized to 336 x 224" (and what was cropped).
    std::string describe() const;
};

struct PreparedPicture {
    Image picture;
    PhotoMapping mapping;
};

/// Errors: InvalidArgument (empty photo, size not positive or over 32768 on a side).
Result<PreparedPicture> preparePicture(const Image& photo, const PrepareRequest& request);

/// The photo at exactly `extent`, with the same crop as `mapping` (used for a guidance picture of
/// another size than the backbone's input, so that the two show the same part of the photo).
Result<PreparedPicture> preparePictureLike(const Image& photo, const PhotoMapping& mapping,
                                           Extent extent,
                                           PillowFilter filter = PillowFilter::Bilinear);

} // namespace loftscope
