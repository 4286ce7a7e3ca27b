// SPDX-License-Identifier: Apache-2.0
// DINOv2 against the official code, transformers and timm, in each one's own layout.
#include "core/backbone/dinov2.h"
#include "core/backbone/position_table.h"
#include "core/weights/recognise.h"
#include "tests/support/golden.h"

#include <ATen/ops/zeros.h>

#include <memory>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;

std::unique_ptr<Backbone> backboneOf(const std::string& architecture) {
    const Golden golden("backbone." + architecture + ".weights");
    const auto spec = recogniseVit(golden.state());
    if (!spec) throw std::runtime_error(spec.error().message);
    auto backbone = makeDinov2(canonicalVitState(golden.state(), *spec), *spec);
    if (!backbone) throw std::runtime_error(backbone.error().message);
    return *std::move(backbone);
}

class Dinov2Parity : public testing::TestWithParam<const char*> {};

TEST_P(Dinov2Parity, PatchTokensEqualTheReferenceOnEveryGrid) {
    const auto backbone = backboneOf(GetParam());
    const Golden cases(std::string("backbone.") + GetParam() + ".cases");
    int compared = 0;
    for (const std::string grid : {"native", "other", "square", "samecount"}) {
        if (!cases.has("image." + grid)) continue;
        ++compared;
        BackboneTaps taps;
        taps.layers = {0};
        const auto output = backbone->run(cases["image." + grid], taps, {});
        ASSERT_TRUE(output.has_value()) << output.error().message;
        const auto rows = [](const FeatureGrid& features) {
            return features.values.flatten(1).t();
        };
        const auto gap = difference(rows(output->tokens), cases["tokens." + grid]);
        EXPECT_LE(gap.max, 2e-4) << grid;
        EXPECT_LE(gap.mean, 1e-5) << grid;
        if (cases.has("tap.block0." + grid)) {
            const at::Tensor expected = cases["tap.block0." + grid];
            const std::int64_t prefix = expected.size(0) - output->tokens.extent().area();
            EXPECT_LE(difference(rows(output->layers[0]), expected.slice(0, prefix)).max, 2e-4)
                << grid;
        }
    }
    EXPECT_GE(compared, 2);
}

INSTANTIATE_TEST_SUITE_P(Golden, Dinov2Parity,
                         testing::Values("dinov2_hub", "dinov2_reg4_hub", "dinov2_swiglu_hub",
                                         "dinov2_hf", "dinov2_reg4_hf", "dinov2_swiglu_hf",
                                         "dinov2_timm", "dinov2_reg4_timm"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Dinov2, PositionTableOfTheHubUsesItsOffset) {
    const Golden weights("backbone.dinov2_hub.weights");
    const Golden cases("backbone.dinov2_hub.cases");
    const struct {
        std::string name;
        Extent grid;
    } grids[] = {{"native", {6, 6}}, {"other", {5, 9}}, {"square", {8, 8}}, {"samecount", {4, 9}}};
    for (const auto& [name, grid] : grids) {
        const at::Tensor table =
            resizedPositionTable(weights["pos_embed"], {6, 6}, grid, PositionRule::HubOffset);
        EXPECT_LE(difference(table[0], cases["tap.pos_embed." + name]).max, 1e-5) << name;
    }
}

TEST(Dinov2, SelfAttentionSumsToOneAndDependsOnTheQuery) {
    for (const char* architecture : {"dinov2_hub", "dinov2_reg4_hub"}) {
        const auto backbone = backboneOf(architecture);
        const Golden cases(std::string("backbone.") + architecture + ".cases");
        BackboneTaps taps;
        taps.attention = true;
        const auto ofClass = backbone->run(cases["image.other"], taps, {});
        ASSERT_TRUE(ofClass.has_value());
        EXPECT_EQ(ofClass->attention.sizes(),
                  (std::vector<std::int64_t>{backbone->depth(), 2, 5, 9}));
        const at::Tensor total = ofClass->attention.sum({2, 3}) + ofClass->attentionElsewhere;
        EXPECT_LE(difference(total, at::zeros(total.sizes()) + 1.0).max, 1e-5);
        taps.query = Pixel{3, 2};
        const auto ofPatch = backbone->run(cases["image.other"], taps, {});
        ASSERT_TRUE(ofPatch.has_value());
        EXPECT_GT(difference(ofPatch->attention, ofClass->attention).max, 1e-3);
        taps.query = Pixel{9, 0};
        EXPECT_EQ(backbone->run(cases["image.other"], taps, {}).error().code,
                  ErrorCode::InvalidArgument);
    }
}

TEST(Dinov2, RefusesSizesThatAreNoMultipleOfThePatch) {
    const auto backbone = backboneOf("dinov2_hub");
    const auto output = backbone->run(at::zeros({1, 3, 80, 84}), {}, {});
    ASSERT_FALSE(output.has_value());
    EXPECT_NE(output.error().message.find("14"), std::string::npos);
    EXPECT_NE(output.error().message.find("84 x 80"), std::string::npos);
}

TEST(Dinov2, StopsBetweenBlocks) {
    const auto backbone = backboneOf("dinov2_hub");
    std::stop_source stop;
    stop.request_stop();
    const auto output = backbone->run(at::zeros({1, 3, 84, 84}), {}, {stop.get_token(), {}});
    ASSERT_FALSE(output.has_value());
    EXPECT_EQ(output.error().code, ErrorCode::Cancelled);
}

} // namespace
} // namespace loftscope
