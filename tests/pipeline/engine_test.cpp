// SPDX-License-Identifier: Apache-2.0
// The engine with the default models on small made-up photos.
#include "core/image/encode.h"
#include "core/pipeline/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>

namespace loftscope {
namespace {

Image madeUpPhoto(Extent extent) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const bool inside = std::hypot(static_cast<double>(x - extent.width / 2),
                                           static_cast<double>(y - extent.height / 2)) <
                                static_cast<double>(extent.height) / 4;
            pixels.push_back(static_cast<std::uint8_t>(inside ? 220 : x * 255 / extent.width));
            pixels.push_back(static_cast<std::uint8_t>(inside ? 60 : 120));
            pixels.push_back(static_cast<std::uint8_t>(y * 255 / extent.height));
        }
    }
    return {extent, std::move(pixels)};
}

struct Told {
    std::uint64_t id = 0;
    EngineEvent event;
};

class EngineTest : public ::testing::Test {
protected:
    EngineOptions options;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Told> told;
    std::function<void(std::uint64_t, const EngineEvent&)> onEvent; ///< on the worker thread
    std::unique_ptr<Engine> engine;

    void SetUp() override {
        const std::filesystem::path models = std::string(LOFTSCOPE_RESOURCES) + "/models";
        options.backbone = models / "bootstrap_vit_ti16.safetensors";
        options.loftUp = models / "bootstrap_loftup_vit_ti16.safetensors";
    }
    void TearDown() override { engine.reset(); }

    void start() {
        engine =
            std::make_unique<Engine>(options, [this](std::uint64_t id, const EngineEvent& event) {
                {
                    const std::lock_guard lock(mutex);
                    told.push_back({id, event});
                }
                changed.notify_all();
                if (onEvent) onEvent(id, event);
            });
    }
    std::uint64_t open(Extent extent = {48, 80}) {
        return engine->openPhoto({"made up", madeUpPhoto(extent), 64});
    }
    void waitIdle(std::uint64_t id) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] {
            return std::ranges::any_of(told, [&](const Told& each) {
                return each.id >= id && std::holds_alternative<EngineIdle>(each.event);
            });
        });
    }
    template <typename Event>
    std::vector<Event> all(std::uint64_t id = 0) {
        const std::lock_guard lock(mutex);
        std::vector<Event> events;
        for (const Told& each : told) {
            const Event* event = std::get_if<Event>(&each.event);
            if (event != nullptr && (id == 0 || id == each.id)) events.push_back(*event);
        }
        return events;
    }
    /// The error of a request; nothing if it was done.
    std::optional<Error> errorOf(std::uint64_t id) {
        const auto ended = all<RequestEnded>(id);
        EXPECT_EQ(ended.size(), 1U) << "request " << id;
        return ended.empty() ? std::nullopt : ended.front().error;
    }
};

TEST_F(EngineTest, PhotoThenLowResMap) {
    start();
    const auto id = open();
    waitIdle(id);
    EXPECT_EQ(errorOf(id), std::nullopt) << errorOf(id)->message;
    ASSERT_EQ(all<PhotoDecoded>().size(), 1U);
    EXPECT_EQ(all<PhotoDecoded>().front().picture.extent(), (Extent{48, 80}));
    ASSERT_EQ(all<FeaturesReady>().size(), 1U);
    const FeaturesReady ready = all<FeaturesReady>().front();
    EXPECT_EQ(ready.patch, 16);
    EXPECT_EQ(ready.scores->extent, (Extent{ready.input.height / 16, ready.input.width / 16}));
    EXPECT_EQ(ready.scores->channels, 6);
    EXPECT_EQ(ready.scores->values.size(),
              static_cast<std::size_t>(6 * ready.scores->extent.area()));
    EXPECT_GT(ready.explained, 0.1);
    EXPECT_LE(ready.explained, 1.0 + 1e-6);
}

