// SPDX-License-Identifier: Apache-2.0
// Times of the stages that a user waits for, for one method at one size.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/bench/stopwatch.h"
#include "core/upsample/feature_field.h"
#include "core/upsample/tiles.h"

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct StageMeasure {
    std::string stage;
    Spent median; ///< of the repetitions, each number on its own
    Spent best;
    std::int64_t repetitions = 0;
    double gmacs = 0;    ///< 10^9 multiply-adds of one repetition; 0: not counted
    double measured = 1; ///< share of the work that was done; times are scaled up to all of it
};

/// The median of an odd or even number of values; 0 of none.
double medianOf(std::vector<double> values);

struct FieldBenchRequest {
    FeatureGrid low;
    Guidance guidance;
    std::int64_t tile = defaultTile;
    std::int64_t repetitions = 3;
    bool pca = true; ///< also fit a PCA to the whole field
    /// Of a map of more tiles only so many, evenly spread, are computed, and times scaled up.
    std::int64_t mostTiles = 1 << 30;
    double macsPerPixel = 0; ///< of the method, where it is known
    c10::Device device = c10::kCPU;
};

struct FieldBenchResult {
    std::vector<StageMeasure> stages;
    /// Most memory held over what was held before the method was bound, weights and pictures not
    /// counted; nothing where the system does not tell.
    std::optional<std::int64_t> peakBytes;
};

/// Stages: "bind", "first look" (every so many pixels of the map), "first tile" (in the middle),
/// "tiles" (all, thrown away), "PCA" (all tiles and the fit), "attention" and "low-res similarity"
/// of the pixel in the middle, "cancel" and "cancel, worst" (from asking for a stop, at several
/// moments within a tile, until the tile has ended), "first visible tile" (as the window comes to
/// it: binding, the first look, a basis fitted on that, colours of a quarter of a tile). Errors:
/// those of binding, OutOfMemory, Cancelled.
Result<FieldBenchResult> benchField(const Upsampler& upsampler, const FieldBenchRequest& request,
                                    const RunContext& context);

/// Multiply-adds of LoftUp per output pixel: `channels` C, `inner` D, `hidden` of the feed-forward
/// part, over `tokens` tokens. The published network has depth 2.
double loftUpMacsPerPixel(std::int64_t channels, std::int64_t inner, std::int64_t hidden,
                          std::int64_t depth, std::int64_t tokens);

} // namespace loftscope
