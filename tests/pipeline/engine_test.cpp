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
#include <map>
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

using What = MapRequest::What;

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
        options.backbone = models / "loftscope_vit16.safetensors";
        options.weights["loftup"] = models / "loftscope_vit16_loftup.safetensors";
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
    static MapRequest about(What what, const std::string& method,
                            std::optional<Pixel> pixel = std::nullopt) {
        MapRequest request;
        request.what = what;
        request.method = method;
        request.pixel = pixel;
        return request;
    }
    std::uint64_t scores(const std::string& method, const std::string& basis = "own",
                         std::vector<std::string> sharedBy = {}) {
        MapRequest request = about(What::Scores, method);
        request.basis = basis;
        request.sharedBy = std::move(sharedBy);
        return engine->compute(request);
    }
    /// The scores as they are in the end, k x H x W.
    std::vector<float> wholeMap(std::uint64_t id) {
        const auto begun = all<FieldBegun>(id);
        if (begun.size() != 1) return {};
        const Extent extent = begun.front().extent;
        std::vector<float> map(static_cast<std::size_t>(begun.front().components * extent.area()));
        for (const FieldTile& tile : all<FieldTile>(id)) {
            auto value = tile.scores.begin();
            for (int c = 0; c < begun.front().components; ++c)
                for (std::int64_t y = tile.rect.y; y < tile.rect.bottom(); ++y)
                    for (std::int64_t x = tile.rect.x; x < tile.rect.right(); ++x)
                        map[static_cast<std::size_t>((c * extent.height + y) * extent.width + x)] =
                            *value++;
        }
        return map;
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
    EXPECT_EQ(ready.tokens, (Extent{ready.input.height / 16, ready.input.width / 16}));
    EXPECT_EQ(ready.depth, 8);
    const auto low = scores("");
    waitIdle(low);
    EXPECT_EQ(all<FieldBegun>(low).front().extent, ready.tokens);
    const FieldFitted fitted = all<FieldFitted>(low).front();
    EXPECT_EQ(fitted.deviations.size(), 9U);
    EXPECT_GT(fitted.shares[0], fitted.shares[1]);
    EXPECT_LE(std::accumulate(fitted.shares.begin(), fitted.shares.end(), 0.0), 1.0 + 1e-6);
}

