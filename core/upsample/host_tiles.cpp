// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/host_tiles.h"

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace loftscope {

namespace {

class DeviceTransfer final : public TileTransfer {
public:
    explicit DeviceTransfer(c10::Device device)
        : device_(device)
        , guard_(device.type())
        , copies_(guard_.getStreamFromGlobalPool(device))
        , computed_{c10::Event(device.type()), c10::Event(device.type())}
        , arrived_{c10::Event(device.type()), c10::Event(device.type())} {}

    at::Tensor room(std::int64_t count, c10::ScalarType type) override {
        return at::empty({count}, at::TensorOptions().dtype(type).pinned_memory(true));
    }

    void begin(const at::Tensor& tile, const at::Tensor& room, std::size_t place) override {
        computed_[place].record(guard_.getStream(device_));
        const c10::StreamGuard copying(copies_);
        computed_[place].block(copies_);
        room.copy_(tile, true);
        arrived_[place].record(copies_);
        // The tile's memory must not go to another one before it is copied.
        sources_[place] = tile;
    }

    void wait(std::size_t place) override {
        arrived_[place].synchronize();
        sources_[place].reset();
    }

private:
    c10::Device device_;
    c10::impl::VirtualGuardImpl guard_;
    c10::Stream copies_;
    std::array<c10::Event, 2> computed_;
    std::array<c10::Event, 2> arrived_;
    std::array<at::Tensor, 2> sources_;
};

} // namespace

std::unique_ptr<TileTransfer> makeTileTransfer(c10::Device device) {
    return std::make_unique<DeviceTransfer>(device);
}

HostTiles::HostTiles(TileSink sink, TransferMaker transferFor)
    : sink_(std::move(sink))
    , transferFor_(std::move(transferFor)) {}

HostTiles::~HostTiles() {
    for (; delivered_ < begun_; ++delivered_) {
        try {
            transfer_->wait(delivered_ % places_.size());
        } catch (...) {
            // The device has failed: then nothing is being written either.
            break;
        }
    }
}

void HostTiles::deliverOldest() {
    const std::size_t place = delivered_ % places_.size();
    transfer_->wait(place);
    ++delivered_; // also where the sink throws: it is not waited for again
    sink_(places_[place].rect, places_[place].tile);
}

void HostTiles::add(const Rect& rect, const at::Tensor& tile) {
    if (tile.is_cpu()) {
        finish();
        sink_(rect, tile);
        return;
    }
    if (!transfer_) transfer_ = transferFor_(tile.device());
    const std::size_t place = begun_ % places_.size();
    Waiting& waiting = places_[place];
    if (!waiting.room.defined() || waiting.room.numel() < tile.numel() ||
        waiting.room.scalar_type() != tile.scalar_type())
        waiting.room = transfer_->room(tile.numel(), tile.scalar_type());
    waiting.rect = rect;
    waiting.tile = waiting.room.narrow(0, 0, tile.numel()).view(tile.sizes());
    transfer_->begin(tile, waiting.tile, place);
    ++begun_;
    if (begun_ - delivered_ == places_.size()) deliverOldest();
}

void HostTiles::finish() {
    while (delivered_ < begun_)
        deliverOldest();
}

void forEachHostTile(const FeatureField& field, const std::vector<Rect>& tiles,
                     std::string_view stage, const RunContext& context, const TileSink& sink,
                     const TransferMaker& transferFor) {
    HostTiles host(sink, transferFor);
    forEachTile(field, tiles, stage, context,
                [&](const Rect& rect, const at::Tensor& tile) { host.add(rect, tile); });
    context.throwIfStopped();
    host.finish();
}

} // namespace loftscope
