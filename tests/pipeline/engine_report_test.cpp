// SPDX-License-Identifier: Apache-2.0
// What the engine tells about its own work: models, times, feature statistics, short memory.
#include "core/analysis/channel_statistics.h"
#include "core/analysis/pca.h"
#include "core/base/sha256.h"
#include "core/pipeline/engine.h"

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <new>
#include <numeric>
#include <thread>

namespace loftscope {
namespace {

using ::testing::HasSubstr;

Image patternedPhoto(Extent extent) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(extent.area()) * 3);
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] = static_cast<std::uint8_t>(i * i / 7 % 251);
    return {extent, std::move(pixels)};
}

class EngineReport : public ::testing::Test {
protected:
    EngineOptions options;
    std::function<void(const EngineEvent&)> onEvent; ///< on the worker thread, inside the request
    std::vector<EngineEvent> events;

    void SetUp() override {
        const std::filesystem::path models = std::string(LOFTSCOPE_RESOURCES) + "/models";
        options.backbone = models / "loftscope_vit16.safetensors";
        options.weights["loftup"] = models / "loftscope_vit16_loftup.safetensors";
        options.tile = 48;
    }
    /// Opens a photo, computes the method's map and waits until all is done.
    void compute(const std::string& method, std::int64_t outputSize = 0) {
        std::mutex mutex;
        std::condition_variable changed;
        std::uint64_t idleUpTo = 0;
        Engine engine(options, [&](std::uint64_t id, const EngineEvent& event) {
            const std::lock_guard lock(mutex);
            events.push_back(event);
            if (std::holds_alternative<EngineIdle>(event)) idleUpTo = id;
            changed.notify_all();
            if (onEvent) onEvent(event);
        });
        engine.openPhoto({"made up", patternedPhoto({64, 96}), 64, outputSize, {}});
        MapRequest request;
        request.method = method;
        const auto last = engine.compute(request);
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return idleUpTo >= last; });
    }
    template <typename Event>
    std::vector<Event> all() const {
        std::vector<Event> found;
        for (const EngineEvent& event : events)
            if (const auto* each = std::get_if<Event>(&event)) found.push_back(*each);
        return found;
    }
    std::vector<std::string> errors() const {
        std::vector<std::string> sentences;
        for (const RequestEnded& ended : all<RequestEnded>())
            if (ended.error) sentences.push_back(ended.error->message);
        return sentences;
    }
};

TEST_F(EngineReport, NamesEveryModelWithItsFile) {
    compute("loftup");
    const auto loaded = all<ModelLoaded>();
    ASSERT_EQ(loaded.size(), 2U);
    EXPECT_EQ(loaded[0].model.role, "backbone");
    EXPECT_EQ(loaded[0].model.sha256, sha256OfFile(options.backbone).value());
    EXPECT_EQ(loaded[0].model.fileBytes,
              static_cast<std::int64_t>(std::filesystem::file_size(options.backbone)));
    EXPECT_THAT(loaded[0].model.facts, ::testing::Contains(std::pair<std::string, std::string>(
                                           "Features", "192 channels")));
    EXPECT_THAT(loaded[0].model.facts,
                ::testing::Contains(::testing::Pair("Input mean", HasSubstr("0.485"))));
    EXPECT_EQ(loaded[1].model.role, "upsampler");
    EXPECT_EQ(loaded[1].model.path, options.weights["loftup"]);
    EXPECT_EQ(loaded[1].model.device, "cpu");
}

TEST_F(EngineReport, TimesEveryStage) {
    compute("loftup");
    const auto ended = all<RequestEnded>();
    ASSERT_EQ(ended.size(), 2U);
    for (const RequestEnded& each : ended) {
        const double sum = std::accumulate(
            each.stages.begin(), each.stages.end(), 0.0,
            [](double total, const StageTime& time) { return total + time.elapsedMs; });
        EXPECT_LE(sum, each.elapsedMs + 1e-6);
        for (const StageTime& time : each.stages)
            EXPECT_GT(time.peakBytes, 10'000'000) << time.stage;
    }
    EXPECT_THAT(ended[0].stages,
                ::testing::Contains(::testing::Field(&StageTime::stage, "backbone")));
    EXPECT_THAT(ended[1].stages,
                ::testing::Contains(::testing::Field(&StageTime::stage, "LoftUp")));
    EXPECT_EQ(ended[0].doing, "opening the photo");
}