TEST_F(EngineTest, TilesCoverTheMapExactlyOnce) {
    options.tile = 24;
    start();
    open();
    const auto id = scores("loftup");
    waitIdle(id);
    EXPECT_EQ(errorOf(id), std::nullopt);
    ASSERT_EQ(all<FieldBegun>().size(), 1U);
    EXPECT_EQ(all<FieldFitted>().size(), 1U) << "too small a map for a first guess";
    const FieldBegun begun = all<FieldBegun>().front();
    EXPECT_EQ(begun.extent, all<FeaturesReady>().front().output);
    std::vector<int> covered(static_cast<std::size_t>(begun.extent.area()));
    std::vector<double> sum(9);
    for (const FieldTile& tile : all<FieldTile>()) {
        ASSERT_TRUE(contains(begun.extent, tile.rect));
        ASSERT_EQ(tile.scores.size(), static_cast<std::size_t>(9 * tile.rect.area()));
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

TEST_F(EngineTest, TheFirstTilesComeBeforeTheBasisIsExactAndEndTheSame) {
    options.tile = 32;
    start();
    engine->openPhoto({"made up", madeUpPhoto({256, 272}), 256});
    engine->lookAt(0.9, 0.15);
    const auto id = scores("loftup");
    waitIdle(id);
    const auto fitted = all<FieldFitted>(id);
    ASSERT_EQ(fitted.size(), 2U);
    EXPECT_TRUE(fitted[0].preview);
    EXPECT_FALSE(fitted[1].preview);
    const auto tiles = all<FieldTile>(id);
    EXPECT_EQ(tiles.size(), 1 + 2U * 72U) << "every tile once in each basis";
    EXPECT_EQ(tiles[0].rect, (Rect{240, 32, 16, 16})) << "a quarter of one where the user looks";
    EXPECT_EQ(tiles[1].rect, (Rect{224, 32, 32, 32}));
    // Another look gives the same colours in the end.
    engine->openPhoto({"made up", madeUpPhoto({256, 272}), 256});
    engine->lookAt(0.1, 0.9);
    const auto again = scores("loftup");
    waitIdle(again);
    const auto first = wholeMap(id);
    const auto second = wholeMap(again);
    ASSERT_EQ(first.size(), second.size());
    const float scale = fitted[1].deviations[0];
    for (std::size_t i = 0; i < first.size(); ++i)
        ASSERT_NEAR(first[i], second[i], 1e-4F * scale) << i;
}

TEST_F(EngineTest, AFirstLookComesBeforeTheTilesAndIsExactAtItsPixels) {
    start();
    engine->openPhoto({"made up", madeUpPhoto({256, 272}), 256});
    const auto own = scores("loftup");
    waitIdle(own);
    ASSERT_EQ(all<FieldCoarse>(own).size(), 1U) << "the tiles in a better basis stay";
    // In a basis that is known, the same pixels of the map and of the first look have one value.
    engine->lockBases({[] {
        MapRequest request = about(What::Scores, "loftup");
        request.basis = "own";
        return request;
    }()});
    const auto id = scores("loftup", "locked");
    waitIdle(id);
    const auto coarse = all<FieldCoarse>(id);
    ASSERT_EQ(coarse.size(), 1U);
    const FieldCoarse& look = coarse.front();
    const Extent extent = all<FieldBegun>(id).front().extent;
    EXPECT_EQ(look.stride, 8);
    EXPECT_EQ(look.extent, (Extent{(extent.height + 7) / 8, (extent.width + 7) / 8}));
    const std::vector<float> map = wholeMap(id);
    const float scale = all<FieldFitted>(id).front().deviations.front();
    for (std::int64_t y = 0; y < look.extent.height; ++y)
        for (std::int64_t x = 0; x < look.extent.width; ++x)
            ASSERT_NEAR(look.scores[static_cast<std::size_t>(y * look.extent.width + x)],
                        map[static_cast<std::size_t>(8 * y * extent.width + 8 * x)], 1e-3F * scale)
                << x << "," << y;
}

TEST_F(EngineTest, LargeMapsAreComputedWhereTheyAreSeenAndAsFinely) {
    options.tile = 32;
    options.wholePixels = 60'000;
    start();
    engine->openPhoto({"made up", madeUpPhoto({256, 256}), 256}); // 8 x 8 tiles
    engine->show({0.5, 0.5, 0.74, 0.74});
    const auto id = scores("loftup");
    waitIdle(id);
    EXPECT_EQ(errorOf(id), std::nullopt);
    EXPECT_EQ(all<FieldCoarse>(id).size(), 1U);
    ASSERT_EQ(all<FieldFitted>(id).size(), 1U);
    EXPECT_FALSE(all<FieldFitted>(id).front().preview);
    EXPECT_THAT(all<FieldFitted>(id).front().fittedOn, ::testing::HasSubstr("every 8th pixel"));
    const auto pixels = [&](std::size_t from) {
        std::int64_t evaluated = 0;
        const auto tiles = all<FieldTile>(id);
        for (std::size_t i = from; i < tiles.size(); ++i)
            evaluated += tiles[i].rect.area() / (tiles[i].stride * tiles[i].stride);
        return evaluated;
    };
    EXPECT_EQ(all<FieldTile>(id).size(), 4U) << "the four tiles that are seen, of 64";

    // Zoomed out far: the rest, one pixel in 16.
    engine->show({0, 0, 1, 1, 64});
    const auto idleAgain = engine->compute(about(What::Attention, "loftup", Pixel{9, 9}));
    waitIdle(idleAgain);
    EXPECT_EQ(all<FieldTile>(id).size(), 64U);
    EXPECT_EQ(pixels(4), 60 * 32 * 32 / 16);
    // Back where everything is as fine as can be: nothing is computed again.
    engine->show({0.51, 0.51, 0.7, 0.7});
    waitIdle(engine->compute(about(What::Attention, "loftup", Pixel{9, 9})));
    EXPECT_EQ(all<FieldTile>(id).size(), 64U);
    // Somewhere else: the coarse tile there becomes fine.
    engine->show({0, 0, 0.1, 0.1});
    waitIdle(engine->compute(about(What::Attention, "loftup", Pixel{9, 9})));
    ASSERT_EQ(all<FieldTile>(id).size(), 65U);
    EXPECT_EQ(all<FieldTile>(id).back().rect, (Rect{0, 0, 32, 32}));
    EXPECT_EQ(all<FieldTile>(id).back().stride, 1);

    // Another photo ends it.
    waitIdle(open());
    engine->show({0.8, 0.8, 1, 1});
    waitIdle(scores(""));
    EXPECT_EQ(all<FieldTile>(id).size(), 65U);
}

TEST_F(EngineTest, LargeMapsBeginAgainInSmallerTilesWhereMemoryIsShort) {
    options.tile = 64;
    options.wholePixels = 60'000;
    start();
    engine->openPhoto({"made up", madeUpPhoto({256, 256}), 256});
    engine->show({0, 0, 0.2, 0.2});
    const auto id = scores("loftup");
    waitIdle(id);
    ASSERT_EQ(all<FieldTile>(id).size(), 1U);
    // Short where the view follows, and, once more, where the lost map begins again.
    std::atomic<int> shortages = 2;
    onEvent = [&](std::uint64_t, const EngineEvent& event) {
        if (std::holds_alternative<FieldTile>(event) && shortages-- > 0) throw std::bad_alloc();
    };
    engine->show({0, 0, 0.5, 0.5});
    const auto begun = [&] { return all<FieldBegun>(id).size(); };
    waitIdle(id + 1);
    ASSERT_EQ(begun(), 3U);
    EXPECT_EQ(all<FieldBegun>(id).back().tile, 16);
    const auto covered = [&] {
        std::int64_t pixels = 0;
        for (const FieldTile& tile : all<FieldTile>(id))
            if (tile.rect.width <= 16 && tile.stride == 1) pixels += tile.rect.area();
        return pixels;
    };
    EXPECT_EQ(covered(), 128 * 128);
    // It goes on following.
    engine->show({0, 0, 1, 1});
    waitIdle(engine->compute(about(What::Attention, "loftup", Pixel{9, 9})));
    EXPECT_EQ(covered(), 256 * 256);
    EXPECT_EQ(begun(), 3U);
}

TEST_F(EngineTest, PickGivesAttentionOfEveryHeadAndSimilarities) {
    start();
    open();
    const auto taps = engine->compute(about(What::Attention, "bilinear", Pixel{40, 24}));
    const auto id = engine->compute(about(What::Attention, "loftup", Pixel{40, 24}));
    std::vector<std::uint64_t> similarities;
    for (const std::string method : {"", "bilinear", "loftup"})
        similarities.push_back(engine->compute(about(What::Similarity, method, Pixel{40, 24})));
    waitIdle(similarities.back());
    EXPECT_EQ(all<AttentionReady>(taps).size(), 1U);
    ASSERT_EQ(all<AttentionReady>(id).size(), 1U);
    const AttentionReady loftUp = all<AttentionReady>(id).front();
    EXPECT_EQ(loftUp.blocks, 2);
    EXPECT_EQ(loftUp.heads, 4);
    ASSERT_EQ(loftUp.maps.size(), 15U);
    for (const SharedMap& map : loftUp.maps) {
        EXPECT_EQ(map->extent, all<FeaturesReady>().front().tokens);
        EXPECT_NEAR(std::accumulate(map->values.begin(), map->values.end(), 0.0), 1.0, 1e-4);
    }
    // The mean of a block is the mean of its heads.
    double mean = 0;
    for (int head = 0; head < 4; ++head)
        mean += static_cast<double>(loftUp.maps[loftUp.indexOf(1, head)]->values[3]) / 4;
    EXPECT_NEAR(static_cast<double>(loftUp.maps[loftUp.indexOf(1, -1)]->values[3]), mean, 1e-6);
    EXPECT_EQ(loftUp.indexOf(99, -1), loftUp.indexOf(1, -1)) << "no block beyond the last";
    for (const std::uint64_t each : similarities) {
        ASSERT_EQ(all<MapReady>(each).size(), 1U);
        // The pixel itself is as similar as can be.
        EXPECT_NEAR(std::ranges::max(all<MapReady>(each).front().map->values), 1.0F, 1e-4F);
    }
}

TEST_F(EngineTest, SeveralPicksAreAnsweredSideBySideAndTheNewestOfEachWins) {
    start();
    waitIdle(open());
    MapRequest first = about(What::Attention, "bilinear", Pixel{4, 4});
    first.pick = 1;
    MapRequest second = about(What::Attention, "bilinear", Pixel{60, 30});
    second.pick = 2;
    engine->compute(first);
    engine->compute(second);
    first.pixel = Pixel{8, 8};
    const auto last = engine->compute(first);
    waitIdle(last);
    std::map<int, Pixel> answered;
    for (const AttentionReady& ready : all<AttentionReady>())
        answered[ready.request.pick] = *ready.request.pixel;
    EXPECT_EQ(answered, (std::map<int, Pixel>{{1, {8, 8}}, {2, {60, 30}}}));
}

TEST_F(EngineTest, SelfAttentionOfClsAndOfAPatch) {
    start();
    open();
    const auto cls = engine->compute(about(What::SelfAttention, ""));
    const auto patch = engine->compute(about(What::SelfAttention, "", Pixel{40, 24}));
    waitIdle(patch);
    for (const std::uint64_t id : {cls, patch}) {
        EXPECT_EQ(errorOf(id), std::nullopt);
        ASSERT_EQ(all<AttentionReady>(id).size(), 1U);
        const AttentionReady ready = all<AttentionReady>(id).front();
        EXPECT_EQ(ready.blocks, 8);
        EXPECT_EQ(ready.heads, 3);
        for (const int head : {-1, 0, 2}) {
            const std::size_t index = ready.indexOf(5, head);
            const auto& values = ready.maps[index]->values;
            EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0) +
                            ready.summaries[index].elsewhere,
                        1.0, 1e-4)
                << "patches and the rest";
        }
    }
    EXPECT_NE(all<AttentionReady>(cls).front().maps[0]->values,
              all<AttentionReady>(patch).front().maps[0]->values);
}

