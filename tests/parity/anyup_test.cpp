// SPDX-License-Identifier: Apache-2.0
// AnyUp against an independent PyTorch module with small random weights, and against the published
// implementation with its published weights where LOFTSCOPE_MODELS names a folder that has them.
#include "core/pipeline/models.h"
#include "tests/support/fields.h"
#include "tests/support/golden.h"
#include "tests/support/published_models.h"

#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <memory>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::evaluateInTiles;
using test::Golden;
using test::pixelOf;

/// Largest difference allowed, as a share of the output's range. The fp32 reference itself is up to
/// 8e-5 (range 6.8) from the same equations in fp64.
constexpr double anyUpTolerance = 2e-5;

double rangeOf(const at::Tensor& values) {
    return (values.max() - values.min()).item<double>();
}

std::unique_ptr<Upsampler> tinyAnyUp() {
    const Golden golden("anyup_tiny.weights");
    const RecognisedModel model = recogniseModel(golden.state());
    auto upsampler = std::get<RecognisedUpsampler>(model).candidate.build(c10::kCPU, at::kFloat);
    if (!upsampler) throw std::runtime_error(upsampler.error().message);
    return *std::move(upsampler);
}

std::unique_ptr<FeatureField> boundAnyUp(const Upsampler& upsampler, const Golden& golden) {
    const at::Tensor output = golden["output"];
    const Extent extent{output.size(output.dim() - 2), output.size(output.dim() - 1)};
    auto field =
        upsampler.bind({golden["input.features"][0]}, {extent, golden["input.guidance"][0]});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

TEST(AnyUp, EverySoManythPixelIsWhatItIsInTheWholeMap) {
    const Golden golden("anyup_tiny.nonsquare");
    const auto field = boundAnyUp(*tinyAnyUp(), golden);
    const Rect rect{1, 0, field->extent().width - 1, field->extent().height};
    const at::Tensor whole = field->evaluate(rect);
    for (const std::int64_t stride : {1, 3, 8}) {
        const at::Tensor expected =
            whole.slice(1, 0, rect.height, stride).slice(2, 0, rect.width, stride);
        EXPECT_LE(difference(field->evaluateEvery(rect, stride), expected).max, 1e-5) << stride;
    }
}

class AnyUpParity : public testing::TestWithParam<const char*> {};

TEST_P(AnyUpParity, OutputAndAttentionEqualTheReference) {
    const Golden golden(std::string("anyup_tiny.") + GetParam());
    const auto field = boundAnyUp(*tinyAnyUp(), golden);
    const auto gap = difference(field->evaluate(wholeOf(field->extent())), golden["output"]);
    EXPECT_LE(gap.max, anyUpTolerance * rangeOf(golden["output"]));
    EXPECT_LE(gap.mean, 5e-6);

    const Pixel pixel = pixelOf(golden);
    const auto attention = field->attend(pixel);
    ASSERT_TRUE(attention.has_value());
    EXPECT_LE(difference(*attention, golden["attention"].unsqueeze(0)).max, 3e-5);
    // Weights times features is what comes out there: a click explains the picture.
    const at::Tensor share = attention->mean(1)[0].flatten();
    const at::Tensor explained = golden["input.features"][0].flatten(1).matmul(share);
    EXPECT_LE(difference(field->evaluate({pixel.x, pixel.y, 1, 1}).flatten(), explained).max, 1e-5);
}

TEST_P(AnyUpParity, TilingDoesNotChangeTheResult) {
    const Golden golden(std::string("anyup_tiny.") + GetParam());
    const auto field = boundAnyUp(*tinyAnyUp(), golden);
    const at::Tensor whole = field->evaluate(wholeOf(field->extent()));
    for (const std::int64_t tile : {3, 11, 32}) {
        EXPECT_LE(difference(evaluateInTiles(*field, tile), whole).max, 1e-5)
            << "tiles of " << tile;
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, AnyUpParity,
                         testing::Values("square", "nonsquare", "pooled", "enlarged"),
                         [](const auto& instance) { return std::string(instance.param); });

class PublishedAnyUp : public testing::TestWithParam<const char*> {};

TEST_P(PublishedAnyUp, EqualsThePublishedImplementation) {
    const std::string file = std::string(GetParam()) + ".pth";
    LOFTSCOPE_NEEDS_PUBLISHED_MODEL(file);
    const auto upsampler = loadUpsampler("anyup", test::publishedModel(file), c10::kCPU);
    ASSERT_TRUE(upsampler.has_value()) << upsampler.error().message;
    const Golden golden(std::string("peer.") + GetParam());
    const auto field = boundAnyUp(*upsampler->model, golden);
    const at::Tensor expected = golden["output"][0];
    const auto gap = difference(field->evaluate(wholeOf(field->extent())), expected);
    EXPECT_LE(gap.max, anyUpTolerance * rangeOf(expected));
}

INSTANTIATE_TEST_SUITE_P(Golden, PublishedAnyUp,
                         testing::Values("anyup_paper", "anyup_multi_backbone"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(AnyUp, LargePicturesAreBoundInStripsWithTheSameResult) {
    const Golden golden("anyup_tiny.strips");
    at::Tensor picture = at::zeros({3, 130, 300});
    auto values = picture.accessor<float, 3>();
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y < 130; ++y)
            for (int x = 0; x < 300; ++x)
                values[c][y][x] = static_cast<float>((7 * x + 13 * y + 5 * c) % 17) / 8.0F - 1.0F +
                                  (x < 40 && y < 40 ? 3.0F : 0.0F);
    const auto field = tinyAnyUp()->bind({golden["input.features"][0]}, {{130, 300}, picture});
    ASSERT_TRUE(field.has_value());
    EXPECT_LE(difference((*field)->evaluate({280, 120, 4, 4}), golden["output.corner"]).max, 5e-5);
    EXPECT_LE(difference((*field)->evaluate({30, 50, 4, 8}), golden["output.middle"]).max, 5e-5);
}

TEST(AnyUp, TakesFeaturesOfAnyWidth) {
    const auto upsampler = tinyAnyUp();
    for (const std::int64_t channels : {1, 31, 384}) {
        const auto field =
            upsampler->bind({at::randn({channels, 3, 3})}, {{24, 24}, at::randn({3, 24, 24})});
        ASSERT_TRUE(field.has_value());
        EXPECT_EQ((*field)->evaluate({0, 0, 2, 2}).size(0), channels);
    }
}

TEST(AnyUp, RefusesWhatItCannotMirror) {
    const auto field =
        tinyAnyUp()->bind({at::randn({8, 1, 5})}, {{16, 80}, at::zeros({3, 16, 80})});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::InvalidArgument);
    EXPECT_NE(field.error().message.find("5 x 1"), std::string::npos);
}

TEST(AnyUp, StopsWhileItIsBound) {
    std::stop_source stop;
    stop.request_stop();
    const auto field = tinyAnyUp()->bind({at::randn({8, 3, 3})}, {{32, 32}, at::zeros({3, 32, 32})},
                                         {stop.get_token(), {}});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Cancelled);
}

TEST(AnyUp, NamesWhatAFileLacks) {
    StateDict state = Golden("anyup_tiny.weights").state();
    state.erase("aggregation.2.block.3.bias");
    state["rope.freqs"] = at::zeros({2, 30});
    state["extra"] = at::zeros({1});
    const RecognisedModel model = recogniseModel(state);
    const auto* upsampler = std::get_if<RecognisedUpsampler>(&model);
    ASSERT_NE(upsampler, nullptr);
    const WeightAccount& account = upsampler->candidate.identity.account;
    EXPECT_EQ(account.missing, std::vector<std::string>{"aggregation.2.block.3.bias"});
    EXPECT_EQ(account.misshapen.size(), 1U);
    EXPECT_EQ(account.surplus, std::vector<std::string>{"extra"});
    const auto built = upsampler->candidate.build(c10::kCPU, at::kFloat);
    ASSERT_FALSE(built.has_value());
    EXPECT_EQ(built.error().code, ErrorCode::Mismatch);
    EXPECT_NE(built.error().message.find("aggregation.2.block.3.bias"), std::string::npos);
}

} // namespace
} // namespace loftscope
