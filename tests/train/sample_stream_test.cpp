// SPDX-License-Identifier: Apache-2.0
// Training data: what a sample shows, that it depends on seed and index alone, and that broken
// photos do no harm.
#include "core/train/photo_source.h"
#include "core/train/sample_stream.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <set>

namespace loftscope {
namespace {

/// Photos whose colours tell where every pixel came from; photo `i` has `i` in its blue channel.
class GradientPhotos final : public PhotoSource {
public:
    explicit GradientPhotos(std::int64_t count, std::set<std::int64_t> broken = {})
        : count_(count)
        , broken_(std::move(broken)) {}
    std::int64_t size() const override { return count_; }
    std::string name(std::int64_t index) const override { return "photo " + std::to_string(index); }
    Result<TrainingPhoto> load(std::int64_t index) const override {
        if (broken_.contains(index)) return fail(ErrorCode::Malformed, "cut off");
        TrainingPhoto photo;
        photo.pixels = at::empty({50, 70, 3}, at::kByte);
        auto* out = photo.pixels.mutable_data_ptr<std::uint8_t>();
        for (std::int64_t i = 0; i < 50 * 70; ++i) {
            out[i * 3] = static_cast<std::uint8_t>(i % 70 * 3);
            out[i * 3 + 1] = static_cast<std::uint8_t>(i / 70 * 4);
            out[i * 3 + 2] = static_cast<std::uint8_t>(index);
        }
        photo.labels = {at::arange(70, at::kLong)
                            .ge(35)
                            .to(at::kLong)
                            .sub(1)
                            .unsqueeze(0)
                            .expand({50, 70})
                            .contiguous()};
        return photo;
    }

private:
    std::int64_t count_;
    std::set<std::int64_t> broken_;
};

Augmentation plain() {
    Augmentation augmentation;
    augmentation.smallestShare = 1;
    augmentation.largestStretch = 1;
    augmentation.flips = false;
    augmentation.colorJitter = 0;
    augmentation.overSegmentation.scales = {};
    return augmentation;
}

SampleStreamOptions optionsFrom(std::int64_t first, int threads) {
    SampleStreamOptions options;
    options.seed = 11;
    options.index = [first](std::int64_t position) { return first + position; };
    options.extent = [](std::int64_t index) {
        return index % 2 == 0 ? Extent{32, 32} : Extent{48, 40};
    };
    options.threads = threads;
    options.augmentation.overSegmentation.scales = {50, 150};
    return options;
}

TEST(CutSample, ShowsPixelsAndMasksOfTheSamePlace) {
    const TrainingPhoto photo = *GradientPhotos(5).load(3);
    for (std::uint64_t i = 0; i < 20; ++i) {
        Augmentation augmentation = plain();
        augmentation.smallestShare = 0.3;
        augmentation.largestStretch = 1.3;
        augmentation.flips = true;
        const TrainingSample sample = cutSample(photo, {40, 40}, augmentation,
                                                CounterRandom(2, RandomPurpose::Augmentation, i));
        ASSERT_EQ(sample.picture.sizes(), at::IntArrayRef({3, 40, 40}));
        ASSERT_EQ(sample.segments.size(), 1U);
        // Red is 3 x column; the mask is columns 35 and up, whose centres lie beyond 35.
        const at::Tensor column = sample.picture[0] * 255 / 3 + 0.5;
        EXPECT_TRUE(sample.segments[0].eq(0).logical_or(column.lt(35.6)).all().item<bool>());
        EXPECT_TRUE(sample.segments[0].eq(-1).logical_or(column.gt(34.4)).all().item<bool>());
        EXPECT_NEAR(sample.picture[2].mean().item<double>() * 255, 3, 1e-3);
    }
}

TEST(CutSample, ShowsClassesOfTheSamePlaceWhateverTheMasks) {
    TrainingPhoto photo = *GradientPhotos(5).load(3);
    Augmentation augmentation = plain();
    augmentation.smallestShare = 0.3;
    augmentation.flips = true;
    const CounterRandom random(2, RandomPurpose::Augmentation, 1);
    EXPECT_FALSE(cutSample(photo, {40, 40}, augmentation, random).classes.defined());
    photo.classes = photo.labels[0];
    photo.classSet = 2;
    for (const bool masks : {true, false}) {
        augmentation.masks = masks;
        const TrainingSample sample = cutSample(photo, {40, 40}, augmentation, random);
        EXPECT_EQ(sample.classSet, 2);
        const at::Tensor column = sample.picture[0] * 255 / 3 + 0.5;
        EXPECT_TRUE(sample.classes.eq(0).logical_or(column.lt(35.6)).all().item<bool>());
        EXPECT_TRUE(sample.classes.eq(-1).logical_or(column.gt(34.4)).all().item<bool>());
    }
}

TEST(CutSample, TheLargePictureShowsTheSamePlaceInTheSameColours) {
    const TrainingPhoto photo = *GradientPhotos(5).load(3);
    for (std::uint64_t i = 0; i < 20; ++i) {
        Augmentation augmentation = plain();
        augmentation.smallestShare = 0.3;
        augmentation.largestStretch = 1.3;
        augmentation.flips = true;
        augmentation.colorJitter = 0.2;
        const CounterRandom random(2, RandomPurpose::Augmentation, i);
        EXPECT_FALSE(cutSample(photo, {20, 24}, augmentation, random).large.defined());
        augmentation.zoom = 3;
        const TrainingSample sample = cutSample(photo, {20, 24}, augmentation, random);
        ASSERT_EQ(sample.large.sizes(), at::IntArrayRef({3, 60, 72}));
        const at::Tensor reduced = at::avg_pool2d(sample.large.unsqueeze(0), {3, 3})[0];
        // Inside, where neither resampling meets the border of the photo.
        const at::Tensor difference = (reduced - sample.picture).abs();
        EXPECT_LT(difference.slice(1, 2, 18).slice(2, 2, 22).max().item<double>(), 4e-3);
    }
}

TEST(CutSample, TheWholeSquareComesOutUnchangedAtItsOwnSize) {
    TrainingPhoto photo = *GradientPhotos(5).load(1);
    photo.pixels = photo.pixels.slice(1, 0, 50).contiguous();
    photo.labels.clear();
    const TrainingSample sample =
        cutSample(photo, {50, 50}, plain(), CounterRandom(2, RandomPurpose::Augmentation, 0));
    EXPECT_LT((sample.picture.permute({1, 2, 0}) * 255 - photo.pixels.to(at::kFloat))
                  .abs()
                  .max()
                  .item<double>(),
              1e-3);
    EXPECT_TRUE(sample.segments.empty());
}

TEST(CutSample, ChoosesOneMaskMapOrTakesAll) {
    const TrainingPhoto photo = *GradientPhotos(5).load(1);
    Augmentation augmentation = plain();
    augmentation.overSegmentation.scales = {50, 400};
    int fromLabels = 0;
    for (std::uint64_t i = 0; i < 60; ++i) {
        const TrainingSample sample = cutSample(photo, {32, 32}, augmentation,
                                                CounterRandom(2, RandomPurpose::Augmentation, i));
        ASSERT_EQ(sample.segments.size(), 1U);
        fromLabels += sample.segments[0].min().item<std::int64_t>() < 0 ||
                              sample.segments[0].max().item<std::int64_t>() == 0
                          ? 1
                          : 0;
    }
    EXPECT_GT(fromLabels, 15);
    EXPECT_LT(fromLabels, 55);
    augmentation.allMaskMaps = true;
    EXPECT_EQ(
        cutSample(photo, {32, 32}, augmentation, CounterRandom(2, RandomPurpose::Augmentation, 0))
            .segments.size(),
        3U);
}

TEST(SampleStream, DependsOnSeedAndIndexAloneWhateverTheThreadsOrTheStart) {
    const GradientPhotos photos(7);
    SampleStream one(photos, optionsFrom(0, 1));
    SampleStream many(photos, optionsFrom(0, 4));
    SampleStream later(photos, optionsFrom(5, 2));
    for (std::int64_t i = 0; i < 15; ++i) {
        const auto a = one.next();
        const auto b = many.next();
        ASSERT_TRUE(a && b);
        EXPECT_EQ(a->index, i);
        EXPECT_TRUE(a->picture.equal(b->picture)) << i;
        EXPECT_TRUE(a->segments[0].equal(b->segments[0])) << i;
        EXPECT_EQ(a->picture.size(1), i % 2 == 0 ? 32 : 48);
        if (i >= 5) {
            const auto c = later.next();
            ASSERT_TRUE(c);
            EXPECT_TRUE(a->picture.equal(c->picture)) << i;
        }
    }
}

TEST(SampleStream, ShowsEveryPhotoOnceBeforeAnyTwice) {
    const GradientPhotos photos(23);
    SampleStreamOptions options = optionsFrom(0, 2);
    options.augmentation = plain();
    SampleStream stream(photos, options);
    std::vector<std::int64_t> orders[2];
    for (auto& order : orders) {
        std::set<std::int64_t> seen;
        for (int i = 0; i < 23; ++i) {
            const auto sample = stream.next();
            order.push_back(std::lround(sample->picture[2].mean().item<double>() * 255));
            EXPECT_EQ(sample->photo, order.back());
            seen.insert(order.back());
        }
        EXPECT_EQ(seen.size(), 23U);
    }
    EXPECT_NE(orders[0], orders[1]);
}

TEST(SampleStream, DamageOfMasksChangesNothingElse) {
    const GradientPhotos photos(5);
    SampleStream whole(photos, optionsFrom(0, 1));
    SampleStreamOptions options = optionsFrom(0, 2);
    options.augmentation.maskDamage.eroded = 4;
    SampleStream damaged(photos, options);
    for (int i = 0; i < 10; ++i) {
        const TrainingSample before = *whole.next();
        const TrainingSample after = *damaged.next();
        EXPECT_TRUE(before.picture.equal(after.picture));
        ASSERT_EQ(before.segments.size(), after.segments.size());
        for (std::size_t m = 0; m < before.segments.size(); ++m) {
            const at::Tensor& found = after.segments[m];
            EXPECT_TRUE(found.eq(before.segments[m]).logical_or(found.eq(-1)).all().item<bool>());
            const auto without = [](const at::Tensor& map) {
                return map.eq(-1).sum().item<std::int64_t>();
            };
            const bool hasBorders =
                !before.segments[m].eq(before.segments[m][0][0]).all().item<bool>();
            EXPECT_EQ(without(found) > without(before.segments[m]), hasBorders);
        }
    }
}

TEST(SampleStream, ReplacesAndCountsBrokenPhotos) {
    const GradientPhotos photos(6, {2, 4});
    SampleStream stream(photos, optionsFrom(0, 2));
    for (int i = 0; i < 12; ++i)
        ASSERT_TRUE(stream.next());
    EXPECT_EQ(stream.broken().count, 2);
    EXPECT_NE(stream.broken().first.find("cut off"), std::string::npos);
}

TEST(SampleStream, SaysSoWhenEverythingIsBroken) {
    const GradientPhotos photos(2, {0, 1});
    SampleStream stream(photos, optionsFrom(0, 1));
    const auto sample = stream.next();
    ASSERT_FALSE(sample);
    EXPECT_EQ(sample.error().code, ErrorCode::Malformed);
}

at::Tensor bytesOf(std::initializer_list<int> values) {
    std::vector<std::int64_t> list(values.begin(), values.end());
    return at::tensor(list).to(at::kByte);
}

StateDict encodedPack() {
    return {{"jpeg", bytesOf({9, 8, 7, 6, 5})},
            {"joff", at::tensor(std::vector<std::int64_t>{0, 2, 5})},
            {"png", bytesOf({1})},
            {"poff", at::tensor(std::vector<std::int64_t>{0, 0, 1})},
            {"kind", bytesOf({0, 1})}};
}

PictureDecoder fakeDecoder() {
    return {[](std::span<const std::byte> bytes, const std::string&) -> Result<at::Tensor> {
                return at::full({2, 2, 3}, static_cast<std::int64_t>(bytes.size()), at::kByte);
            },
            [](std::span<const std::byte>, const std::string&) -> Result<at::Tensor> {
                return bytesOf({0, 3, 3, 255}).view({2, 2});
            }};
}

TEST(PackSource, HandsEachPhotosBytesAndLabelsToTheDecoder) {
    const auto source = makePackSource(encodedPack(), {{"names", R"(["a/1", "coco/val2017/2"])"}},
                                       "pack", fakeDecoder());
    ASSERT_TRUE(source) << source.error().message;
    ASSERT_EQ((*source)->size(), 2);
    EXPECT_EQ((*source)->name(1), "pack:coco/val2017/2");
    EXPECT_EQ((*source)->load(0)->pixels[0][0][0].item<std::int64_t>(), 2);
    EXPECT_TRUE((*source)->load(0)->labels.empty());
    const TrainingPhoto second = *(*source)->load(1);
    EXPECT_EQ(second.pixels[0][0][0].item<std::int64_t>(), 3);
    EXPECT_TRUE(second.labels.at(0).equal(
        at::tensor(std::vector<std::int64_t>{-1, 3, 3, -1}).view({2, 2})));
}

TEST(PackSource, CamVidsMapsNameClassesAndEveryPartOfOneIsAMask) {
    StateDict pack = encodedPack();
    EXPECT_EQ((*makePackSource(pack, {}, "pack", fakeDecoder()))->classSets(), 0);
    pack["kind"] = bytesOf({0, 3});
    PictureDecoder decoder = fakeDecoder();
    decoder.labels = [](std::span<const std::byte>, const std::string&) -> Result<at::Tensor> {
        return bytesOf({0, 3, 255, 0}).view({2, 2});
    };
    const auto source = makePackSource(pack, {}, "pack", decoder);
    ASSERT_TRUE(source) << source.error().message;
    EXPECT_EQ((*source)->classSets(), 1);
    EXPECT_FALSE((*source)->load(0)->classes.defined());
    const TrainingPhoto photo = *(*source)->load(1);
    EXPECT_TRUE(
        photo.classes.equal(at::tensor(std::vector<std::int64_t>{0, 3, -1, 0}).view({2, 2})));
    const at::Tensor& masks = photo.labels.at(0);
    EXPECT_EQ(masks[1][0].item<std::int64_t>(), -1);
    EXPECT_NE(masks[0][0].item<std::int64_t>(), masks[1][1].item<std::int64_t>());
}

TEST(PackSource, LeavesOutPhotosThatMustNotBeTrainedOn) {
    const auto source = makePackSource(encodedPack(), {{"names", R"(["a/1", "coco/val2017/2"])"}},
                                       "pack", fakeDecoder(), {"coco/val2017/"});
    ASSERT_TRUE(source);
    ASSERT_EQ((*source)->size(), 1);
    EXPECT_EQ((*source)->name(0), "pack:a/1");
}

TEST(PackSource, RefusesOffsetsThatLeaveTheData) {
    StateDict pack = encodedPack();
    pack["joff"] = at::tensor(std::vector<std::int64_t>{0, 2, 6});
    const auto beyond = makePackSource(pack, {}, "pack", fakeDecoder());
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, ErrorCode::Malformed);
    pack["joff"] = at::tensor(std::vector<std::int64_t>{0, 4, 3});
    EXPECT_FALSE(makePackSource(pack, {}, "pack", fakeDecoder()));
    pack.erase("joff");
    const auto missing = makePackSource(pack, {}, "pack", fakeDecoder());
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("joff"), std::string::npos);
}

