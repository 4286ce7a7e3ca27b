// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/tiles.h"

#include <algorithm>

namespace loftscope {

std::vector<Rect> tilesOf(const Rect& rect, std::int64_t tile) {
    std::vector<Rect> tiles;
    for (std::int64_t y = rect.y; y < rect.bottom(); y += tile)
        for (std::int64_t x = rect.x; x < rect.right(); x += tile)
            tiles.push_back(
                {x, y, std::min(tile, rect.right() - x), std::min(tile, rect.bottom() - y)});
    return tiles;
}

void forEachTile(const FeatureField& field, const Rect& rect, std::int64_t tile,
                 std::string_view stage, const RunContext& context,
                 const std::function<void(const Rect&, const at::Tensor&)>& sink) {
    const std::vector<Rect> tiles = tilesOf(rect, tile);
    for (std::size_t i = 0; i < tiles.size(); ++i) {
        context.throwIfStopped();
        context.progress(stage, static_cast<double>(i) / static_cast<double>(tiles.size()));
        sink(tiles[i], field.evaluate(tiles[i]));
    }
    context.progress(stage, 1.0);
}

} // namespace loftscope
