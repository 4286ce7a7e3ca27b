// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/picture_rects.h"

#include <algorithm>
#include <utility>

namespace loftscope {

Rect grown(const Rect& rect, std::int64_t margin, const Extent& extent) {
    const std::int64_t x = std::max<std::int64_t>(rect.x - margin, 0);
    const std::int64_t y = std::max<std::int64_t>(rect.y - margin, 0);
    return {x, y, std::min(rect.right() + margin, extent.width) - x,
            std::min(rect.bottom() + margin, extent.height) - y};
}

Rect atLeast(const Rect& rect, std::int64_t side, const Extent& extent) {
    const auto span = [&](std::int64_t begin, std::int64_t length, std::int64_t limit) {
        const std::int64_t wanted = std::min(std::max(length, side), limit);
        return std::pair{std::clamp<std::int64_t>(begin - (wanted - length) / 2, 0, limit - wanted),
                         wanted};
    };
    const auto [x, width] = span(rect.x, rect.width, extent.width);
    const auto [y, height] = span(rect.y, rect.height, extent.height);
    return {x, y, width, height};
}

at::Tensor cut(const at::Tensor& map, const Rect& rect) {
    return map.narrow(-2, rect.y, rect.height).narrow(-1, rect.x, rect.width);
}

at::Tensor cropped(const at::Tensor& picture, const Rect& outer, const Rect& inner) {
    return picture.slice(2, inner.y - outer.y, inner.bottom() - outer.y)
        .slice(3, inner.x - outer.x, inner.right() - outer.x);
}

at::Tensor pictureFromRows(const at::Tensor& rows, const Rect& rect) {
    return rows.view({1, rect.height, rect.width, rows.size(1)}).permute({0, 3, 1, 2});
}

at::Tensor rowsFromPicture(const at::Tensor& picture) {
    return picture.permute({0, 2, 3, 1})
        .reshape({picture.size(2) * picture.size(3), picture.size(1)});
}

} // namespace loftscope