TEST(PackSource, ReadsDecodedPacksWithoutADecoder) {
    const StateDict pack{
        {"pixels", at::arange(18).to(at::kByte)},
        {"extent", at::tensor(std::vector<std::int64_t>{1, 2, 2, 2}).view({2, 2})},
        {"poff", at::tensor(std::vector<std::int64_t>{0, 6, 18})},
        {"segments", at::tensor(std::vector<std::int64_t>{1, 1, 2, -1, 0, 5, 5, 0}).to(at::kShort)},
        {"soff", at::tensor(std::vector<std::int64_t>{0, 0, 8})}};
    const auto source = makePackSource(pack, {}, "pack", {});
    ASSERT_TRUE(source) << source.error().message;
    EXPECT_EQ((*source)->load(0)->pixels.sizes(), at::IntArrayRef({1, 2, 3}));
    EXPECT_EQ((*source)->load(1)->pixels[0][0][0].item<std::int64_t>(), 6);
    EXPECT_TRUE((*source)->load(0)->labels.empty());
    const TrainingPhoto second = *(*source)->load(1);
    ASSERT_EQ(second.labels.size(), 2U);
    EXPECT_EQ(second.labels[0][1][1].item<std::int64_t>(), -1);
    EXPECT_EQ(second.labels[1][0][1].item<std::int64_t>(), 5);
}

