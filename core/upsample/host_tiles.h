// SPDX-License-Identifier: Apache-2.0
// Tiles of a GPU in the host's memory: while one is computed, the one before is copied.
#pragma once

#include "core/upsample/tiles.h"

#include <array>
#include <functional>
#include <memory>

namespace loftscope {

/// How a tile gets from a device to the host. Two copies may be under way, in places 0 and 1.
class TileTransfer {
public:
    virtual ~TileTransfer() = default;
    /// Host memory that the device can write to while everybody else goes on.
    virtual at::Tensor room(std::int64_t count, c10::ScalarType type) = 0;
    /// Begins to copy `tile`, once it is computed, and returns at once.
    virtual void begin(const at::Tensor& tile, const at::Tensor& room, std::size_t place) = 0;
    /// Until the copy begun in `place` is there.
    virtual void wait(std::size_t place) = 0;
};

/// Pinned memory, a stream of its own, and an event per place.
std::unique_ptr<TileTransfer> makeTileTransfer(c10::Device device);

using TransferMaker = std::function<std::unique_ptr<TileTransfer>(c10::Device)>;
using TileSink = std::function<void(const Rect&, const at::Tensor&)>;

/// Takes tiles of a device and hands them to a sink on the host in the same order, one behind:
/// a tile is delivered when the next one's copy has begun. Tiles that are on the host already are
/// handed on at once.
class HostTiles {
public:
    explicit HostTiles(TileSink sink, TransferMaker transferFor = makeTileTransfer);
    ~HostTiles(); ///< waits for copies under way; their tiles are dropped
    HostTiles(const HostTiles&) = delete;
    HostTiles& operator=(const HostTiles&) = delete;

    void add(const Rect& rect, const at::Tensor& tile);
    /// Delivers what is still under way.
    void finish();

private:
    void deliverOldest();

    struct Waiting {
        Rect rect;
        at::Tensor room; ///< as large as the largest tile so far
        at::Tensor tile; ///< the part of `room` with its shape
    };

    TileSink sink_;
    TransferMaker transferFor_;
    std::unique_ptr<TileTransfer> transfer_;
    std::array<Waiting, 2> places_;
    std::size_t begun_ = 0;
    std::size_t delivered_ = 0;
};

/// As `forEachTile`, but the sink gets tiles in the host's memory, which is used again after the
/// call where the field is on a GPU.
void forEachHostTile(const FeatureField& field, const std::vector<Rect>& tiles,
                     std::string_view stage, const RunContext& context, const TileSink& sink,
                     const TransferMaker& transferFor = makeTileTransfer);

} // namespace loftscope
