// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/position_table.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <optional>

namespace loftscope {

at::Tensor resizedPatchPositions(const at::Tensor& table, const Extent& base, const Extent& grid,
                                 PositionRule rule) {
    if (grid == base) return table;
    const std::int64_t channels = table.size(2);
    const at::Tensor patches =
        table.reshape({1, base.height, base.width, channels}).permute({0, 3, 1, 2});
    at::Tensor resized;
    switch (rule) {
    case PositionRule::HubOffset: {
        // The official code passes (n + 0.1) / base as scale factor, and sampling uses that factor,
        // not the ratio of sizes.
        const auto factor = [](std::int64_t n, std::int64_t from) {
            return (static_cast<double>(n) + 0.1) / static_cast<double>(from);
        };
        resized = at::upsample_bicubic2d(patches, {grid.height, grid.width}, false,
                                         factor(grid.height, base.height),
                                         factor(grid.width, base.width));
        break;
    }
    case PositionRule::SizeNoAntialias:
        resized = at::upsample_bicubic2d(patches, {grid.height, grid.width}, false, std::nullopt,
                                         std::nullopt);
        break;
    case PositionRule::SizeAntialias:
        resized = at::_upsample_bicubic2d_aa(patches, {grid.height, grid.width}, false,
                                             std::nullopt, std::nullopt);
        break;
    }
    return resized.permute({0, 2, 3, 1}).reshape({1, grid.area(), channels});
}

at::Tensor resizedPositionTable(const at::Tensor& table, const Extent& base, const Extent& grid,
                                PositionRule rule) {
    if (grid == base) return table;
    return at::cat(
        {table.slice(1, 0, 1), resizedPatchPositions(table.slice(1, 1), base, grid, rule)}, 1);
}

} // namespace loftscope