TEST_F(EngineTest, NormsAndDistances) {
    start();
    open();
    const auto norm = engine->compute(about(What::Norm, "bilinear"));
    MapRequest request = about(What::Distance, "");
    request.other = "nearest";
    const auto same = engine->compute(request);
    request.other = "loftup";
    const auto other = engine->compute(request);
    waitIdle(other);
    for (const std::uint64_t id : {norm, same, other}) {
        EXPECT_EQ(errorOf(id), std::nullopt);
        ASSERT_EQ(all<MapReady>(id).size(), 1U);
        EXPECT_EQ(all<MapReady>(id).front().map->extent, all<FeaturesReady>().front().output);
    }
    const auto valuesOf = [&](std::uint64_t id) { return all<MapReady>(id).front().map->values; };
    EXPECT_GT(std::ranges::min(valuesOf(norm)), 0);
    EXPECT_NEAR(std::ranges::max(valuesOf(same)), 0, 1e-5) << "tokens as large as they are";
    EXPECT_GT(std::ranges::max(valuesOf(other)), 0.01);
    EXPECT_LE(std::ranges::max(valuesOf(other)), 2);
}

TEST_F(EngineTest, OneSharedBasisProjectsAllFieldsAlike) {
    start();
    open();
    const std::vector<std::string> both{"bilinear", "nearest"};
    const auto bilinear = scores("bilinear", "shared", both);
    const auto nearest = scores("nearest", "shared", both);
    const auto own = scores("bilinear");
    waitIdle(own);
    const auto of = [&](std::uint64_t id) { return all<FieldFitted>(id).back(); };
    EXPECT_EQ(of(bilinear).deviations, of(nearest).deviations);
    EXPECT_THAT(of(bilinear).fittedOn, ::testing::AllOf(::testing::HasSubstr("Bilinear"),
                                                        ::testing::HasSubstr("Nearest")));
    EXPECT_NE(of(own).deviations, of(bilinear).deviations);
    EXPECT_THAT(of(own).fittedOn, ::testing::Not(::testing::HasSubstr("Nearest")));
}

