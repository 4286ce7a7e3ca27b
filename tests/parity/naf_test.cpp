// SPDX-License-Identifier: Apache-2.0
// NAF against an independent PyTorch module with small random weights, which agrees with the
// published implementation to 1e-5 (docs/models.md).
#include "core/pipeline/models.h"
#include "core/upsample/naf.h"
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

constexpr double nafTolerance = 2e-5; ///< outputs range over 4

std::unique_ptr<Upsampler> tinyNaf() {
    const RecognisedModel model = recogniseModel(Golden("naf_tiny.weights").state());
    auto upsampler = std::get<RecognisedUpsampler>(model).candidate.build(c10::kCPU, at::kFloat);
    if (!upsampler) throw std::runtime_error(upsampler.error().message);
    return *std::move(upsampler);
}

std::unique_ptr<FeatureField> boundNaf(const Upsampler& upsampler, const Golden& golden) {
    const at::Tensor expected = golden["output"];
    auto field =
        upsampler.bind({golden["input.features"][0]},
                       {{expected.size(1), expected.size(2)}, golden["input.guidance"][0]});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

class NafParity : public testing::TestWithParam<const char*> {};

TEST_P(NafParity, OutputAndAttentionEqualTheReference) {
    const Golden golden(std::string("naf_tiny.") + GetParam());
    const auto field = boundNaf(*tinyNaf(), golden);
    const auto gap = difference(field->evaluate(wholeOf(field->extent())), golden["output"]);
    EXPECT_LE(gap.max, nafTolerance);
    EXPECT_LE(gap.mean, 2e-6);
    const Pixel pixel = pixelOf(golden);
    const auto attention = field->attend(pixel);
    ASSERT_TRUE(attention.has_value());
    EXPECT_LE(difference(*attention, golden["attention"].unsqueeze(0)).max, 1e-5);
    // Each head weighs its quarter of the channels.
    const at::Tensor features = golden["input.features"][0].flatten(1); // C x N
    const at::Tensor explained = features.view({4, features.size(0) / 4, features.size(1)})
                                     .matmul((*attention)[0].flatten(1).unsqueeze(2))
                                     .flatten();
    EXPECT_LE(difference(field->evaluate({pixel.x, pixel.y, 1, 1}).flatten(), explained).max, 1e-5);
}

TEST_P(NafParity, TilingDoesNotChangeTheResult) {
    const Golden golden(std::string("naf_tiny.") + GetParam());
    const auto field = boundNaf(*tinyNaf(), golden);
    const at::Tensor whole = field->evaluate(wholeOf(field->extent()));
    for (const std::int64_t tile : {3, 11, 32}) {
        EXPECT_LE(difference(evaluateInTiles(*field, tile), whole).max, 1e-5)
            << "tiles of " << tile;
    }
}

TEST_P(NafParity, PicturesTooLargeToKeepGiveTheSame) {
    const Golden golden(std::string("naf_tiny.") + GetParam());
    auto upsampler = buildNaf(Golden("naf_tiny.weights").state(), c10::kCPU, 0);
    ASSERT_TRUE(upsampler.has_value());
    const auto field = boundNaf(**upsampler, golden);
    EXPECT_LE(difference(field->evaluate(wholeOf(field->extent())), golden["output"]).max,
              nafTolerance);
    EXPECT_LE(difference(*field->attend(pixelOf(golden)), golden["attention"].unsqueeze(0)).max,
              1e-5);
}

INSTANTIATE_TEST_SUITE_P(Golden, NafParity,
                         testing::Values("square", "nonsquare", "uneven", "pooled", "shrunk"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Naf, SaysWhatItCannotTake) {
    const auto upsampler = tinyNaf();
    const auto messageOf = [&](const at::Tensor& features, const Extent& extent) {
        const auto field =
            upsampler->bind({features}, {extent, at::ones({3, extent.height, extent.width})});
        return field.has_value() ? std::string() : field.error().message;
    };
    EXPECT_EQ(messageOf(at::ones({8, 9, 9}), {36, 36}), "");
    EXPECT_THAT(messageOf(at::ones({8, 9, 8}), {36, 32}), HasSubstr("9 x 9 low-resolution tokens"));
    EXPECT_THAT(messageOf(at::ones({8, 9, 9}), {36, 8}), HasSubstr("larger output"));
    EXPECT_THAT(messageOf(at::ones({10, 9, 9}), {36, 36}), HasSubstr("4 heads"));
    EXPECT_THAT(messageOf(at::ones({8, 9, 9}), {36, 1}), HasSubstr("guidance picture"));
}

TEST(Naf, WhatAFileLacksIsNamed) {
    StateDict state = Golden("naf_tiny.weights").state();
    state.erase("image_encoder.sem_encoder.2.norm1.bias");
    const RecognisedModel model = recogniseModel(state);
    const auto& candidate = std::get<RecognisedUpsampler>(model).candidate;
    EXPECT_EQ(candidate.identity.name, "NAF (any backbone)");
    EXPECT_THAT(candidate.identity.account.missing,
                testing::ElementsAre("image_encoder.sem_encoder.2.norm1.bias"));
    EXPECT_FALSE(candidate.build(c10::kCPU, at::kFloat).has_value());
    state = Golden("naf_tiny.weights").state();
    state["image_encoder.encoder.3.conv1.weight"] = at::zeros({32, 32, 1, 1});
    EXPECT_THAT(std::get<UnknownModel>(recogniseModel(state)).reason, HasSubstr("two blocks"));
}

TEST(Naf, StopsWhileItIsBound) {
    std::stop_source stop;
    stop.request_stop();
    const auto field = tinyNaf()->bind({at::ones({8, 9, 9})}, {{36, 36}, at::ones({3, 36, 36})},
                                       RunContext{stop.get_token(), {}});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Cancelled);
}

} // namespace
} // namespace loftscope
