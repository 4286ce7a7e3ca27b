// SPDX-License-Identifier: Apache-2.0
// A local start is what it says: before any training, a pixel's feature is that of the tokens
// around it, on coarse and fine grids, whatever the colours.
#include "core/train/local_start.h"
#include "core/train/trainable_loftup.h"
#include "tests/train/toy_training.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace loftscope {
namespace {

LoftUpSpec specOf(std::int64_t channels) {
    LoftUpSpec spec = publishedLoftUp(channels);
    spec.frequencies = spec.lrFrequencies = localStartFrequencies;
    spec.dim = channels + 4 * spec.lrFrequencies;
    return spec;
}

TrainableLoftUp fresh(const LoftUpSpec& spec) {
    return TrainableLoftUp::create(spec, CounterRandom(3, RandomPurpose::Initialisation, 0));
}

/// Mean cosine of the features in the middle of every token with that token, tokens at random.
double likenessToTheTokenBeneath(const TrainableLoftUp& model, std::int64_t grid) {
    const c10::NoGradGuard noGrad;
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(7);
    const at::Tensor tokens =
        model.channelNorm(at::randn({1, model.spec().channels, grid, grid}, generator));
    const at::Tensor guidance = at::rand({1, 3, 5 * grid, 5 * grid}, generator);
    const at::Tensor features = model.forward(tokens, guidance, {});
    const at::Tensor middle = features.slice(2, 2, c10::nullopt, 5).slice(3, 2, c10::nullopt, 5);
    return at::cosine_similarity(middle, tokens, 1).mean().item<double>();
}

TEST(LocalStart, BeginsAsASmoothInterpolationOnAnyGrid) {
    const LoftUpSpec spec = specOf(64);
    const TrainableLoftUp noise = fresh(spec);
    const TrainableLoftUp local = fresh(spec);
    const auto begun = beginLocal(local.parameters(), spec);
    ASSERT_TRUE(begun) << begun.error().message;
    for (const std::int64_t grid : {8, 14, 24}) {
        EXPECT_LT(std::abs(likenessToTheTokenBeneath(noise, grid)), 0.1) << grid;
        EXPECT_GT(likenessToTheTokenBeneath(local, grid), 0.4) << grid;
    }
}

/// 64 channels that mix the mean colours of a patch and their squares.
class MixedColors final : public Backbone {
public:
    std::string name() const override { return "mixed colours"; }
    std::int64_t patch() const override { return toyPatch; }
    std::int64_t channels() const override { return 64; }
    std::int64_t depth() const override { return 1; }
    std::int64_t heads() const override { return 1; }
    Normalisation normalisation() const override { return {}; }
    Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps&,
                               const RunContext&) const override {
        const at::Tensor mean = at::avg_pool2d(picture, {toyPatch, toyPatch})[0];
        const at::Tensor colors = at::cat({mean, mean.square()}).flatten(1); // 6 x tokens
        const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(9);
        BackboneOutput output;
        output.tokens.values =
            at::randn({64, 6}, generator).mm(colors).view({64, mean.size(1), mean.size(2)});
        return output;
    }
};

TEST(LocalStart, WithColoursFollowsAnEdgeThatRunsThroughAPatch) {
    const c10::NoGradGuard noGrad;
    const MixedColors backbone;
    const Discs photos(5);
    const auto colors = fitColorKeys(backbone, photos, 10, 8 * toyPatch, 1);
    ASSERT_TRUE(colors) << colors.error().message;
    EXPECT_GT(colors->explained, 0.6);

    // Dark left of column 28, in the middle of a patch, bright right of it.
    at::Tensor picture = at::full({1, 3, 64, 64}, 0.15F);
    picture.slice(3, 28) = 0.8F;
    const LoftUpSpec spec = specOf(64);
    const auto acrossTheEdge = [&](const ColorKeys* keys) {
        const TrainableLoftUp model = fresh(spec);
        const auto begun = beginLocal(model.parameters(), spec, keys);
        EXPECT_TRUE(begun) << begun.error().message;
        const at::Tensor tokens =
            model.channelNorm(backbone.run(picture, {}, {})->tokens.values.unsqueeze(0));
        const at::Tensor features = model.forward(tokens, picture, {});
        return 1 - at::cosine_similarity(features.select(2, 30).select(2, 25),
                                         features.select(2, 30).select(2, 30))
                       .item<double>();
    };
    EXPECT_GT(acrossTheEdge(&*colors), 3 * acrossTheEdge(nullptr));
}

TEST(LocalStart, RefusesALoftUpThatIsTooSmallForIt) {
    const LoftUpSpec spec = specOf(8);
    const ColorKeys colors{at::randn({12, 8}), at::randn({12})};
    const auto begun = beginLocal(fresh(spec).parameters(), spec, &colors);
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, ErrorCode::Unsupported);
}

TEST(LocalStart, RefusesCodesThatShareNoFrequencies) {
    const LoftUpSpec spec = publishedLoftUp(64);
    const TrainableLoftUp model = fresh(spec);
    const auto begun = beginLocal(model.parameters(), spec);
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, ErrorCode::Unsupported);
    EXPECT_NE(begun.error().message.find("13"), std::string::npos);
}

} // namespace
} // namespace loftscope
