// SPDX-License-Identifier: Apache-2.0
// A photo at full and halved sizes, so that a view of any zoom touches about as many pixels as the
// screen has, whatever the photo's size.
#pragma once

#include "core/image/image.h"

#include <memory>
#include <vector>

namespace loftscope {

/// Immutable; may be built on any thread (about a third of the photo's memory more).
class ImagePyramid {
public:
    /// Level 0 is the photo, each further one half as large (2 x 2 means), the last at most
    /// `smallest` on its long side. An empty photo gives no levels.
    static std::shared_ptr<const ImagePyramid> of(const Image& photo, std::int64_t smallest = 512);

    Extent extent() const { return levels_.empty() ? Extent{} : levels_.front().extent(); }
    int levels() const { return static_cast<int>(levels_.size()); }
    const Image& level(int index) const { return levels_[static_cast<std::size_t>(index)]; }
    /// The coarsest level that still has at least one pixel per device pixel at `zoom`.
    int levelForZoom(double zoom) const;

private:
    std::vector<Image> levels_;
};

} // namespace loftscope
