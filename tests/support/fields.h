// SPDX-License-Identifier: Apache-2.0
// What tests of several feature fields do with them.
#pragma once

#include "core/upsample/tiles.h"
#include "tests/support/golden.h"

#include <ATen/ops/zeros.h>

#include <string>

namespace loftscope::test {

/// The pixel "x,y" that arrays of a reference belong to.
inline Pixel pixelOf(const Golden& golden) {
    const std::string& place = golden.metadata().at("pixel");
    return {std::stoll(place), std::stoll(place.substr(place.find(',') + 1))};
}

/// The whole field, C x H x W, put together from tiles of this side.
inline at::Tensor evaluateInTiles(const FeatureField& field, std::int64_t tile) {
    at::Tensor tiled;
    const Extent extent = field.extent();
    forEachTile(
        field, wholeOf(extent), tile, "", {}, [&](const Rect& rect, const at::Tensor& block) {
            if (!tiled.defined())
                tiled = at::zeros({block.size(0), extent.height, extent.width}, block.options());
            tiled.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right()).copy_(block);
        });
    return tiled;
}

} // namespace loftscope::test