TEST_F(EngineTest, ALockedBasisHoldsForTheNextPhotoAndASavedOneIsReadAgain) {
    const auto file = std::filesystem::path(::testing::TempDir()) / "loftscope_basis.safetensors";
    start();
    open();
    const auto own = scores("bilinear");
    waitIdle(own);
    engine->lockBases({about(What::Scores, "bilinear")});
    const auto locked = scores("bilinear", "locked");
    const auto saved = engine->saveBasis(about(What::Scores, "bilinear"), file);
    waitIdle(saved);
    EXPECT_EQ(wholeMap(locked), wholeMap(own));
    ASSERT_EQ(all<BasisSaved>().size(), 1U);
    open({64, 48});
    const auto next = scores("bilinear", "locked");
    const auto nextOwn = scores("bilinear");
    const auto fromFile = scores("bilinear", "file:" + file.string());
    waitIdle(fromFile);
    EXPECT_EQ(all<FieldFitted>(next).back().deviations, all<FieldFitted>(own).back().deviations);
    EXPECT_NE(all<FieldFitted>(nextOwn).back().deviations, all<FieldFitted>(own).back().deviations);
    EXPECT_EQ(wholeMap(fromFile), wholeMap(next));
    const auto missing = scores("bilinear", "file:/nowhere.safetensors");
    waitIdle(missing);
    ASSERT_TRUE(errorOf(missing));
    EXPECT_EQ(std::ranges::count(errorOf(missing)->message, '\n'), 0);
    std::filesystem::remove(file);
}

