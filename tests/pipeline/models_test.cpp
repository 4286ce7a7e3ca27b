// SPDX-License-Identifier: Apache-2.0
// Which model a checkpoint is taken for, and what loading one as another says.
#include "core/pipeline/models.h"
#include "tests/support/golden.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

namespace loftscope {
namespace {

using test::Golden;
using ::testing::HasSubstr;

std::string goldenFile(const std::string& name) {
    return std::string(LOFTSCOPE_TEST_DATA) + "/golden/" + name + ".safetensors";
}

TEST(RecogniseModel, FamiliesByTheirKeys) {
    const struct {
        std::string file;
        std::string family;
    } cases[] = {{"backbone.dinov2_hf.weights", "vit"},
                 {"loftup_tiny.weights", "loftup"},
                 {"anyup_tiny.weights", "anyup"},
                 {"featup_tiny.weights", "featup"}};
    for (const auto& wanted : cases) {
        const RecognisedModel model = recogniseModel(Golden(wanted.file).state());
        const ModelIdentity* const description = identityOf(model);
        ASSERT_NE(description, nullptr) << wanted.file;
        EXPECT_EQ(description->family, wanted.family);
        EXPECT_TRUE(description->account.complete()) << wanted.file;
        EXPECT_TRUE(description->account.surplus.empty()) << wanted.file;
        EXPECT_FALSE(description->facts.empty());
    }
}

TEST(RecogniseModel, AnUpsamplerWithItsBackboneIsAnUpsampler) {
    StateDict both = Golden("loftup_tiny.weights").state();
    const StateDict backbone = Golden("backbone.dinov2_hub.weights").state();
    for (const auto& [key, tensor] : backbone)
        both["model.0.model." + key] = tensor;
    const RecognisedModel model = recogniseModel(both);
    ASSERT_TRUE(std::holds_alternative<RecognisedUpsampler>(model));
    EXPECT_EQ(std::get<RecognisedUpsampler>(model).method, "loftup");
}

TEST(RecogniseModel, WhatIsClosestAndWhyNot) {
    StateDict wide = Golden("loftup_tiny.weights").state();
    wide["upsampler.final_conv.0.weight"] = at::ones({36, 52, 1, 1});
    const RecognisedModel unusable = recogniseModel(wide);
    ASSERT_TRUE(std::holds_alternative<UnknownModel>(unusable));
    EXPECT_THAT(std::get<UnknownModel>(unusable).closest, HasSubstr("LoftUp"));
    EXPECT_THAT(std::get<UnknownModel>(unusable).reason, HasSubstr("width 52"));

    const RecognisedModel nothing = recogniseModel({{"weight", at::ones({2})}});
    ASSERT_TRUE(std::holds_alternative<UnknownModel>(nothing));
    EXPECT_EQ(std::get<UnknownModel>(nothing).closest, "");
    EXPECT_EQ(identityOf(nothing), nullptr);
}

TEST(LoadModel, AModelOfAnotherKindIsCalledByItsName) {
    const auto backbone = loadBackbone(goldenFile("anyup_tiny.weights"), c10::kCPU);
    ASSERT_FALSE(backbone.has_value());
    EXPECT_EQ(backbone.error().code, ErrorCode::Mismatch);
    EXPECT_THAT(backbone.error().message, HasSubstr("an upsampler (AnyUp"));

    const auto upsampler = loadUpsampler("anyup", goldenFile("loftup_tiny.weights"), c10::kCPU);
    ASSERT_FALSE(upsampler.has_value());
    EXPECT_THAT(upsampler.error().message, HasSubstr("LoftUp for 32 channels"));
    EXPECT_THAT(upsampler.error().message, HasSubstr("weights of AnyUp"));
}

TEST(LoadModel, MethodsSayWhetherTheyNeedWeights) {
    EXPECT_THAT(loadUpsampler("anyup", {}, c10::kCPU).error().message,
                HasSubstr("needs a checkpoint"));
    EXPECT_THAT(loadUpsampler("bilinear", "x.pth", c10::kCPU).error().message,
                HasSubstr("has no weights"));
    EXPECT_THAT(loadUpsampler("sharpest", {}, c10::kCPU).error().message, HasSubstr("anyup"));
    EXPECT_TRUE(loadUpsampler("jbu", {}, c10::kCPU).has_value());
}

} // namespace
} // namespace loftscope
