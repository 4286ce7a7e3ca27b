// SPDX-License-Identifier: Apache-2.0
// A local start is what it says: before any training, a pixel's feature is that of the tokens
// around it, on coarse and fine grids, whatever the colours.
#include "core/train/local_start.h"
#include "core/train/trainable_loftup.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cosine_similarity.h>
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