TEST_F(EngineTest, APickIsAnsweredInTheMiddleOfAMap) {
    options.tile = 16;
    std::uint64_t pick = 0;
    onEvent = [&](std::uint64_t, const EngineEvent& event) {
        if (std::holds_alternative<FieldFitted>(event))
            pick = engine->compute(about(What::Similarity, "bilinear", Pixel{3, 3}));
    };
    start();
    open();
    waitIdle(scores("bilinear") + 1);
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
    const auto id = scores("bilinear");
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
    const auto after = engine->compute(about(What::Attention, "bilinear", Pixel{1, 1}));
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
    const auto early = engine->compute(about(What::Attention, "bilinear", Pixel{1, 1}));
    waitIdle(early);
    EXPECT_EQ(errorOf(early)->code, ErrorCode::NotFound);
    open();
    const auto outside = engine->compute(about(What::Attention, "bilinear", Pixel{1000, 1}));
    waitIdle(outside);
    EXPECT_EQ(errorOf(outside)->code, ErrorCode::InvalidArgument);
    const auto unknown = scores("magic");
    waitIdle(unknown);
    EXPECT_EQ(errorOf(unknown)->code, ErrorCode::InvalidArgument);
}

TEST_F(EngineTest, ACheckpointIsRecognised) {
    start();
    const auto backbone = engine->useModel(options.backbone);
    waitIdle(backbone);
    const auto loftUp = engine->useModel(options.weights["loftup"]);
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
    scores("bilinear");
    {
        std::unique_lock lock(reached);
        fitted.wait(lock, [&] { return isFitted; });
    }
    engine.reset();
    EXPECT_LT(all<FieldTile>().size(), 64U);
}

} // namespace
} // namespace loftscope