TEST_F(EngineTest, TilesCoverTheMapExactlyOnce) {
    options.tile = 24;
    start();
    open();
    const auto id = engine->computeField("loftup");
    waitIdle(id);
    EXPECT_EQ(errorOf(id), std::nullopt);
    ASSERT_EQ(all<FieldBegun>().size(), 1U);
    const FieldBegun begun = all<FieldBegun>().front();
    EXPECT_EQ(begun.extent, all<FeaturesReady>().front().output);
    std::vector<int> covered(static_cast<std::size_t>(begun.extent.area()));
    std::vector<double> sum(6);
    for (const FieldTile& tile : all<FieldTile>()) {
        ASSERT_TRUE(contains(begun.extent, tile.rect));
        ASSERT_EQ(tile.scores.size(), static_cast<std::size_t>(6 * tile.rect.area()));
        for (std::int64_t y = tile.rect.y; y < tile.rect.bottom(); ++y)
            for (std::int64_t x = tile.rect.x; x < tile.rect.right(); ++x)
                ++covered[static_cast<std::size_t>(y * begun.extent.width + x)];
        for (std::size_t i = 0; i < tile.scores.size(); ++i)
            sum[i / static_cast<std::size_t>(tile.rect.area())] +=
                static_cast<double>(tile.scores[i]);
    }
    EXPECT_THAT(covered, ::testing::Each(1));
    // The basis is the map's own: its scores have mean zero.
    const float deviation = all<FieldFitted>().front().deviations.front();
    EXPECT_GT(deviation, 0);
    for (const double each : sum)
        EXPECT_NEAR(each / static_cast<double>(begun.extent.area()), 0,
                    1e-3 * static_cast<double>(deviation));
}

TEST_F(EngineTest, PickGivesAttentionOfEveryHeadAndSimilarities) {
    start();
    open();
    const auto id = engine->pick({40, 24}, {"bilinear", "loftup"});
    const auto similarity = engine->similarity({40, 24}, "loftup");
    waitIdle(similarity);
    EXPECT_EQ(errorOf(id), std::nullopt);
    const auto attentions = all<AttentionReady>(id);
    ASSERT_EQ(attentions.size(), 2U);
    EXPECT_EQ(attentions[0].method, "bilinear");
    const AttentionReady& loftUp = attentions[1];
    EXPECT_EQ(loftUp.blocks, 2);
    EXPECT_EQ(loftUp.heads, 4);
    ASSERT_EQ(loftUp.maps.size(), 15U);
    for (const SharedMap& map : loftUp.maps) {
        EXPECT_EQ(map->extent, all<FeaturesReady>().front().scores->extent);
        EXPECT_NEAR(std::accumulate(map->values.begin(), map->values.end(), 0.0), 1.0, 1e-4);
    }
    // The mean of a block is the mean of its heads.
    double mean = 0;
    for (int head = 0; head < 4; ++head)
        mean += static_cast<double>(loftUp.maps[loftUp.indexOf(1, head)]->values[3]) / 4;
    EXPECT_NEAR(static_cast<double>(loftUp.maps[loftUp.indexOf(1, -1)]->values[3]), mean, 1e-6);

    std::vector<std::string> methods;
    for (const SimilarityReady& ready : all<SimilarityReady>()) {
        methods.push_back(ready.method);
        EXPECT_EQ(ready.pixel, (Pixel{40, 24}));
        // The pixel itself is as similar as can be.
        EXPECT_NEAR(std::ranges::max(ready.cosines->values), 1.0F, 1e-4F);
    }
    EXPECT_THAT(methods, ::testing::ElementsAre("", "bilinear", "loftup"));
}

TEST_F(EngineTest, APickIsAnsweredInTheMiddleOfAMap) {
    options.tile = 16;
    std::uint64_t pick = 0;
    onEvent = [&](std::uint64_t, const EngineEvent& event) {
        if (std::holds_alternative<FieldFitted>(event)) pick = engine->pick({3, 3}, {"bilinear"});
    };
    start();
    open();
    waitIdle(engine->computeField("bilinear") + 1);
    const std::lock_guard lock(mutex);
    const auto indexOfLast = [&](auto&& matches) {
        const auto found = std::ranges::find_if(told.rbegin(), told.rend(), matches);
        return std::distance(found, told.rend());
    };
    EXPECT_LT(indexOfLast([&](const Told& each) {
                  return each.id == pick && std::holds_alternative<RequestEnded>(each.event);
              }),
              indexOfLast(
                  [](const Told& each) { return std::holds_alternative<FieldTile>(each.event); }));
}

