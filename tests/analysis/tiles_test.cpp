// SPDX-License-Identifier: Apache-2.0
// Walking over tiles: every pixel once, in order, on any number of threads, and out at once when
// something fails.
#include "core/base/stop_scope.h"
#include "core/upsample/tiles.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

namespace loftscope {
namespace {

/// Tells the tile's place; the later a tile, the sooner it is done, so that order has to be kept on
/// purpose.
class PlaceField final : public FeatureField {
public:
    Extent extent() const override { return {30, 50}; }
    std::int64_t channels() const override { return 1; }
    Extent gridExtent() const override { return {3, 5}; }
    at::Tensor evaluate(const Rect& rect) const override {
        ++evaluated;
        threadsInside = at::get_num_threads();
        std::this_thread::sleep_for(std::chrono::microseconds(2000 - 30 * rect.y - rect.x));
        if (rect.x == failAt.x && rect.y == failAt.y) throw std::runtime_error("this tile fails");
        return at::full({1, rect.height, rect.width}, static_cast<double>(rect.y * 100 + rect.x));
    }
    std::optional<at::Tensor> attend(const Pixel&) const override { return std::nullopt; }

    Pixel failAt{-1, -1};
    mutable std::atomic<int> evaluated = 0;
    mutable std::atomic<int> threadsInside = 0;
};

class Tiles : public testing::TestWithParam<int> {
protected:
    Tiles()
        : usual_(at::get_num_threads()) {
        at::set_num_threads(GetParam());
    }
    ~Tiles() override { at::set_num_threads(usual_); }

private:
    int usual_;
};

TEST_P(Tiles, ComeInOrderAndOnce) {
    const PlaceField field;
    std::vector<Rect> seen;
    double last = -1;
    forEachTile(field, {0, 0, 50, 30}, 8, "walking",
                {{},
                 [&](std::string_view stage, double fraction) {
                     EXPECT_EQ(stage, "walking");
                     EXPECT_GE(fraction, last);
                     last = fraction;
                 }},
                [&](const Rect& rect, const at::Tensor& tile) {
                    EXPECT_EQ(tile[0][0][0].item<double>(),
                              static_cast<double>(rect.y * 100 + rect.x));
                    seen.push_back(rect);
                });
    EXPECT_EQ(seen, tilesOf({0, 0, 50, 30}, 8));
    EXPECT_EQ(last, 1.0);
    EXPECT_EQ(field.threadsInside, 1) << "tiles side by side, not threads inside a tile";
    EXPECT_EQ(at::get_num_threads(), GetParam());
}

TEST_P(Tiles, AFailureInATileOrInTheSinkEndsTheWalk) {
    PlaceField field;
    field.failAt = {8, 0};
    const auto ignore = [](const Rect&, const at::Tensor&) {};
    EXPECT_THROW(forEachTile(field, {0, 0, 50, 30}, 8, "", {}, ignore), std::runtime_error);
    EXPECT_LT(field.evaluated, 10);
    field.failAt = {-1, -1};
    EXPECT_THROW(forEachTile(field, {0, 0, 50, 30}, 8, "", {},
                             [](const Rect&, const at::Tensor&) {
                                 throw std::logic_error("the sink is full");
                             }),
                 std::logic_error);
    EXPECT_EQ(at::get_num_threads(), GetParam());
}

TEST_P(Tiles, AStopIsNoticedBetweenTiles) {
    const PlaceField field;
    std::stop_source stop;
    int delivered = 0;
    EXPECT_THROW(forEachTile(field, {0, 0, 50, 30}, 8, "", {stop.get_token(), {}},
                             [&](const Rect&, const at::Tensor&) {
                                 ++delivered;
                                 stop.request_stop();
                             }),
                 Cancelled);
    EXPECT_EQ(delivered, 1);
}

/// Whose tiles take for ever.
class EndlessField final : public FeatureField {
public:
    Extent extent() const override { return {30, 50}; }
    std::int64_t channels() const override { return 1; }
    Extent gridExtent() const override { return {3, 5}; }
    at::Tensor evaluate(const Rect&) const override {
        for (begun = true;; std::this_thread::yield())
            stopPoint();
    }
    std::optional<at::Tensor> attend(const Pixel&) const override { return std::nullopt; }

    mutable std::atomic<bool> begun = false;
};

TEST_P(Tiles, AStopIsNoticedInTheMiddleOfATile) {
    const EndlessField field;
    std::stop_source stop;
    const std::jthread user([&] {
        while (!field.begun)
            std::this_thread::yield();
        stop.request_stop();
    });
    EXPECT_THROW(forEachTile(field, {0, 0, 50, 30}, 8, "", {stop.get_token(), {}},
                             [](const Rect&, const at::Tensor&) {}),
                 Cancelled);
    stopPoint(); // and nothing is heeded after the walk
}

TEST(TilesOf, CoverARectangleOnce) {
    std::set<std::pair<std::int64_t, std::int64_t>> pixels;
    for (const Rect& tile : tilesOf({3, 5, 21, 14}, 8)) {
        EXPECT_LE(tile.width, 8);
        EXPECT_LE(tile.height, 8);
        for (std::int64_t y = tile.y; y < tile.bottom(); ++y)
            for (std::int64_t x = tile.x; x < tile.right(); ++x)
                EXPECT_TRUE(pixels.emplace(x, y).second);
    }
    EXPECT_EQ(pixels.size(), 21U * 14U);
    EXPECT_EQ(*pixels.begin(), (std::pair<std::int64_t, std::int64_t>(3, 5)));
}

INSTANTIATE_TEST_SUITE_P(Threads, Tiles, testing::Values(1, 4));

} // namespace
} // namespace loftscope
