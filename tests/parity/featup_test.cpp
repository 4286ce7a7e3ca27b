// SPDX-License-Identifier: Apache-2.0
// FeatUp's stack against an independent PyTorch module with small random weights, and against the
// published implementation with its published weights where LOFTSCOPE_MODELS names a folder that
// has them.
#include "core/pipeline/models.h"
#include "tests/support/fields.h"
#include "tests/support/golden.h"
#include "tests/support/published_models.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <memory>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::evaluateInTiles;
using test::Golden;

std::unique_ptr<Upsampler> featUpOf(const StateDict& state) {
    const RecognisedModel model = recogniseModel(state);
    auto upsampler = std::get<RecognisedUpsampler>(model).candidate.build(c10::kCPU, at::kFloat);
    if (!upsampler) throw std::runtime_error(upsampler.error().message);
    return *std::move(upsampler);
}

std::unique_ptr<Upsampler> tinyFeatUp() {
    return featUpOf(Golden("featup_tiny.weights").state());
}

std::unique_ptr<FeatureField> boundFeatUp(const Upsampler& upsampler, const Golden& golden) {
    // The wanted extent plays no part: the map is 16 times the grid.
    auto field =
        upsampler.bind({golden["input.features"][0]}, {{7, 7}, golden["input.guidance"][0]});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

class FeatUpParity : public testing::TestWithParam<const char*> {};

TEST_P(FeatUpParity, OutputEqualsTheReference) {
    const Golden golden(std::string("featup_tiny.") + GetParam());
    const auto field = boundFeatUp(*tinyFeatUp(), golden);
    const Extent grid = field->gridExtent();
    EXPECT_EQ(field->extent(), (Extent{16 * grid.height, 16 * grid.width}));
    const auto gap = difference(field->evaluate(wholeOf(field->extent())), golden["output"]);
    EXPECT_LE(gap.max, 1e-5);
    EXPECT_LE(gap.mean, 1e-6);
}

TEST_P(FeatUpParity, WeightsOfTheTokensEqualTheReference) {
    const Golden golden(std::string("featup_tiny.") + GetParam());
    const auto field = boundFeatUp(*tinyFeatUp(), golden);
    const at::Tensor pixels = golden["pixels"];
    for (std::int64_t i = 0; i < pixels.size(0); ++i) {
        const auto weights = field->attend({pixels[i][0].to(at::kLong).item<std::int64_t>(),
                                            pixels[i][1].to(at::kLong).item<std::int64_t>()});
        ASSERT_TRUE(weights.has_value());
        EXPECT_LE(difference((*weights)[0][0], golden["weights_at"][i]).max, 1e-5);
    }
}

TEST_P(FeatUpParity, TilingDoesNotChangeTheResult) {
    const Golden golden(std::string("featup_tiny.") + GetParam());
    const auto field = boundFeatUp(*tinyFeatUp(), golden);
    const at::Tensor whole = field->evaluate(wholeOf(field->extent()));
    for (const std::int64_t tile : {3, 16, 29}) {
        EXPECT_LE(difference(evaluateInTiles(*field, tile), whole).max, 1e-5)
            << "tiles of " << tile;
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, FeatUpParity, testing::Values("square", "offsize"),
                         [](const auto& instance) { return std::string(instance.param); });

class PublishedFeatUp : public testing::TestWithParam<const char*> {};

TEST_P(PublishedFeatUp, EqualsThePublishedImplementation) {
    const std::string file = "maskclip_jbu_stack_cocostuff.ckpt";
    LOFTSCOPE_NEEDS_PUBLISHED_MODEL(file);
    const auto upsampler = loadUpsampler("featup", test::publishedModel(file), c10::kCPU);
    ASSERT_TRUE(upsampler.has_value()) << upsampler.error().message;
    const Golden golden(std::string("peer.") + GetParam());
    const auto field = boundFeatUp(*upsampler->model, golden);
    const at::Tensor output = field->evaluate(wholeOf(field->extent()));
    EXPECT_LE(difference(output.slice(0, 0, 4), golden["output.first4"][0]).max, 1e-4);
    const at::Tensor pixels = golden.raw("output.pixels").to(at::kLong);
    const at::Tensor index = pixels.select(1, 0) * field->extent().width + pixels.select(1, 1);
    EXPECT_LE(difference(output.flatten(1).index_select(1, index).t(), golden["output.at"]).max,
              1e-4);
}

INSTANTIATE_TEST_SUITE_P(Golden, PublishedFeatUp,
                         testing::Values("jbu_maskclip", "jbu_maskclip_offsize"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(FeatUp, LightningCheckpointsWithTheirNormAreTheSameOnNormedFeatures) {
    StateDict lightning;
    const StateDict bare = Golden("featup_tiny.weights").state();
    for (const auto& [key, tensor] : bare)
        lightning["upsampler." + key] = tensor;
    lightning["model.1.norm.weight"] = at::ones({12});
    lightning["model.1.norm.bias"] = at::zeros({12});
    const Golden golden("featup_tiny.square");
    const at::Tensor features = golden["input.features"][0];
    const at::Tensor picture = golden["input.guidance"][0];
    const at::Tensor normed = at::layer_norm(features.permute({1, 2, 0}), {12}).permute({2, 0, 1});
    const auto own = featUpOf(lightning)->bind({features}, {{48, 48}, picture});
    const auto before = tinyFeatUp()->bind({normed}, {{48, 48}, picture});
    ASSERT_TRUE(own.has_value() && before.has_value());
    const Rect rect{5, 9, 20, 11};
    EXPECT_LE(difference((*own)->evaluate(rect), (*before)->evaluate(rect)).max, 1e-5);
}

TEST(FeatUp, RefusesWhatDoesNotFit) {
    const auto upsampler = tinyFeatUp();
    const at::Tensor picture = at::zeros({3, 32, 32});
    const auto wide = upsampler->bind({at::randn({20, 2, 2})}, {{32, 32}, picture});
    ASSERT_FALSE(wide.has_value());
    EXPECT_EQ(wide.error().code, ErrorCode::Mismatch);
    EXPECT_NE(wide.error().message.find("12 channels"), std::string::npos);
    EXPECT_NE(wide.error().message.find("have 20"), std::string::npos);
    const auto line = upsampler->bind({at::randn({12, 1, 4})}, {{32, 32}, picture});
    ASSERT_FALSE(line.has_value());
    EXPECT_EQ(line.error().code, ErrorCode::InvalidArgument);
}

TEST(FeatUp, NamesWhatAFileLacks) {
    StateDict state = Golden("featup_tiny.weights").state();
    state.erase("up3.fixup_proj.3.bias");
    const RecognisedModel model = recogniseModel(state);
    const auto* upsampler = std::get_if<RecognisedUpsampler>(&model);
    ASSERT_NE(upsampler, nullptr);
    EXPECT_EQ(upsampler->candidate.identity.account.missing,
              std::vector<std::string>{"up3.fixup_proj.3.bias"});
    EXPECT_FALSE(upsampler->candidate.build(c10::kCPU, at::kFloat).has_value());
    state.erase("fixup_proj.1.weight");
    EXPECT_TRUE(std::holds_alternative<UnknownModel>(recogniseModel(state)));
}

} // namespace
} // namespace loftscope