TEST_F(EngineTest, CancelInTheMiddleOfAMapIsAResult) {
    options.tile = 16;
    int tiles = 0;
    onEvent = [&](std::uint64_t, const EngineEvent& event) {
        if (std::holds_alternative<FieldTile>(event) && ++tiles == 2) engine->cancelAll();
    };
    start();
    open();
    const auto id = engine->computeField("bilinear");
    waitIdle(id);
    ASSERT_TRUE(errorOf(id));
    EXPECT_EQ(errorOf(id)->code, ErrorCode::Cancelled);
    EXPECT_EQ(all<FieldTile>().size(), 2U);
}

TEST_F(EngineTest, ABrokenPhotoIsOneSentenceAndTheOldOneStays) {
    const auto broken = std::filesystem::path(::testing::TempDir()) / "loftscope_broken.png";
    std::ofstream(broken) << "\x89PNG\r\n\x1a\nnot really";
    start();
    waitIdle(open());
    const auto failed = engine->openPhoto({broken, {}, 64});
    const auto after = engine->pick({1, 1}, {"bilinear"});
    waitIdle(after);
    ASSERT_TRUE(errorOf(failed));
    EXPECT_EQ(errorOf(failed)->code, ErrorCode::Malformed);
    EXPECT_EQ(std::ranges::count(errorOf(failed)->message, '\n'), 0);
    EXPECT_TRUE(all<PhotoDecoded>(failed).empty());
    EXPECT_EQ(errorOf(after), std::nullopt);
    std::filesystem::remove(broken);
}

TEST_F(EngineTest, NothingOpenOrPixelOutsideIsAnError) {
    start();
    const auto early = engine->pick({1, 1}, {"bilinear"});
    waitIdle(early);
    EXPECT_EQ(errorOf(early)->code, ErrorCode::NotFound);
    open();
    const auto outside = engine->pick({1000, 1}, {"bilinear"});
    waitIdle(outside);
    EXPECT_EQ(errorOf(outside)->code, ErrorCode::InvalidArgument);
    const auto unknown = engine->computeField("magic");
    waitIdle(unknown);
    EXPECT_EQ(errorOf(unknown)->code, ErrorCode::InvalidArgument);
}

TEST_F(EngineTest, ACheckpointIsRecognised) {
    start();
    const auto backbone = engine->useModel(options.backbone);
    waitIdle(backbone);
    const auto loftUp = engine->useModel(options.loftUp);
    waitIdle(loftUp);
    ASSERT_EQ(all<ModelChanged>().size(), 2U);
    EXPECT_TRUE(all<ModelChanged>(backbone).front().backbone);
    EXPECT_FALSE(all<ModelChanged>(loftUp).front().backbone);
    const auto neither = engine->useModel(std::string(LOFTSCOPE_TEST_DATA) + "/CMakeLists.txt");
    waitIdle(neither);
    EXPECT_TRUE(errorOf(neither));
}

TEST_F(EngineTest, ClosingWhileBusyEndsInTheMiddleOfTheMap) {
    options.tile = 8;
    std::mutex reached;
    std::condition_variable fitted;
    bool isFitted = false;
    onEvent = [&](std::uint64_t, const EngineEvent& event) {
        if (!std::holds_alternative<FieldTile>(event)) return;
        {
            const std::lock_guard lock(reached);
            isFitted = true;
        }
        fitted.notify_all();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    };
    start();
    open({64, 64});
    engine->computeField("bilinear");
    {
        std::unique_lock lock(reached);
        fitted.wait(lock, [&] { return isFitted; });
    }
    engine.reset();
    EXPECT_LT(all<FieldTile>().size(), 64U);
}

} // namespace
} // namespace loftscope
