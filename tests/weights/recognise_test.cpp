// SPDX-License-Identifier: Apache-2.0
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <set>

namespace loftscope {
namespace {

using test::testData;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StateDict load(const std::filesystem::path& path) {
    Result<TensorFile> file = readTensorFile(path);
    if (!file) throw std::runtime_error(file.error().message);
    return std::move(file->tensors);
}

StateDict golden(const std::string& name) {
    return load(testData("golden/" + name + ".weights.safetensors"));
}

StateDict withPrefix(const StateDict& state, const std::string& prefix) {
    StateDict longer;
    for (const auto& [key, tensor] : state)
        longer[prefix + key] = tensor;
    return longer;
}

struct VitCase {
    std::string file;
    std::string name;
    VitLayout layout;
    std::int64_t width, depth, registers, hidden;
    bool swiglu;
    bool positionIncludesClass;
    PositionRule rule;
};

void PrintTo(const VitCase& vit, std::ostream* stream) {
    *stream << vit.file;
}

class VitRecognition : public ::testing::TestWithParam<VitCase> {};

TEST_P(VitRecognition, EveryNumberFollowsFromKeysAndShapes) {
    const VitCase& wanted = GetParam();
    const StateDict state = golden("backbone." + wanted.file);
    const VitSpec spec = recogniseVit(state).value();
    EXPECT_EQ(spec.name, wanted.name);
    EXPECT_EQ(spec.layout, wanted.layout);
    EXPECT_EQ(spec.patch, 14);
    EXPECT_EQ(spec.width, wanted.width);
    EXPECT_EQ(spec.heads, wanted.width / 64);
    EXPECT_EQ(spec.depth, wanted.depth);
    EXPECT_EQ(spec.registers, wanted.registers);
    EXPECT_EQ(spec.hidden, wanted.hidden);
    EXPECT_EQ(spec.swiglu, wanted.swiglu);
    EXPECT_TRUE(spec.layerScale);
    EXPECT_TRUE(spec.qkvBias);
    EXPECT_EQ(spec.positionGrid, (Extent{6, 6}));
    EXPECT_EQ(spec.positionIncludesClass, wanted.positionIncludesClass);
    EXPECT_EQ(spec.positionRule, wanted.rule);

    const WeightAccount account = accountOf(state, spec);
    EXPECT_THAT(account.missing, IsEmpty());
    EXPECT_THAT(account.misshapen, IsEmpty());
    EXPECT_THAT(account.surplus, IsEmpty());
}

TEST_P(VitRecognition, CanonicalStateHasHubNamesAndShapes) {
    const VitCase& wanted = GetParam();
    const StateDict state = golden("backbone." + wanted.file);
    const VitSpec spec = recogniseVit(state).value();
    const StateDict canonical = canonicalVitState(state, spec);

    std::set<std::string> names;
    for (const auto& [key, tensor] : canonical)
        names.insert(key);
    std::set<std::string> hubNames;
    const std::string family = spec.swiglu          ? "dinov2_swiglu_hub"
                               : spec.registers > 0 ? "dinov2_reg4_hub"
                                                    : "dinov2_hub";
    for (const auto& [key, tensor] : golden("backbone." + family)) {
        const bool laterBlock = key.starts_with("blocks.") && !key.starts_with("blocks.0.");
        if (!laterBlock) hubNames.insert(key);
    }
    if (spec.layout == VitLayout::Timm) hubNames.erase("mask_token");
    for (const std::string& name : hubNames)
        EXPECT_TRUE(names.contains(name)) << name;

    const std::int64_t c = spec.width;
    EXPECT_EQ(canonical.at("pos_embed").sizes(), at::IntArrayRef({1, 37, c}));
    EXPECT_EQ(canonical.at("blocks.0.attn.qkv.weight").sizes(), at::IntArrayRef({3 * c, c}));
    // The same account again, now under the hub's names.
    VitSpec hub = spec;
    hub.layout = VitLayout::Hub;
    hub.positionIncludesClass = true;
    const WeightAccount account = accountOf(canonical, hub);
    EXPECT_THAT(account.missing, IsEmpty());
    EXPECT_THAT(account.misshapen, IsEmpty());
    EXPECT_THAT(account.surplus, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Golden, VitRecognition,
    ::testing::Values(
        VitCase{"dinov2_hub", "DINOv2 ViT-128x2/14", VitLayout::Hub, 128, 2, 0, 512, false, true,
                PositionRule::HubOffset},
        VitCase{"dinov2_reg4_hub", "DINOv2 ViT-128x1/14 with 4 registers", VitLayout::Hub, 128, 1,
                4, 512, false, true, PositionRule::SizeAntialias},
        VitCase{"dinov2_swiglu_hub", "DINOv2 ViT-64x2/14", VitLayout::Hub, 64, 2, 0, 176, true,
                true, PositionRule::HubOffset},
        VitCase{"dinov2_hf", "DINOv2 ViT-128x1/14", VitLayout::HuggingFace, 128, 1, 0, 512, false,
                true, PositionRule::SizeNoAntialias},
        VitCase{"dinov2_reg4_hf", "DINOv2 ViT-64x2/14 with 4 registers", VitLayout::HuggingFace, 64,
                2, 4, 256, false, true, PositionRule::SizeAntialias},
        VitCase{"dinov2_swiglu_hf", "DINOv2 ViT-64x2/14", VitLayout::HuggingFace, 64, 2, 0, 176,
                true, true, PositionRule::SizeNoAntialias},
        VitCase{"dinov2_timm", "DINOv2 ViT-128x1/14", VitLayout::Timm, 128, 1, 0, 512, false, true,
                PositionRule::SizeAntialias},
        VitCase{"dinov2_reg4_timm", "DINOv2 ViT-64x2/14 with 4 registers", VitLayout::Timm, 64, 2,
                4, 256, false, false, PositionRule::SizeAntialias}),
    [](const auto& instance) { return instance.param.file; });

TEST(RecogniseVit, TheDefaultBackbone) {
    const StateDict state =
        load(std::filesystem::path(LOFTSCOPE_RESOURCES) / "models/loftscope_vit16.safetensors");
    const VitSpec spec = recogniseVit(state).value();
    EXPECT_EQ(spec.name, "ViT-192x8/16 with a convolutional stem");
    EXPECT_EQ(spec.layout, VitLayout::Hub);
    EXPECT_EQ(spec.patch, 16);
    EXPECT_EQ(textOf(spec.stem), "24,48x1,96x2,192x2");
    EXPECT_EQ(spec.width, 192);
    EXPECT_EQ(spec.depth, 8);
    EXPECT_EQ(spec.heads, 3);
    EXPECT_EQ(spec.positionGrid, (Extent{14, 14}));
    EXPECT_EQ(spec.positionRule, PositionRule::HubOffset);
    EXPECT_THAT(accountOf(state, spec).surplus, IsEmpty());
}

TEST(RecogniseVit, KnownSizesHaveTheirNames) {
    const auto vit = [](std::int64_t width, std::int64_t depth, std::int64_t registers) {
        StateDict state;
        const at::Tensor one = at::ones({1});
        state["patch_embed.proj.weight"] = one.expand({width, 3, 14, 14});
        state["cls_token"] = one.expand({1, 1, width});
        state["mask_token"] = one.expand({1, width});
        state["pos_embed"] = one.expand({1, 1370, width});
        if (registers > 0) state["register_tokens"] = one.expand({1, registers, width});
        state["blocks.0.ls1.gamma"] = one.expand({width});
        state["blocks.0.mlp.fc1.weight"] = one.expand({4 * width, width});
        state["blocks." + std::to_string(depth - 1) + ".norm1.weight"] = one.expand({width});
        return recogniseVit(state).value();
    };
    EXPECT_EQ(vit(384, 12, 0).name, "DINOv2 ViT-S/14");
    EXPECT_EQ(vit(768, 12, 4).name, "DINOv2 ViT-B/14 with 4 registers");
    EXPECT_EQ(vit(1024, 24, 0).name, "DINOv2 ViT-L/14");
    EXPECT_EQ(vit(1536, 40, 0).name, "DINOv2 ViT-g/14");
    EXPECT_EQ(vit(1536, 40, 0).positionGrid, (Extent{37, 37}));
}

TEST(RecogniseVit, QueryKeyAndValueAreStackedInThatOrder) {
    const StateDict state = golden("backbone.dinov2_hf");
    const std::string layer = "encoder.layer.0.attention.attention.";
    const at::Tensor wanted =
        at::cat({state.at(layer + "query.weight"), state.at(layer + "key.weight"),
                 state.at(layer + "value.weight")});
    const StateDict canonical = canonicalVitState(state, recogniseVit(state).value());
    EXPECT_TRUE(at::equal(canonical.at("blocks.0.attn.qkv.weight"), wanted));
}

TEST(RecogniseVit, NamesOfTransformers5) {
    const StateDict published = golden("backbone.dinov2_swiglu_hf");
    StateDict inMemory;
    const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
        if (const std::size_t at = text.find(from); at != std::string::npos)
            text.replace(at, from.size(), to);
        return text;
    };
    for (const auto& [key, tensor] : published) {
        std::string name = replaced(key, "attention.attention.query", "attention.q_proj");
        name = replaced(name, "attention.attention.key", "attention.k_proj");
        name = replaced(name, "attention.attention.value", "attention.v_proj");
        name = replaced(name, "attention.output.dense", "attention.o_proj");
        name = replaced(name, "mlp.weights_out", "mlp.down_proj");
        if (name.find("mlp.weights_in") != std::string::npos) {
            const std::int64_t half = tensor.size(0) / 2;
            inMemory[replaced(name, "mlp.weights_in", "mlp.gate_proj")] = tensor.narrow(0, 0, half);
            inMemory[replaced(name, "mlp.weights_in", "mlp.up_proj")] =
                tensor.narrow(0, half, half);
        } else {
            inMemory[name] = tensor;
        }
    }
    const StateDict one = canonicalVitState(published, recogniseVit(published).value());
    const StateDict other = canonicalVitState(inMemory, recogniseVit(inMemory).value());
    ASSERT_EQ(one.size(), other.size());
    for (const auto& [key, tensor] : one) {
        ASSERT_TRUE(other.contains(key)) << key;
        EXPECT_TRUE(at::equal(tensor, other.at(key))) << key;
    }
}

TEST(RecogniseVit, TimmsTableWithoutClassRowGetsAZeroRow) {
    const StateDict state = golden("backbone.dinov2_reg4_timm");
    const StateDict canonical = canonicalVitState(state, recogniseVit(state).value());
    const at::Tensor& table = canonical.at("pos_embed");
    EXPECT_EQ(table.select(1, 0).abs().sum().item<float>(), 0.0F);
    EXPECT_TRUE(at::equal(table.narrow(1, 1, 36), state.at("pos_embed")));
    EXPECT_TRUE(at::equal(canonical.at("register_tokens"), state.at("reg_token")));
}

TEST(RecogniseVit, TimmsGatedMlpIsToldByItsShapes) {
    StateDict state = golden("backbone.dinov2_swiglu_hub");
    StateDict timm;
    for (const auto& [key, tensor] : state) {
        std::string name = key;
        if (const std::size_t at = name.find("mlp.w12"); at != std::string::npos)
            name.replace(at, 7, "mlp.fc1");
        if (const std::size_t at = name.find("mlp.w3"); at != std::string::npos)
            name.replace(at, 6, "mlp.fc2");
        if (name != "mask_token") timm[name] = tensor;
    }
    const VitSpec spec = recogniseVit(timm).value();
    EXPECT_EQ(spec.layout, VitLayout::Timm);
    EXPECT_TRUE(spec.swiglu);
    EXPECT_EQ(spec.hidden, 176);
    EXPECT_THAT(accountOf(timm, spec).missing, IsEmpty());
    EXPECT_TRUE(at::equal(canonicalVitState(timm, spec).at("blocks.1.mlp.w12.weight"),
                          state.at("blocks.1.mlp.w12.weight")));
}

TEST(RecogniseVit, PrefixesAndChunksOfTraining) {
    const StateDict state = golden("backbone.dinov2_hub");
    StateDict training;
    for (const auto& [key, tensor] : state) {
        std::string name = key;
        if (name.starts_with("blocks.1.")) name.replace(0, 9, "blocks.1.1.");
        if (name.starts_with("blocks.0.")) name.replace(0, 9, "blocks.0.0.");
        training["backbone." + name] = tensor;
    }
    training["dino_head.last_layer.weight"] = at::ones({2, 2});
    const VitSpec spec = recogniseVit(training).value();
    EXPECT_EQ(spec.keyPrefix, "backbone.");
    EXPECT_EQ(spec.depth, 2);
    const WeightAccount account = accountOf(training, spec);
    EXPECT_THAT(account.missing, IsEmpty());
    EXPECT_THAT(account.surplus, ElementsAre("dino_head.last_layer.weight"));
    const StateDict canonical = canonicalVitState(training, spec);
    EXPECT_TRUE(
        at::equal(canonical.at("blocks.1.attn.qkv.weight"), state.at("blocks.1.attn.qkv.weight")));
    EXPECT_TRUE(canonical.contains("dino_head.last_layer.weight"));
}

TEST(RecogniseVit, WhatIsMissingMisshapenOrSurplusIsNamed) {
    StateDict state = golden("backbone.dinov2_hf");
    state.erase("encoder.layer.0.attention.attention.key.weight");
    state["layernorm.bias"] = at::ones({7});
    state["classifier.weight"] = at::ones({3});
    const WeightAccount account = accountOf(state, recogniseVit(state).value());
    EXPECT_THAT(account.missing, ElementsAre("encoder.layer.0.attention.attention.key.weight"));
    EXPECT_THAT(account.misshapen, ElementsAre("layernorm.bias: has 7, needs 128"));
    EXPECT_THAT(account.surplus, ElementsAre("classifier.weight"));
}

TEST(RecogniseVit, AGapInTheBlocksIsMissingNotShallow) {
    StateDict state = golden("backbone.dinov2_hub");
    for (auto it = state.begin(); it != state.end();)
        it = it->first.starts_with("blocks.0.norm") ? state.erase(it) : std::next(it);
    const VitSpec spec = recogniseVit(state).value();
    EXPECT_EQ(spec.depth, 2);
    EXPECT_THAT(accountOf(state, spec).missing, Contains("blocks.0.norm1.weight"));
}

TEST(RecogniseVit, OtherModelsAreNamedButNotTaken) {
    const StateDict state = golden("backbone.dinov2_hub");
    StateDict withoutClass = state;
    withoutClass.erase("cls_token");
    const Result<VitSpec> noClass = recogniseVit(withoutClass);
    ASSERT_FALSE(noClass);
    EXPECT_EQ(noClass.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(noClass.error().message, HasSubstr("cls_token"));

    StateDict dinov3 = state;
    dinov3.erase("pos_embed");
    dinov3["storage_tokens"] = at::ones({1, 4, 128});
    dinov3["rope_embed.periods"] = at::ones({16});
    EXPECT_FALSE(looksLikeVit(dinov3));
    EXPECT_THAT(recogniseVit(dinov3).error().message, HasSubstr("DINOv3"));

    StateDict narrow = state;
    narrow["patch_embed.proj.weight"] = at::ones({100, 3, 14, 14});
    EXPECT_THAT(recogniseVit(narrow).error().message, HasSubstr("width 100"));
    StateDict oblong = state;
    oblong["pos_embed"] = at::ones({1, 31, 128});
    EXPECT_THAT(recogniseVit(oblong).error().message, HasSubstr("31 rows"));

    EXPECT_FALSE(recogniseVit({}));
}

TEST(RecogniseLoftUp, PublishedFiles) {
    const struct {
        std::string name;
        std::int64_t channels;
    } cases[] = {{"loftup_tiny", 32}, {"loftup_s", 384}};
    for (const auto& wanted : cases) {
        const StateDict state = golden(wanted.name);
        const LoftUpSpec spec = recogniseLoftUp(state).value();
        EXPECT_EQ(spec.channels, wanted.channels);
        EXPECT_EQ(spec.dim, wanted.channels + 20);
        EXPECT_EQ(spec.heads, 4);
        EXPECT_EQ(spec.depth, 2);
        EXPECT_EQ(spec.hidden, wanted.channels);
        EXPECT_EQ(spec.frequencies, 20);
        EXPECT_EQ(spec.lrFrequencies, 5);
        EXPECT_EQ(spec.lrPositions, LrPositions::Sine);
        EXPECT_TRUE(spec.hasChannelNorm);
        const WeightAccount account = accountOf(state, spec);
        EXPECT_THAT(account.missing, IsEmpty());
        EXPECT_THAT(account.misshapen, IsEmpty());
        EXPECT_THAT(account.surplus, IsEmpty());
        EXPECT_THAT(warningsAbout(spec), IsEmpty());
        EXPECT_EQ(canonicalLoftUpState(state, spec).size(), state.size());
    }
}

TEST(RecogniseLoftUp, TheDefaultUpsampler) {
    const StateDict state = load(std::filesystem::path(LOFTSCOPE_RESOURCES) /
                                 "models/loftscope_vit16_loftup.safetensors");
    const LoftUpSpec spec = recogniseLoftUp(state).value();
    EXPECT_EQ(spec.name, "LoftUp for 192 channels");
    EXPECT_THAT(accountOf(state, spec).missing, IsEmpty());
    EXPECT_THAT(accountOf(state, spec).surplus, IsEmpty());
}

TEST(RecogniseLoftUp, EveryWrappingGivesThePublishedNames) {
    const StateDict published = golden("loftup_tiny");
    const auto renamed = [&](const std::string& upsampler, const std::string& channelNorm) {
        StateDict state;
        for (const auto& [key, tensor] : published) {
            if (key.starts_with("upsampler.")) {
                state[upsampler + key.substr(10)] = tensor;
            } else if (!channelNorm.empty()) {
                state[channelNorm + key.substr(17)] = tensor;
            }
        }
        return state;
    };
    const auto check = [&](const StateDict& state, const std::string& what) {
        const LoftUpSpec spec = recogniseLoftUp(state).value();
        EXPECT_TRUE(spec.hasChannelNorm) << what;
        const StateDict canonical = canonicalLoftUpState(state, spec);
        for (const auto& [key, tensor] : published) {
            ASSERT_TRUE(canonical.contains(key)) << what << ": " << key;
            EXPECT_TRUE(at::equal(canonical.at(key), tensor));
        }
        EXPECT_THAT(accountOf(state, spec).missing, IsEmpty()) << what;
    };
    check(renamed("upsampler.", "model.1.norm."), "Lightning");
    check(renamed("net.upsampler.", "net.channelnorm.norm."), "an outer module");

    // Lightning's checkpoint carries the frozen backbone too.
    StateDict lightning = renamed("upsampler.", "model.1.norm.");
    const StateDict backbone = withPrefix(golden("backbone.dinov2_hub"), "model.0.model.");
    lightning.insert(backbone.begin(), backbone.end());
    check(lightning, "Lightning with a backbone");
    EXPECT_EQ(accountOf(lightning, recogniseLoftUp(lightning).value()).surplus.size(),
              backbone.size());
    EXPECT_EQ(recogniseVit(lightning).value().keyPrefix, "model.0.model.");

    // The variant that was pushed without its channel norm, with and without the module's name.
    for (const std::string prefix : {"", "upsampler."}) {
        const StateDict bare = renamed(prefix, "");
        const LoftUpSpec spec = recogniseLoftUp(bare).value();
        EXPECT_FALSE(spec.hasChannelNorm);
        EXPECT_EQ(warningsAbout(spec).size(), 1U);
        EXPECT_THAT(accountOf(bare, spec).missing, IsEmpty());
        EXPECT_THAT(accountOf(bare, spec).surplus, IsEmpty());
        EXPECT_TRUE(canonicalLoftUpState(bare, spec).contains("upsampler.final_conv.0.weight"));
    }
}

TEST(RecogniseLoftUp, LearnedPositionTable) {
    StateDict state = golden("loftup_tiny");
    state.erase("upsampler.lr_pe.biases");
    state["upsampler.lr_pe"] = at::randn({1, 20, 16, 12});
    const LoftUpSpec spec = recogniseLoftUp(state).value();
    EXPECT_EQ(spec.lrPositions, LrPositions::Learnable);
    EXPECT_EQ(spec.lrGrid, (Extent{16, 12}));
    EXPECT_THAT(accountOf(state, spec).missing, IsEmpty());
    EXPECT_THAT(accountOf(state, spec).misshapen, IsEmpty());
}

TEST(RecogniseLoftUp, DamageIsNamed) {
    StateDict state = golden("loftup_tiny");
    state.erase("upsampler.first_conv.5.running_var");
    state["upsampler.first_conv.1.weight"] = at::ones({52, 100, 3, 3});
    const WeightAccount account = accountOf(state, recogniseLoftUp(state).value());
    EXPECT_THAT(account.missing, ElementsAre("upsampler.first_conv.5.running_var"));
    EXPECT_THAT(account.misshapen,
                ElementsAre("upsampler.first_conv.1.weight: has 52 x 100 x 3 x 3, needs 52 x 203 x "
                            "3 x 3"));

    StateDict wide = golden("loftup_tiny");
    wide["upsampler.final_conv.0.weight"] = at::ones({36, 52, 1, 1});
    EXPECT_TRUE(looksLikeLoftUp(wide));
    EXPECT_THAT(recogniseLoftUp(wide).error().message, HasSubstr("width 52"));

    StateDict headless = golden("loftup_tiny");
    headless.erase("upsampler.ca_transformer.layers.0.0.attention.in_proj_weight");
    const Result<LoftUpSpec> none = recogniseLoftUp(headless);
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message, HasSubstr("in_proj_weight"));
}

} // namespace
} // namespace loftscope
