// SPDX-License-Identifier: Apache-2.0
// The parts of LoftUp's objective, against hand-computed cases and independent formulations.
#include "core/train/attention_downsampler.h"
#include "core/train/losses.h"
#include "core/train/view_jitter.h"
#include "tests/support/tensors.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

namespace loftscope {
namespace {

using test::gaussian;
using test::largest;

/// Autograd's gradient of `loss` at fp64 `input` against central differences, at a few elements.
void expectGradientOf(const std::function<at::Tensor(const at::Tensor&)>& loss,
                      const at::Tensor& input) {
    at::Tensor variable = input.clone().set_requires_grad(true);
    loss(variable).backward();
    const at::Tensor gradient = variable.grad().flatten();
    constexpr double step = 1e-5;
    const std::int64_t count = input.numel();
    for (std::int64_t i = 0; i < count; i += std::max<std::int64_t>(1, count / 17)) {
        at::Tensor up = input.clone();
        up.flatten()[i] += step;
        at::Tensor down = input.clone();
        down.flatten()[i] -= step;
        const double slope = (loss(up) - loss(down)).item<double>() / (2 * step);
        EXPECT_NEAR(gradient[i].item<double>(), slope, 1e-7 + 1e-5 * std::abs(slope))
            << "element " << i;
    }
}

TEST(MaskRefine, FollowsTheEquationByHand) {
    // One channel, 2 x 2: 1 2 / 3 6. The mask covers the left column: mean 2.
    const at::Tensor features = at::tensor({1.F, 2.F, 3.F, 6.F}).reshape({1, 2, 2});
    const at::Tensor mask = at::tensor({1.F, 0.F, 1.F, 0.F}).reshape({1, 2, 2});
    const at::Tensor refined = maskRefine(features, mask, 0.8);
    const at::Tensor expected = at::tensor({1.8F, 2.F, 2.2F, 6.F}).reshape({1, 2, 2});
    EXPECT_LT(largest(refined - expected), 1e-6);
}

TEST(MaskRefine, LaterMasksSeeWhatEarlierOnesLeft) {
    const at::Tensor features = at::tensor({1.F, 2.F, 3.F, 6.F}).reshape({1, 2, 2});
    // Left column, then top row: the first leaves 1.8 2 / 2.2 6, so the row's mean is 1.9, not 1.5.
    const at::Tensor masks =
        at::tensor({1.F, 0.F, 1.F, 0.F, 1.F, 1.F, 0.F, 0.F}).reshape({2, 2, 2});
    const at::Tensor expected = at::tensor({1.88F, 1.92F, 2.2F, 6.F}).reshape({1, 2, 2});
    EXPECT_LT(largest(maskRefine(features, masks, 0.8) - expected), 1e-6);
}

TEST(MaskRefine, PaddingMasksOfMinusOneChangeNothing) {
    const at::Tensor features = gaussian({3, 4, 5}, 1);
    const at::Tensor refined = maskRefine(features, at::full({2, 4, 5}, -1.0), 0.8);
    EXPECT_EQ(largest(refined - features), 0);
}

TEST(SegmentRefine, EqualsOneMaskPerLabel) {
    const at::Tensor features = gaussian({5, 6, 7}, 2, at::kDouble);
    const at::Tensor labels =
        at::arange(42, at::kLong).remainder(4).sub(1).reshape({6, 7}); // -1 0 1 2
    std::vector<at::Tensor> masks;
    for (int label = 0; label < 3; ++label)
        masks.push_back(labels.eq(label).to(at::kDouble).unsqueeze(0));
    EXPECT_LT(
        largest(segmentRefine(features, labels, 0.7) - maskRefine(features, at::cat(masks), 0.7)),
        1e-12);
}

TEST(SegmentRefine, LeavesPixelsOutsideEverySegmentAlone) {
    const at::Tensor features = gaussian({2, 3, 3}, 3);
    const at::Tensor labels = at::full({3, 3}, -1, at::kLong);
    EXPECT_EQ(largest(segmentRefine(features, labels, 0.8) - features), 0);
}

TEST(TotalVariation, IsTheMeanSquaredStepByHand) {
    const at::Tensor map = at::tensor({0.F, 1.F, 3.F, 0.F, 2.F, 6.F}).reshape({1, 1, 2, 3});
    // down: 0 1 3 -> 10 / 3; right: 1 2 2 4 -> 25 / 4
    EXPECT_NEAR(totalVariation(map).item<double>(), 10.0 / 3 + 25.0 / 4, 1e-6);
    expectGradientOf([](const at::Tensor& x) { return totalVariation(x); },
                     gaussian({1, 3, 4, 5}, 4, at::kDouble));
}

TEST(RandomProjection, HasUnitColumnsAndIsReproducible) {
    const CounterRandom random(7, RandomPurpose::Projection, 3);
    const at::Tensor projection = randomProjection(192, 64, random);
    EXPECT_EQ(projection.sizes(), at::IntArrayRef({192, 64}));
    EXPECT_LT(largest(at::linalg_vector_norm(projection, 2, at::IntArrayRef{0}) - 1), 1e-5);
    EXPECT_TRUE(projection.equal(randomProjection(192, 64, random)));
    EXPECT_FALSE(projection.equal(
        randomProjection(192, 64, CounterRandom(7, RandomPurpose::Projection, 4))));
}

/// The affinity loss as the paper writes it: N x N matrices of cosines, without the inner border.
at::Tensor affinityByPairs(const at::Tensor& first, const at::Tensor& second, std::int64_t rows,
                           std::int64_t columns) {
    const auto cosines = [&](const at::Tensor& map) {
        const at::Tensor inner = map.slice(2, rows, map.size(2) - rows)
                                     .slice(3, columns, map.size(3) - columns)
                                     .flatten(2);
        const at::Tensor unit = inner / at::linalg_vector_norm(inner, 2, at::IntArrayRef{1}, true);
        return at::bmm(unit.transpose(1, 2), unit);
    };
    return (cosines(first) - cosines(second)).square().mean();
}

TEST(AffinityLoss, ThroughSmallGramsEqualsThePairwiseMatrices) {
    const at::Tensor first = gaussian({2, 5, 12, 21}, 5, at::kDouble);
    const at::Tensor second = gaussian({2, 5, 12, 21}, 6, at::kDouble);
    EXPECT_NEAR(affinityLoss(first, second).item<double>(),
                affinityByPairs(first, second, 1, 2).item<double>(), 1e-12);
}

TEST(AffinityLoss, WithFewPositionsEqualsThePairwiseMatrices) {
    const at::Tensor first = gaussian({1, 40, 4, 5}, 7, at::kDouble);
    const at::Tensor second = gaussian({1, 40, 4, 5}, 8, at::kDouble);
    EXPECT_NEAR(affinityLoss(first, second).item<double>(),
                affinityByPairs(first, second, 0, 0).item<double>(), 1e-12);
}

TEST(AffinityLoss, IsZeroForMapsThatDifferByLengthOrRotationOfFeatures) {
    const at::Tensor map = gaussian({1, 6, 10, 10}, 9, at::kDouble);
    EXPECT_NEAR(affinityLoss(map, map * 3).item<double>(), 0, 1e-12);
    EXPECT_NEAR(affinityLoss(map, map.flip({1})).item<double>(), 0, 1e-12);
    EXPECT_GT(affinityLoss(map, map.flip({3})).item<double>(), 1e-3);
}

TEST(AffinityLoss, GradientMatchesFiniteDifferences) {
    const at::Tensor target = gaussian({1, 4, 6, 7}, 10, at::kDouble);
    expectGradientOf([&](const at::Tensor& x) { return affinityLoss(x, target); },
                     gaussian({1, 4, 6, 7}, 11, at::kDouble));
}

TEST(SegmentRefineGradient, MatchesFiniteDifferences) {
    const at::Tensor labels = at::arange(20, at::kLong).remainder(3).sub(1).reshape({4, 5});
    const at::Tensor weight = gaussian({3, 4, 5}, 12, at::kDouble);
    expectGradientOf(
        [&](const at::Tensor& x) { return (segmentRefine(x, labels, 0.8) * weight).sum(); },
        gaussian({3, 4, 5}, 13, at::kDouble));
}

at::Tensor longs(std::vector<std::int64_t> values, at::IntArrayRef shape) {
    return at::tensor(values, at::kLong).view(shape);
}

TEST(MatchingLoss, IsMinusTheLogOfTheOwnMasksShareByHand) {
    // One pixel looks at three in a row, similarities 1, 0 and -1; the first two are of its mask.
    const MaskedFeatures view{at::tensor({1.F, 0.F}).view({2, 1, 1}), longs({7}, {1, 1})};
    const MaskedFeatures photo{at::tensor({2.F, 0.F, -3.F, 0.F, 1.F, 0.F}).view({2, 1, 3}),
                               longs({7, 7, 4}, {1, 3})};
    const double t = 0.5;
    const double own = std::exp(1 / t) + std::exp(0 / t);
    const double expected = -std::log(own / (own + std::exp(-1 / t)));
    EXPECT_NEAR(matchingLoss(view, photo, {1, 0}, 1, t).item<double>(), expected, 1e-6);
    // From the left end the other mask is out of reach: nothing can go wrong.
    EXPECT_EQ(matchingLoss(view, photo, {0, 0}, 1, t).item<double>(), 0);
    // From the right end the first pixel is.
    const double middle = std::exp(0 / t);
    EXPECT_NEAR(matchingLoss(view, photo, {2, 0}, 1, t).item<double>(),
                -std::log(middle / (middle + std::exp(-1 / t))), 1e-6);
}

TEST(MatchingLoss, PixelsWithoutAMaskNeitherLookNorCount) {
    const at::Tensor row = at::tensor({1.F, 0.F, -1.F, 0.F, 1.F, 0.F}).view({2, 1, 3});
    const MaskedFeatures view{row, longs({1, -1, 2}, {1, 3})};
    const MaskedFeatures alone{row, longs({1, -1, -1}, {1, 3})};
    EXPECT_EQ(matchingLoss(view, alone, {0, 0}, 5, 0.1).item<double>(), 0);
    const MaskedFeatures both{row, longs({1, -1, 2}, {1, 3})};
    const double share = std::exp(1.0) / (std::exp(1.0) + std::exp(-1.0));
    // Two of three pixels look, and the sum is divided by all three.
    EXPECT_NEAR(matchingLoss(view, both, {0, 0}, 5, 1).item<double>(), -2 * std::log(share) / 3,
                1e-6);
}

TEST(MatchingLoss, EqualsALoopOverPixels) {
    const at::Tensor labels = at::empty({6, 7})
                                  .uniform_(0, 2.999, at::make_generator<at::CPUGeneratorImpl>(4))
                                  .to(at::kLong) -
                              1;
    const at::Tensor features = gaussian({5, 6, 7}, 1);
    const at::Tensor queries = gaussian({5, 3, 4}, 2);
    const at::Tensor own = labels.slice(0, 2, 5).slice(1, 1, 5);
    const Pixel place{1, 2};
    constexpr std::int64_t radius = 2;
    double sum = 0;
    for (std::int64_t y = 0; y < 3; ++y) {
        for (std::int64_t x = 0; x < 4; ++x) {
            const auto mask = own[y][x].item<std::int64_t>();
            double same = 0;
            double other = 0;
            for (std::int64_t v = 0; v < 6; ++v) {
                for (std::int64_t u = 0; u < 7; ++u) {
                    const auto label = labels[v][u].item<std::int64_t>();
                    if (std::abs(v - y - place.y) > radius || std::abs(u - x - place.x) > radius ||
                        label < 0)
                        continue;
                    const at::Tensor a = queries.select(1, y).select(1, x);
                    const at::Tensor b = features.select(1, v).select(1, u);
                    const double cosine = ((a * b).sum() / (a.norm() * b.norm())).item<double>();
                    (label == mask ? same : other) += std::exp(cosine / 0.3);
                }
            }
            if (mask >= 0 && same > 0 && other > 0) sum -= std::log(same / (same + other));
        }
    }
    EXPECT_GT(sum, 0);
    EXPECT_NEAR(matchingLoss({queries, own}, {features, labels}, place, radius, 0.3).item<double>(),
                sum / 12, 1e-5);
}

TEST(MatchingLoss, OfALargeViewIsTheMeanOfItsParts) {
    const at::Tensor labels = at::empty({44, 40})
                                  .uniform_(0, 2.999, at::make_generator<at::CPUGeneratorImpl>(8))
                                  .to(at::kLong) -
                              1;
    const MaskedFeatures photo{gaussian({5, 44, 40}, 1), labels};
    const MaskedFeatures view{gaussian({5, 36, 35}, 2), labels.slice(0, 4, 40).slice(1, 2, 37)};
    constexpr std::int64_t radius = 6;
    const double whole = matchingLoss(view, photo, {2, 4}, radius, 0.3).item<double>();
    double sum = 0;
    for (std::int64_t y = 0; y < 36; y += 4) {
        for (std::int64_t x = 0; x < 35; x += 5) {
            const auto part = [&](const at::Tensor& map) {
                return map.slice(-2, y, y + 4).slice(-1, x, x + 5);
            };
            sum += 20 * matchingLoss({part(view.features), part(view.labels)}, photo,
                                     {2 + x, 4 + y}, radius, 0.3)
                            .item<double>();
        }
    }
    EXPECT_GT(whole, 0.1);
    EXPECT_NEAR(whole, sum / (36 * 35), 1e-5);
}

TEST(MatchingLoss, GradientMatchesFiniteDifferences) {
    const at::Tensor labels = longs({0, 0, 1, 1, 2, 2, -1, 0, 1, 1, 0, 2}, {3, 4});
    const at::Tensor photo = gaussian({4, 3, 4}, 5, at::kDouble);
    const at::Tensor view = gaussian({4, 3, 4}, 6, at::kDouble);
    expectGradientOf(
        [&](const at::Tensor& x) {
            return matchingLoss({x, labels}, {photo, labels}, {0, 0}, 1, 0.2);
        },
        view);
    expectGradientOf(
        [&](const at::Tensor& x) {
            return matchingLoss({view, labels}, {x, labels}, {0, 0}, 1, 0.2);
        },
        photo);
}

TEST(ViewJitter, StaysInsideItsRangeAndUsesAllOfIt) {
    const Extent extent{48, 64};
    const ViewJitterRange range;
    bool smaller = false;
    bool larger = false;
    int flips = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
        const ViewJitter jitter =
            sampleViewJitter(extent, range, CounterRandom(1, RandomPurpose::View, i));
        const double zoom = static_cast<double>(jitter.zoomed.width) / static_cast<double>(64 + 16);
        EXPECT_GE(zoom, 0.89);
        EXPECT_LE(zoom, 1.11);
        EXPECT_GE(jitter.offset.x, 0);
        EXPECT_LE(jitter.offset.x + 64, jitter.zoomed.width);
        EXPECT_LE(jitter.offset.y + 48, jitter.zoomed.height);
        smaller = smaller || zoom < 0.95;
        larger = larger || zoom > 1.05;
        flips += jitter.flip ? 1 : 0;
    }
    EXPECT_TRUE(smaller && larger);
    EXPECT_GT(flips, 70);
    EXPECT_LT(flips, 130);
}

TEST(ViewJitter, IsThePlainCropWhenNothingIsZoomed) {
    const at::Tensor map = gaussian({1, 2, 6, 8}, 14);
    const ViewJitter jitter{2, {10, 12}, {3, 2}, true};
    // Offset (3, 2) with padding 2: shifted left by one column; column 8 is the reflection of
    // column 6.
    const at::Tensor shifted = at::cat({map.slice(3, 1), map.slice(3, 6, 7)}, 3).flip({3});
    EXPECT_EQ(largest(applyViewJitter(map, jitter) - shifted), 0);
}

TEST(ViewJitter, MovesPhotoAndFeaturesAlike) {
    const at::Tensor both = gaussian({1, 5, 32, 40}, 15);
    const ViewJitter jitter =
        sampleViewJitter({32, 40}, {}, CounterRandom(3, RandomPurpose::View, 8));
    const at::Tensor together = applyViewJitter(both, jitter);
    EXPECT_TRUE(applyViewJitter(both.narrow(1, 0, 3), jitter).equal(together.narrow(1, 0, 3)));
    EXPECT_TRUE(applyViewJitter(both.narrow(1, 3, 2), jitter).equal(together.narrow(1, 3, 2)));
}

TEST(AttentionDownsampler, IsTheSoftmaxWeightedMeanOfEachWindow) {
    const AttentionDownsampler downsampler = AttentionDownsampler::create(
        6, 4, CounterRandom(5, RandomPurpose::Initialisation, 0), at::kCPU);
    const at::Tensor features = gaussian({2, 6, 8, 12}, 16);
    const at::Tensor pooled = downsampler.pool(features, downsampler.saliency(features), nullptr);
    ASSERT_EQ(pooled.sizes(), at::IntArrayRef({2, 6, 2, 3}));

    // Window (1, 2) of the second picture, by loops.
    const auto blurred = [&](std::int64_t c, std::int64_t y, std::int64_t x) {
        double sum = 0;
        for (std::int64_t dy = -2; dy <= 2; ++dy) {
            for (std::int64_t dx = -2; dx <= 2; ++dx) {
                sum += features[1][c][std::clamp<std::int64_t>(y + dy, 0, 7)]
                               [std::clamp<std::int64_t>(x + dx, 0, 11)]
                                   .item<double>();
            }
        }
        return sum / 25;
    };
    std::vector<double> weights;
    double total = 0;
    for (std::int64_t i = 0; i < 16; ++i) {
        double saliency = downsampler.saliencyBias.item<double>();
        for (std::int64_t c = 0; c < 6; ++c)
            saliency +=
                downsampler.saliencyWeight[c].item<double>() * blurred(c, 4 + i / 4, 8 + i % 4);
        weights.push_back(std::exp(saliency * downsampler.scale[i / 4][i % 4].item<double>() +
                                   downsampler.offset[i / 4][i % 4].item<double>()));
        total += weights.back();
    }
    for (std::int64_t c = 0; c < 6; ++c) {
        double expected = 0;
        for (std::int64_t i = 0; i < 16; ++i)
            expected +=
                weights[static_cast<std::size_t>(i)] / total * blurred(c, 4 + i / 4, 8 + i % 4);
        EXPECT_NEAR(pooled[1][c][1][2].item<double>(), expected, 1e-5);
    }
}

TEST(AttentionDownsampler, CommutesWithAProjectionAndAJitterTakenBefore) {
    // The trainer projects to 64 channels first, then jitters and pools: a third of the work, the
    // same result.
    const AttentionDownsampler downsampler = AttentionDownsampler::create(
        24, 4, CounterRandom(6, RandomPurpose::Initialisation, 0), at::kCPU);
    const at::Tensor features = gaussian({1, 24, 16, 20}, 17);
    const at::Tensor projection =
        randomProjection(24, 8, CounterRandom(6, RandomPurpose::Projection, 0));
    const ViewJitter jitter =
        sampleViewJitter({16, 20}, {4, 0.1, true}, CounterRandom(6, RandomPurpose::View, 1));

    const at::Tensor view = applyViewJitter(features, jitter);
    const at::Tensor late =
        projectChannels(downsampler.pool(view, downsampler.saliency(view), nullptr), projection);
    const at::Tensor early =
        downsampler.pool(applyViewJitter(projectChannels(features, projection), jitter),
                         applyViewJitter(downsampler.saliency(features), jitter), nullptr);
    EXPECT_LT(largest(late - early), 1e-5);
}

TEST(AttentionDownsampler, DropoutLeavesAFifthOfThePatchesToTheOffsetsAlone) {
    AttentionDownsampler downsampler = AttentionDownsampler::create(
        4, 2, CounterRandom(8, RandomPurpose::Initialisation, 0), at::kCPU);
    downsampler.saliencyWeight.detach().fill_(3);
    downsampler.scale.detach().fill_(1);
    downsampler.offset.detach().fill_(0);
    const at::Tensor features = gaussian({1, 4, 120, 120}, 18);
    CounterRandom random(8, RandomPurpose::Dropout, 0);
    const at::Tensor saliency = downsampler.saliency(features);
    const at::Tensor pooled = downsampler.pool(features, saliency, &random);
    const at::Tensor plain = downsampler.pool(features, at::zeros({1, 1, 120, 120}), nullptr);
    const double share =
        (pooled - plain).abs().amax({1}).lt(1e-6).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(share, 0.2, 0.03);
}

} // namespace
} // namespace loftscope
