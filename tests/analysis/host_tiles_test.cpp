// SPDX-License-Identifier: Apache-2.0
// Tiles of a GPU on their way to the host, with a device that is only told of: its tiles have no
// memory here (LibTorch's "meta" device), and what was begun arrives when it is waited for.
#include "core/upsample/host_tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace loftscope {
namespace {

using testing::ElementsAre;

/// What happened, in order; what the device's tiles hold; what is on its way.
struct Device {
    std::vector<std::string> log;
    std::map<const void*, double> values;
    struct Copy {
        at::Tensor room;
        double value = 0;
    };
    std::map<std::size_t, Copy> copies; ///< by place
    std::vector<at::Tensor> rooms;
    bool fails = false;

    at::Tensor tile(double value, std::int64_t side) {
        const at::Tensor made = at::empty({2, side, side}, at::kMeta);
        values[made.unsafeGetTensorImpl()] = value;
        return made;
    }
};

class ToldTransfer final : public TileTransfer {
public:
    explicit ToldTransfer(Device& device)
        : device_(device) {}
    at::Tensor room(std::int64_t count, c10::ScalarType type) override {
        device_.rooms.push_back(at::empty({count}, type));
        return device_.rooms.back();
    }
    void begin(const at::Tensor& tile, const at::Tensor& room, std::size_t place) override {
        const double value = device_.values.at(tile.unsafeGetTensorImpl());
        device_.log.push_back(fmt::format("begin {} in {}", value, place));
        room.fill_(-1);
        if (!device_.copies.try_emplace(place, Device::Copy{room, value}).second)
            throw std::logic_error("this place is still on its way");
    }
    void wait(std::size_t place) override {
        const auto& [room, value] = device_.copies.at(place);
        device_.log.push_back(fmt::format("wait {}", value));
        room.fill_(value);
        device_.copies.erase(place);
        if (device_.fails) throw std::runtime_error("the device has failed");
    }

private:
    Device& device_;
};

HostTiles hostTiles(Device& device, TileSink sink) {
    return HostTiles(std::move(sink), [&device](c10::Device where) {
        EXPECT_EQ(where, at::kMeta);
        return std::make_unique<ToldTransfer>(device);
    });
}

TileSink noting(Device& device, std::vector<at::Tensor>& got) {
    return [&](const Rect& rect, const at::Tensor& tile) {
        device.log.push_back(fmt::format("sink {}", rect.x));
        got.push_back(tile.clone());
    };
}

TEST(HostTiles, AreDeliveredInOrderWhileTheNextIsOnItsWay) {
    Device device;
    std::vector<at::Tensor> got;
    {
        HostTiles host = hostTiles(device, noting(device, got));
        for (int i = 0; i < 3; ++i)
            host.add({i, 0, 4, 4}, device.tile(i, 4));
        host.finish();
    }
    EXPECT_THAT(device.log, ElementsAre("begin 0 in 0", "begin 1 in 1", "wait 0", "sink 0",
                                        "begin 2 in 0", "wait 1", "sink 1", "wait 2", "sink 2"));
    ASSERT_EQ(got.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_TRUE(got[i].equal(at::full({2, 4, 4}, static_cast<double>(i))));
    EXPECT_EQ(device.rooms.size(), 2U) << "the memory of two tiles is used again and again";
}

TEST(HostTiles, OfDifferentSizesFitIntoTheSameMemory) {
    Device device;
    std::vector<at::Tensor> got;
    HostTiles host = hostTiles(device, noting(device, got));
    const std::vector<std::int64_t> sides{4, 4, 2, 3, 4, 6};
    for (std::size_t i = 0; i < sides.size(); ++i)
        host.add({static_cast<std::int64_t>(i), 0, sides[i], sides[i]},
                 device.tile(static_cast<double>(i), sides[i]));
    host.finish();
    ASSERT_EQ(got.size(), sides.size());
    for (std::size_t i = 0; i < sides.size(); ++i)
        EXPECT_TRUE(got[i].equal(at::full({2, sides[i], sides[i]}, static_cast<double>(i))));
    EXPECT_EQ(device.rooms.size(), 3U) << "more only for the one that is larger than all before";
}

TEST(HostTiles, AFailingSinkLeavesNothingOnItsWay) {
    Device device;
    {
        HostTiles host = hostTiles(device, [](const Rect& rect, const at::Tensor&) {
            if (rect.x == 1) throw std::logic_error("the sink is full");
        });
        host.add({0, 0, 4, 4}, device.tile(0, 4));
        host.add({1, 0, 4, 4}, device.tile(1, 4));
        EXPECT_THROW(host.add({2, 0, 4, 4}, device.tile(2, 4)), std::logic_error);
        EXPECT_EQ(device.copies.size(), 1U);
    }
    EXPECT_TRUE(device.copies.empty()) << "memory that is still written to was given back";
}

TEST(HostTiles, AFailureOfTheDeviceIsToldAndEndsTheWalk) {
    Device device;
    std::vector<at::Tensor> got;
    {
        HostTiles host = hostTiles(device, noting(device, got));
        host.add({0, 0, 4, 4}, device.tile(0, 4));
        device.fails = true;
        EXPECT_THROW(host.add({1, 0, 4, 4}, device.tile(1, 4)), std::runtime_error);
    }
    EXPECT_TRUE(got.empty()) << "a tile that may not have arrived was delivered";
}

TEST(HostTiles, OnTheHostAlreadyAreHandedOnAtOnce) {
    Device device;
    const at::Tensor tile = at::full({2, 4, 4}, 7.0);
    const void* seen = nullptr;
    HostTiles host =
        hostTiles(device, [&](const Rect&, const at::Tensor& got) { seen = got.data_ptr(); });
    host.add({0, 0, 4, 4}, tile);
    EXPECT_EQ(seen, tile.data_ptr());
    EXPECT_TRUE(device.log.empty());
}

/// Whose tiles lie on the device and tell their place.
class DeviceField final : public FeatureField {
public:
    explicit DeviceField(Device& device)
        : device_(device) {}
    Extent extent() const override { return {8, 32}; }
    std::int64_t channels() const override { return 2; }
    Extent gridExtent() const override { return {1, 4}; }
    at::Tensor evaluate(const Rect& rect) const override {
        tiles_.push_back(device_.tile(static_cast<double>(rect.x), rect.width));
        return tiles_.back();
    }
    std::optional<at::Tensor> attend(const Pixel&) const override { return std::nullopt; }

private:
    Device& device_;
    mutable std::vector<at::Tensor> tiles_;
};

TEST(HostTiles, AWalkDeliversEveryTileAndAStopEndsIt) {
    Device device;
    const auto transferFor = [&](c10::Device) { return std::make_unique<ToldTransfer>(device); };
    const DeviceField field(device);
    const std::vector<Rect> tiles = tilesOf({0, 0, 32, 8}, 8);
    std::vector<double> got;
    std::stop_source stop;
    const auto sink = [&](const Rect& rect, const at::Tensor& tile) {
        EXPECT_EQ(tile[0][0][0].item<double>(), static_cast<double>(rect.x));
        got.push_back(static_cast<double>(rect.x));
        if (rect.x == 8) stop.request_stop();
    };
    forEachHostTile(field, tiles, "", {}, sink, transferFor);
    EXPECT_THAT(got, ElementsAre(0, 8, 16, 24));
    got.clear();
    stop = std::stop_source();
    EXPECT_THROW(forEachHostTile(field, tiles, "", {stop.get_token(), {}}, sink, transferFor),
                 Cancelled);
    EXPECT_THAT(got, ElementsAre(0, 8));
    EXPECT_TRUE(device.copies.empty());
}

} // namespace
} // namespace loftscope
