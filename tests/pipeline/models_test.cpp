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
    } cases[] = {
        {"backbone.dinov2_hf.weights", "vit"},    {"backbone.dinov3_hub.weights", "dinov3"},
        {"backbone.clip_openai.weights", "clip"}, {"backbone.siglip_timm.weights", "siglip"},
        {"loftup_tiny.weights", "loftup"},        {"anyup_tiny.weights", "anyup"},
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

TensorFile fileNamed(const std::string& path) {
    TensorFile file;
    file.path = path;
    return file;
}

TEST(TrainedFor, PublishersNamesAndFolders) {
    const struct {
        std::string path;
        std::string lineage;
    } cases[] = {
        {"/models/loftup_dinov2s.pth", "DINOv2"},
        {"/hub/models--haiwen--loftup-dinov2b_reg/snapshots/1/pytorch_model.bin",
         "DINOv2 with registers"},
        {"LoftUp-SigLIP2.bin", "SigLIP 2"},
        {"/x/loftup_siglip.bin", "SigLIP"},
        {"maskclip_jbu_stack_cocostuff.ckpt", "CLIP values"},
        {"/x/clip_jbu_stack_cocostuff.ckpt", "CLIP"},
        {"/x/anyup_paper.pth", ""},
        {"/x/pytorch_model.bin", ""},
    };
    for (const auto& [path, lineage] : cases)
        EXPECT_EQ(trainedFor(fileNamed(path)).lineage, lineage) << path;
}

TEST(TrainedFor, OtherFeaturesOfTheSameWidthAreWarnedOf) {
    const auto upsampler = [](const TrainedFor& features) {
        return ModelProvenance{"upsampler", "LoftUp for 384 channels", "loftup.bin", "1", features};
    };
    const ModelProvenance dinov2{
        "backbone", "DINOv2 ViT-S/14", "dinov2.pth", "abc", {"DINOv2", "", ""}};
    EXPECT_FALSE(fitWarning(dinov2, upsampler({"DINOv2", "", ""})));
    EXPECT_FALSE(fitWarning(dinov2, upsampler({})));
    const auto other = fitWarning(dinov2, upsampler({"DINOv2 with registers", "", ""}));
    ASSERT_TRUE(other.has_value());
    EXPECT_THAT(*other, HasSubstr("features of DINOv2 with registers"));
    const ModelProvenance unknown{"backbone", "ViT-S/16", "vit.pth", "def", {}};
    EXPECT_FALSE(fitWarning(unknown, upsampler({"DINOv2", "", ""})));
    // Own upsamplers know the very file.
    EXPECT_FALSE(fitWarning(dinov2, upsampler({"", "DINOv2 ViT-S/14", "abc"})));
    EXPECT_THAT(fitWarning(dinov2, upsampler({"", "ViT-Ti/16", "0123456789abcdef"})).value_or(""),
                HasSubstr("(ViT-Ti/16, SHA-256 0123456789ab...)"));
}

TEST(LoadModel, BackbonesSayWhoseFeaturesTheyMake) {
    for (const auto& [file, lineage] :
         {std::pair{"backbone.dinov2_hub.weights", "DINOv2"},
          std::pair{"backbone.dinov2_reg4_timm.weights", "DINOv2 with registers"},
          std::pair{"backbone.clip_openai.weights", "CLIP values"}}) {
        const auto loaded = loadBackbone(goldenFile(file), c10::kCPU);
        ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
        EXPECT_EQ(loaded->provenance.features.lineage, lineage);
    }
    BackboneChoices choices;
    choices.clipTokens = ClipTokens::Plain;
    EXPECT_EQ(loadBackbone(goldenFile("backbone.clip_openai.weights"), c10::kCPU, choices)
                  ->provenance.features.lineage,
              "CLIP");
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
