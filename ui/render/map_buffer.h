// SPDX-License-Identifier: Apache-2.0
// The values that a pane colours: PCA scores (k channels) or a scalar map (1 channel), filled tile
// by tile as a worker delivers them.
#pragma once

#include "core/base/geometry.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace loftscope {

/// channels x H x W floats with the knowledge of which pixels have arrived. Belongs to one thread
/// (the window's); what crosses threads are the tiles.
class MapBuffer {
public:
    /// Nothing has arrived. `tile` is the size of the tiles that will come (marks what is still
    /// missing); {0, 0} if they have none.
    MapBuffer(int channels, Extent extent, Extent tile = {});
    /// A map that is complete; `values` holds channels * H * W floats, channel by channel.
    static std::shared_ptr<MapBuffer> whole(int channels, Extent extent, std::vector<float> values);

    int channels() const { return channels_; }
    Extent extent() const { return extent_; }
    Extent tile() const { return tile_; }

    /// Takes the values of `rect`: channels x rect.height x rect.width. False, and nothing changes,
    /// if the rectangle is not inside the map or the count does not fit.
    bool put(const Rect& rect, std::span<const float> values);

    /// Fills what has not arrived with every `stride`-th pixel of the map, `count` of them
    /// (channels x count.height x count.width), each standing for those after it. False, and
    /// nothing changes, if the number of values does not fit.
    bool fill(std::int64_t stride, const Extent& count, std::span<const float> values);

    /// H x W values, row by row; 0 where nothing has arrived.
    std::span<const float> channel(int index) const;
    float at(int channel, const Pixel& pixel) const;
    bool covered(const Pixel& pixel) const;
    /// H x W bytes: 255 where a value has arrived, 254 where a neighbour's stands for it until then
    /// (does not count as covered), else 0.
    std::span<const std::uint8_t> coverage() const { return coverage_; }
    bool complete() const { return coveredPixels_ == extent_.area(); }
    double coveredFraction() const;

    /// Number of changes so far; `changesSince` an earlier one names the rectangles to upload.
    std::size_t revision() const { return changes_.size(); }
    std::span<const Rect> changesSince(std::size_t revision) const;

private:
    int channels_;
    Extent extent_;
    Extent tile_;
    std::vector<float> values_;
    std::vector<std::uint8_t> coverage_;
    std::int64_t coveredPixels_ = 0;
    std::vector<Rect> changes_;
};

} // namespace loftscope
