// SPDX-License-Identifier: Apache-2.0
// Walking over a field tile by tile.
#pragma once

#include "core/base/run_context.h"
#include "core/upsample/feature_field.h"

#include <c10/core/Device.h>

#include <functional>
#include <string_view>
#include <vector>

namespace loftscope {

/// Side of a tile in pixels where nobody asks for another: small enough for the caches of a CPU,
/// large enough that the halo of LoftUp's convolutions costs little.
inline constexpr std::int64_t defaultTile = 64;

/// The same for a device: a GPU wants much to do at once.
std::int64_t usualTile(c10::Device device);

/// Cuts `rect` into tiles of at most `tile` x `tile`, row by row.
std::vector<Rect> tilesOf(const Rect& rect, std::int64_t tile);

/// Evaluates `rect` of the field tile by tile and hands each to `sink` (C x h x w on the field's
/// device): in the order of `tilesOf` and one at a time, but not always on the calling thread.
/// Tiles are computed side by side, one on each of LibTorch's threads. Checks for cancellation
/// between tiles and reports progress under `stage`. Throws what evaluation or the sink throws.
void forEachTile(const FeatureField& field, const Rect& rect, std::int64_t tile,
                 std::string_view stage, const RunContext& context,
                 const std::function<void(const Rect&, const at::Tensor&)>& sink);

/// The same for rectangles in an order of the caller's.
void forEachTile(const FeatureField& field, const std::vector<Rect>& tiles, std::string_view stage,
                 const RunContext& context,
                 const std::function<void(const Rect&, const at::Tensor&)>& sink);

} // namespace loftscope