TEST_F(EngineReport, TheOutputHasItsOwnSize) {
    compute("bilinear", 32);
    EXPECT_EQ(errors(), std::vector<std::string>{});
    EXPECT_EQ(all<FeaturesReady>().front().input, (Extent{64, 96}));
    EXPECT_EQ(all<FieldBegun>().front().extent, (Extent{32, 48}));
}

TEST_F(EngineReport, StatisticsOfEveryMap) {
    compute("bilinear");
    const auto told = all<FieldStatistics>();
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0].method, "");
    EXPECT_EQ(told[1].method, "bilinear");
    for (const FieldStatistics& each : told) {
        EXPECT_EQ(each.statistics.means.size(), 192U);
        EXPECT_GT(each.statistics.normMean, 0);
        EXPECT_LE(each.statistics.normMinimum, each.statistics.normMean);
        EXPECT_GE(each.statistics.normMaximum, each.statistics.normMean);
    }
    // Interpolation averages neighbours: no vector gets longer than the longest.
    EXPECT_LE(told[1].statistics.normMaximum, told[0].statistics.normMaximum * (1 + 1e-5));
}

TEST_F(EngineReport, ShortMemoryMeansSmallerTiles) {
    std::int64_t tile = 0;
    onEvent = [&](const EngineEvent& event) {
        if (const auto* begun = std::get_if<FieldBegun>(&event)) tile = begun->tile;
        if (std::holds_alternative<FieldTile>(event) && tile > 16) throw std::bad_alloc();
    };
    compute("loftup");
    EXPECT_EQ(errors(), std::vector<std::string>{});
    const auto notes = all<EngineNote>();
    ASSERT_EQ(notes.size(), 2U); // 48 -> 24 -> 16
    EXPECT_THAT(notes[0].sentence, HasSubstr("24 pixels"));
    EXPECT_THAT(notes[1].sentence, HasSubstr("16 pixels"));
    std::int64_t covered = 0;
    for (const FieldTile& each : all<FieldTile>())
        if (each.rect.width <= 16 && each.rect.height <= 16) covered += each.rect.area();
    EXPECT_EQ(covered, 64 * 96);
}

TEST_F(EngineReport, MemoryThatNeverSufficesIsAnError) {
    onEvent = [](const EngineEvent& event) {
        if (std::holds_alternative<FieldBegun>(event)) throw std::bad_alloc();
    };
    compute("loftup");
    ASSERT_EQ(errors().size(), 1U);
    EXPECT_THAT(errors().front(), HasSubstr("smaller size"));
}

TEST(ChannelStatistics, ByHand) {
    // Two positions, three channels: (3, 4, 0) and (6, 8, 0).
    const at::Tensor block = at::tensor({3.F, 6.F, 4.F, 8.F, 0.F, 0.F}).reshape({3, 1, 2});
    Moments moments(3);
    NormAccumulator norms;
    moments.add(block);
    norms.add(block);
    const ChannelStatistics statistics = channelStatistics(moments, norms);
    EXPECT_THAT(statistics.means, ::testing::ElementsAre(4.5F, 6.F, 0.F));
    EXPECT_THAT(statistics.deviations,
                ::testing::Pointwise(::testing::FloatNear(1e-5F), {1.5F, 2.F, 0.F}));
    EXPECT_DOUBLE_EQ(statistics.normMean, 7.5);
    EXPECT_DOUBLE_EQ(statistics.normDeviation, 2.5);
    EXPECT_DOUBLE_EQ(statistics.normMinimum, 5);
    EXPECT_DOUBLE_EQ(statistics.normMaximum, 10);
    EXPECT_THAT(statistics.deadChannels, ::testing::ElementsAre(2));
}

TEST(Sha256, StopsBetweenPieces) {
    std::stop_source stop;
    stop.request_stop();
    RunContext context;
    context.stop = stop.get_token();
    const std::vector<std::byte> bytes(100);
    EXPECT_THROW(sha256(bytes, context), Cancelled);
}

TEST(StageClock, SumsStagesOfOneNameAndLeavesOutOtherWork) {
    StageClock clock("first");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    clock.enter("second");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    clock.exclude(std::chrono::hours(1));
    clock.enter("first");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::vector<StageTime> stages = clock.finish();
    ASSERT_EQ(stages.size(), 1U) << "an hour of it was not its own";
    EXPECT_EQ(stages[0].stage, "first");
    EXPECT_GE(stages[0].elapsedMs, 10);
}

} // namespace
} // namespace loftscope
