// SPDX-License-Identifier: Apache-2.0
// Targets: whitening, that they follow crop and flip, the loss, and the file that keeps them.
#include "core/train/target_cache.h"
#include "core/train/teacher_targets.h"
#include "tests/support/tensors.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <unistd.h>

namespace loftscope {
namespace {

using test::gaussian;

namespace fs = std::filesystem;

TEST(Whitening, BringsComponentsToSimilarSizesAndKnowsTheirVariance) {
    // Three independent directions of deviation 10, 3 and 0.1, mixed by a rotation, around a mean.
    const at::Tensor source =
        gaussian({3, 60, 60}, 1) * at::tensor({10.0F, 3.0F, 0.1F}).view({3, 1, 1});
    const double c = std::cos(0.7);
    const double s = std::sin(0.7);
    const at::Tensor rotation =
        at::tensor({c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0}).view({3, 3}).to(at::kFloat);
    const at::Tensor map = at::matmul(rotation, source.flatten(1)).view({3, 60, 60}) + 5;
    Moments moments(3);
    moments.add(map);
    const Whitening whitening = Whitening::from(moments, 64);
    const at::Tensor white = whitening.apply(map.unsqueeze(0));
    ASSERT_EQ(white.sizes(), at::IntArrayRef({1, 60, 60, 3})); // no more than there are
    const at::Tensor columns = white.view({-1, 3}).to(at::kDouble);
    EXPECT_LT(columns.mean(0).abs().max().item<double>(), 1e-4);
    const at::Tensor covariance = at::matmul(columns.t(), columns) / columns.size(0);
    EXPECT_NEAR(covariance[0][0].item<double>(), 1 / 1.02, 1e-3);
    EXPECT_NEAR(covariance[1][1].item<double>(), 9 / (9 + 0.02 * 100), 0.02);
    EXPECT_NEAR(covariance[2][2].item<double>(), 0.01 / (0.01 + 2), 1e-3); // noise stays small
    EXPECT_LT(std::abs(covariance[0][1].item<double>()), 1e-3);
    EXPECT_NEAR(whitening.variance.item<double>(), covariance.diagonal().mean().item<double>(),
                1e-4);
    EXPECT_EQ(Whitening::from(moments, 2).directions.size(0), 2);
    EXPECT_EQ(Whitening::unfitted(3, 64).directions.sizes(), whitening.directions.sizes());
    EXPECT_EQ(Whitening::unfitted(3, 64).variance.item<float>(), 0);
}

/// A map whose values are the positions of its cells, in shares of the photo's sides.
TargetMap positionMap(std::int64_t height, std::int64_t width, const CellGrid& cells) {
    const at::Tensor x = (at::arange(width) * cells.stepX + cells.x).expand({height, width});
    const at::Tensor y =
        (at::arange(height) * cells.stepY + cells.y).unsqueeze(1).expand({height, width});
    return {at::stack({x, y}, 2).to(at::kFloat).contiguous(), cells};
}

TEST(SampleAtTokens, FollowsCropAndFlipExactly) {
    // Cells that look to the lower right, as those of convolutional teachers do.
    const TargetMap map = positionMap(20, 30, {0.02, 0.03, 1.0 / 30, 1.0 / 20});
    const Extent tokens{3, 5};
    for (const bool flip : {false, true}) {
        const CropRegion region{0.3, 0.2, 0.4, 0.5, flip};
        at::Tensor sampled = at::empty({3, 5, 2});
        sampleAtTokens(map, region, tokens, sampled.mutable_data_ptr<float>());
        for (std::int64_t i = 0; i < 3; ++i) {
            for (std::int64_t j = 0; j < 5; ++j) {
                const double across = (static_cast<double>(flip ? 4 - j : j) + 0.5) / 5;
                EXPECT_NEAR(sampled[i][j][0].item<double>(), 0.3 + 0.4 * across, 1e-6);
                EXPECT_NEAR(sampled[i][j][1].item<double>(),
                            0.2 + 0.5 * (static_cast<double>(i) + 0.5) / 3, 1e-6);
            }
        }
    }
    // Beyond the outermost cells: theirs.
    at::Tensor corner = at::empty({1, 1, 2});
    sampleAtTokens(map, {0, 0, 0.01, 0.01, false}, {1, 1}, corner.mutable_data_ptr<float>());
    EXPECT_NEAR(corner[0][0][0].item<double>(), 0.02, 1e-6);
}

TEST(SampleAtTokens, AgreesWithWhatTheSampleShows) {
    TrainingPhoto photo{at::empty({100, 120, 3}, at::kByte), {}};
    for (std::int64_t y = 0; y < 100; ++y)
        for (std::int64_t x = 0; x < 120; ++x) {
            photo.pixels[y][x][0] = 2 * x;
            photo.pixels[y][x][1] = 2 * y;
            photo.pixels[y][x][2] = 0;
        }
    const TargetMap map = positionMap(10, 12, CellGrid::covering({10, 12}));
    Augmentation augmentation{.smallestShare = 0.3, .largestStretch = 1.3, .overSegmentation = {}};
    augmentation.colorJitter = 0;
    augmentation.masks = false;
    bool flipped = false;
    for (std::uint64_t i = 0; i < 12; ++i) {
        const TrainingSample sample = cutSample(photo, {48, 80}, augmentation,
                                                CounterRandom(3, RandomPurpose::Augmentation, i));
        flipped = flipped || sample.region.flip;
        at::Tensor wanted = at::empty({3, 5, 2});
        sampleAtTokens(map, sample.region, {3, 5}, wanted.mutable_data_ptr<float>());
        for (std::int64_t row = 0; row < 3; ++row) {
            for (std::int64_t column = 0; column < 5; ++column) {
                const at::Tensor token = sample.picture.slice(1, row * 16, row * 16 + 16)
                                             .slice(2, column * 16, column * 16 + 16);
                const double x = (token[0].mean().item<double>() * 255 / 2 + 0.5) / 120;
                const double y = (token[1].mean().item<double>() * 255 / 2 + 0.5) / 100;
                // The map ends half a cell before the photo does.
                EXPECT_NEAR(wanted[row][column][0].item<double>(),
                            std::clamp(x, 0.5 / 12, 11.5 / 12), 0.006);
                EXPECT_NEAR(wanted[row][column][1].item<double>(), std::clamp(y, 0.05, 0.95),
                            0.006);
            }
        }
    }
    EXPECT_TRUE(flipped);
}

TEST(DistillationLoss, IsWhatOneComputesByHand) {
    const at::Tensor wanted = at::tensor({3.0F, 4.0F, 1.0F, 0.0F}).view({1, 2, 2});
    const at::Tensor predicted = at::tensor({3.0F, 4.0F, 0.0F, 2.0F}).view({1, 2, 2});
    const DistillationLoss loss = distillationLoss(predicted, wanted, 0.5);
    EXPECT_NEAR(loss.squared.item<double>(), (1.0 + 4.0) / 4 / 0.5, 1e-6);
    EXPECT_NEAR(loss.cosine.item<double>(), (0.0 + 1.0) / 2, 1e-6); // same, at right angles
    const DistillationLoss zero = distillationLoss(wanted * 0, wanted, 1);
    EXPECT_NEAR(zero.cosine.item<double>(), 1, 1e-6);
}

TEST(DistillationLoss, HasTheGradientOfFiniteDifferences) {
    const at::Tensor wanted = gaussian({2, 3, 4}, 1).to(at::kDouble);
    const at::Tensor predicted = gaussian({2, 3, 4}, 2).to(at::kDouble).set_requires_grad(true);
    const auto total = [&](const at::Tensor& at) {
        const DistillationLoss loss = distillationLoss(at, wanted, 0.8);
        return loss.squared * 0.7 + loss.cosine;
    };
    total(predicted).backward();
    const at::Tensor plain = predicted.detach();
    for (std::int64_t i = 0; i < plain.numel(); ++i) {
        const at::Tensor step = at::zeros_like(plain);
        step.view({-1})[i] = 1e-5;
        const double difference = (total(plain + step) - total(plain - step)).item<double>() / 2e-5;
        EXPECT_NEAR(predicted.grad().view({-1})[i].item<double>(), difference, 1e-8);
    }
}

class TargetCaches : public testing::Test {
protected:
    void SetUp() override {
        path_ = fs::path(testing::TempDir()) / ("targets_" + std::to_string(getpid()));
        fs::remove(path_);
    }
    void TearDown() override { fs::remove(path_); }
    TargetCache open(std::uint64_t identity = 7, std::int64_t limit = 1 << 20) {
        auto cache = TargetCache::open(path_, identity, limit);
        EXPECT_TRUE(cache);
        return std::move(*cache);
    }
    static TargetMap mapOf(std::uint64_t seed) {
        return {asKept(gaussian({2, 3, 4}, seed)), {0.1, 0.2, 0.3, static_cast<double>(seed)}};
    }
    fs::path path_;
};

TEST_F(TargetCaches, KeepMapsOverProcessesAndCutOffWhatIsTorn) {
    {
        TargetCache cache = open();
        cache.add(3, 0, mapOf(30));
        cache.add(3, 1, mapOf(31));
        cache.add(5, 0, mapOf(50));
        EXPECT_TRUE(cache.find(3, 1)->values.equal(mapOf(31).values));
    }
    fs::resize_file(path_, fs::file_size(path_) - 5); // killed while the last one was written
    TargetCache again = open();
    EXPECT_TRUE(again.holds(3, 0));
    ASSERT_TRUE(again.find(3, 1));
    EXPECT_TRUE(again.find(3, 1)->values.equal(mapOf(31).values));
    EXPECT_EQ(again.find(3, 1)->cells.stepY, 31);
    EXPECT_FALSE(again.holds(5, 0));
    again.add(5, 0, mapOf(51));
    EXPECT_TRUE(open().find(5, 0)->values.equal(mapOf(51).values));
}

TEST_F(TargetCaches, BeginAnewForOtherTargets) {
    open(7).add(1, 0, mapOf(1));
    EXPECT_FALSE(open(8).holds(1, 0));
    EXPECT_FALSE(open(7).holds(1, 0));
}

TEST_F(TargetCaches, StopGrowingAtTheirLimit) {
    TargetCache cache = open(7, 250);
    cache.add(1, 0, mapOf(1));
    cache.add(2, 0, mapOf(2));
    cache.add(3, 0, mapOf(3));
    EXPECT_TRUE(cache.holds(1, 0));
    EXPECT_FALSE(cache.holds(3, 0));
    EXPECT_LE(fs::file_size(path_), 250U);
}

} // namespace
} // namespace loftscope
