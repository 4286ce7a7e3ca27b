// SPDX-License-Identifier: Apache-2.0
// UPLiFT against an independent PyTorch module with small random weights, which agrees with the
// published implementation to 1e-5 (docs/models.md).
#include "core/pipeline/models.h"
#include "core/upsample/uplift.h"
#include "tests/support/fields.h"
#include "tests/support/golden.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <memory>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::evaluateInTiles;
using test::Golden;
using test::pixelOf;
using ::testing::HasSubstr;

constexpr double upliftTolerance = 2e-5; ///< outputs range over 4

std::unique_ptr<Upsampler> tinyUplift() {
    const RecognisedModel model = recogniseModel(Golden("uplift_tiny.weights").state());
    auto upsampler = std::get<RecognisedUpsampler>(model).candidate.build(c10::kCPU, at::kFloat);
    if (!upsampler) throw std::runtime_error(upsampler.error().message);
    return *std::move(upsampler);
}

std::unique_ptr<FeatureField> boundUplift(const Upsampler& upsampler, const Golden& golden) {
    const at::Tensor picture = golden["input.guidance"][0];
    auto field = upsampler.bind({golden["input.features"][0]},
                                {{picture.size(1), picture.size(2)}, picture});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

class UpliftParity : public testing::TestWithParam<const char*> {};

TEST_P(UpliftParity, OutputAndAttentionEqualTheReference) {
    const Golden golden(std::string("uplift_tiny.") + GetParam());
    const auto field = boundUplift(*tinyUplift(), golden);
    const auto gap = difference(field->evaluate(wholeOf(field->extent())), golden["output"]);
    EXPECT_LE(gap.max, upliftTolerance);
    EXPECT_LE(gap.mean, 2e-6);
    const Pixel pixel = pixelOf(golden);
    const auto attention = field->attend(pixel);
    ASSERT_TRUE(attention.has_value());
    EXPECT_LE(difference(*attention, golden["attention"].unsqueeze(0).unsqueeze(0)).max, 1e-5);
    const at::Tensor explained =
        golden["input.features"][0].flatten(1).matmul(attention->flatten());
    EXPECT_LE(difference(field->evaluate({pixel.x, pixel.y, 1, 1}).flatten(), explained).max, 1e-5);
}

TEST_P(UpliftParity, TilingDoesNotChangeTheResult) {
    const Golden golden(std::string("uplift_tiny.") + GetParam());
    const auto field = boundUplift(*tinyUplift(), golden);
    const at::Tensor whole = field->evaluate(wholeOf(field->extent()));
    for (const std::int64_t tile : {5, 13, 32}) {
        EXPECT_LE(difference(evaluateInTiles(*field, tile), whole).max, 1e-5)
            << "tiles of " << tile;
    }
}

TEST_P(UpliftParity, PicturesTooLargeToKeepGiveTheSame) {
    const Golden golden(std::string("uplift_tiny.") + GetParam());
    // Room for no map, for the first one and for all but the encoder's.
    for (const std::int64_t keptBytes : {0, 8000, 100000}) {
        auto upsampler = buildUplift(Golden("uplift_tiny.weights").state(), c10::kCPU, keptBytes);
        ASSERT_TRUE(upsampler.has_value());
        const auto field = boundUplift(**upsampler, golden);
        EXPECT_LE(difference(field->evaluate(wholeOf(field->extent())), golden["output"]).max,
                  upliftTolerance);
        EXPECT_LE(difference(*field->attend(pixelOf(golden)),
                             golden["attention"].unsqueeze(0).unsqueeze(0))
                      .max,
                  1e-5);
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, UpliftParity, testing::Values("square", "nonsquare", "patch14"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Uplift, BelongsToFeaturesOfItsWidth) {
    const auto field =
        tinyUplift()->bind({at::ones({11, 3, 3})}, {{48, 48}, at::ones({3, 48, 48})});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Mismatch);
    EXPECT_THAT(field.error().message, HasSubstr("12 channels, but the features have 11"));
}

TEST(Uplift, WhatAFileLacksIsNamed) {
    StateDict state = Golden("uplift_tiny.weights").state();
    state.erase("decoder.up_1.up.bias");
    const RecognisedModel model = recogniseModel(state);
    const auto& candidate = std::get<RecognisedUpsampler>(model).candidate;
    EXPECT_EQ(candidate.identity.name, "UPLiFT for 12 channels");
    EXPECT_THAT(candidate.identity.account.missing, testing::ElementsAre("decoder.up_1.up.bias"));
    EXPECT_FALSE(candidate.build(c10::kCPU, at::kFloat).has_value());
    // The publishers' model for a diffusion model's latents is another architecture.
    state = Golden("uplift_tiny.weights").state();
    state["ref_outc.weight"] = at::zeros({4, 8, 1, 1});
    EXPECT_THAT(std::get<UnknownModel>(recogniseModel(state)).reason, HasSubstr("refines"));
}

TEST(Uplift, StopsWhileItIsBound) {
    std::stop_source stop;
    stop.request_stop();
    const auto field = tinyUplift()->bind({at::ones({12, 3, 3})}, {{48, 48}, at::ones({3, 48, 48})},
                                          RunContext{stop.get_token(), {}});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Cancelled);
}

} // namespace
} // namespace loftscope
