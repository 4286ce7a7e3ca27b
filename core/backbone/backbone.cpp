// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/backbone.h"

#include <fmt/format.h>

namespace loftscope {

Result<void> checkPicture(const Backbone& backbone, const at::Tensor& picture) {
    if (picture.dim() != 4 || picture.size(0) != 1 || picture.size(1) != 3) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("{} takes one picture of 3 channels (1 x 3 x H x W).", backbone.name()));
    }
    const Extent size{picture.size(2), picture.size(3)};
    const std::int64_t patch = backbone.patch();
    if (size.area() == 0 || size.height % patch != 0 || size.width % patch != 0) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("{} takes pictures whose sides are multiples of {} pixels, not {} x {}.",
                        backbone.name(), patch, size.width, size.height));
    }
    return {};
}

Result<void> refuseTaps(const Backbone& backbone, const BackboneTaps& taps) {
    if (!taps.attention && taps.layers.empty()) return {};
    return fail(ErrorCode::Unsupported,
                fmt::format("The inner blocks and the attention of {} cannot be seen: choose "
                            "another backbone for that.",
                            backbone.name()));
}

} // namespace loftscope
