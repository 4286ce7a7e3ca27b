// SPDX-License-Identifier: Apache-2.0
// Which part of the photo is on the screen and how large: what large maps are computed for.
#pragma once

#include "core/base/geometry.h"

namespace loftscope {

struct SeenPart {
    /// Sides as fractions of the photo's; may reach beyond it.
    double left = 0;
    double top = 0;
    double right = 1;
    double bottom = 1;
    /// Pixels of the screen across the width of the whole photo; 0: as fine as can be.
    double screenWidth = 0;
    friend bool operator==(const SeenPart&, const SeenPart&) = default;
};

/// The pixels of a map that are seen; empty where the part lies beyond the photo.
Rect seenRect(const SeenPart& part, const Extent& map);

/// Of every how many pixels of a map the screen can show one: 1, or 4, 8 or 16 (between 1 and 4
/// nothing is saved).
std::int64_t seenStride(const SeenPart& part, const Extent& map);

/// A stride that leaves some 4000 pixels of a map, at least 8: for a first look at all of it.
std::int64_t coarseStride(const Extent& map);

} // namespace loftscope