TEST(JoinedSources, CountOn) {
    std::vector<std::unique_ptr<PhotoSource>> sources;
    sources.push_back(std::make_unique<GradientPhotos>(3));
    sources.push_back(std::make_unique<GradientPhotos>(4));
    const auto joined = joinSources(std::move(sources));
    EXPECT_EQ(joined->size(), 7);
    EXPECT_EQ(joined->name(2), "photo 2");
    EXPECT_EQ(joined->name(3), "photo 0");
    EXPECT_EQ(joined->load(6)->pixels[0][0][2].item<std::int64_t>(), 3);
    EXPECT_EQ(joined->classSets(), 0);
}

TEST(JoinedSources, NumberTheirSetsOfClasses) {
    StateDict pack = encodedPack();
    pack["kind"] = bytesOf({0, 3});
    std::vector<std::unique_ptr<PhotoSource>> sources;
    sources.push_back(*makePackSource(pack, {}, "first", fakeDecoder()));
    sources.push_back(std::make_unique<GradientPhotos>(1));
    sources.push_back(*makePackSource(pack, {}, "second", fakeDecoder()));
    const auto joined = joinSources(std::move(sources));
    EXPECT_EQ(joined->classSets(), 2);
    EXPECT_EQ(joined->load(1)->classSet, 0);
    EXPECT_EQ(joined->load(4)->classSet, 1);
}

} // namespace
} // namespace loftscope
