// SPDX-License-Identifier: Apache-2.0
// JAFAR against an independent PyTorch module with small random weights, which agrees with the
// published implementation to 1e-6 (docs/models.md).
#include "core/pipeline/models.h"
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

constexpr double jafarTolerance = 2e-5; ///< outputs range over 2

std::unique_ptr<Upsampler> tinyJafar() {
    const RecognisedModel model = recogniseModel(Golden("jafar_tiny.weights").state());
    auto upsampler = std::get<RecognisedUpsampler>(model).candidate.build(c10::kCPU, at::kFloat);
    if (!upsampler) throw std::runtime_error(upsampler.error().message);
    return *std::move(upsampler);
}

std::unique_ptr<FeatureField> boundJafar(const Golden& golden, const Extent& extent) {
    auto field =
        tinyJafar()->bind({golden["input.features"][0]}, {extent, golden["input.guidance"][0]});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

TEST(Jafar, EverySoManythPixelIsWhatItIsInTheWholeMap) {
    const Golden golden("jafar_tiny.nonsquare");
    const auto field = boundJafar(golden, {golden["output"].size(1), golden["output"].size(2)});
    const Rect rect{1, 0, field->extent().width - 1, field->extent().height};
    const at::Tensor whole = field->evaluate(rect);
    for (const std::int64_t stride : {1, 3, 8}) {
        const at::Tensor expected =
            whole.slice(1, 0, rect.height, stride).slice(2, 0, rect.width, stride);
        EXPECT_LE(difference(field->evaluateEvery(rect, stride), expected).max, 1e-5) << stride;
    }
}

class JafarParity : public testing::TestWithParam<const char*> {};

TEST_P(JafarParity, OutputAndAttentionEqualTheReference) {
    const Golden golden(std::string("jafar_tiny.") + GetParam());
    const at::Tensor expected = golden["output"];
    const auto field = boundJafar(golden, {expected.size(1), expected.size(2)});
    const auto gap = difference(field->evaluate(wholeOf(field->extent())), expected);
    EXPECT_LE(gap.max, jafarTolerance);
    EXPECT_LE(gap.mean, 2e-6);
    const Pixel pixel = pixelOf(golden);
    const auto attention = field->attend(pixel);
    ASSERT_TRUE(attention.has_value());
    EXPECT_LE(difference(*attention, golden["attention"].unsqueeze(0)).max, 1e-5);
    // Weights times features is what comes out there: a click explains the picture.
    const at::Tensor explained =
        golden["input.features"][0].flatten(1).matmul(attention->mean(1)[0].flatten());
    EXPECT_LE(difference(field->evaluate({pixel.x, pixel.y, 1, 1}).flatten(), explained).max, 1e-5);
}

TEST_P(JafarParity, TilingDoesNotChangeTheResult) {
    const Golden golden(std::string("jafar_tiny.") + GetParam());
    const at::Tensor expected = golden["output"];
    const auto field = boundJafar(golden, {expected.size(1), expected.size(2)});
    const at::Tensor whole = field->evaluate(wholeOf(field->extent()));
    for (const std::int64_t tile : {3, 11, 32}) {
        EXPECT_LE(difference(evaluateInTiles(*field, tile), whole).max, 1e-5)
            << "tiles of " << tile;
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, JafarParity, testing::Values("square", "nonsquare", "pooled"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Jafar, LargePicturesAreBoundInStripsWithTheSameResult) {
    const Golden golden("jafar_tiny.strips");
    const auto field = boundJafar(golden, {70, 260});
    EXPECT_LE(difference(field->evaluate({240, 55, 20, 15}), golden["output.part"]).max,
              jafarTolerance);
    EXPECT_LE(difference(*field->attend(pixelOf(golden)), golden["attention"].unsqueeze(0)).max,
              1e-5);
}

TEST(Jafar, BelongsToFeaturesOfItsWidth) {
    const auto field = tinyJafar()->bind({at::ones({12, 3, 3})}, {{24, 24}, at::ones({3, 24, 24})});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Mismatch);
    EXPECT_THAT(field.error().message, HasSubstr("20 channels, but the features have 12"));
}

TEST(Jafar, WhatAFileLacksIsNamed) {
    StateDict state = Golden("jafar_tiny.weights").state();
    state.erase("cross_decode.cross_attn.attention.k_proj_weight");
    const RecognisedModel model = recogniseModel(state);
    const auto& candidate = std::get<RecognisedUpsampler>(model).candidate;
    EXPECT_EQ(candidate.identity.name, "JAFAR for 20 channels");
    EXPECT_THAT(candidate.identity.account.missing,
                testing::ElementsAre("cross_decode.cross_attn.attention.k_proj_weight"));
    EXPECT_FALSE(candidate.build(c10::kCPU, at::kFloat).has_value());
    state = Golden("jafar_tiny.weights").state();
    state["image_encoder.0.weight"] = at::zeros({32, 3, 3, 3});
    EXPECT_THAT(std::get<UnknownModel>(recogniseModel(state)).reason, HasSubstr("neighbouring"));
}

TEST(Jafar, StopsWhileItIsBound) {
    std::stop_source stop;
    stop.request_stop();
    const auto field = tinyJafar()->bind({at::ones({20, 3, 3})}, {{24, 24}, at::ones({3, 24, 24})},
                                         RunContext{stop.get_token(), {}});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Cancelled);
}

} // namespace
} // namespace loftscope
