// SPDX-License-Identifier: Apache-2.0
// DINOv3, CLIP and SigLIP against the official code, transformers, timm and LoftUp's MaskCLIP; what
// those arrays do not cover, and RADIO, against independent modules (make_backbone_arrays.py).
#include "core/pipeline/models.h"
#include "tests/support/golden.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <memory>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;
using ::testing::HasSubstr;

/// What the families make of a state dict under these choices; throws where none takes it.
BackboneCandidate candidateOf(const StateDict& state, const BackboneChoices& choices = {}) {
    for (const BackboneFamily& family : backboneFamilies()) {
        auto found = family.recognise(state, choices);
        if (!found) throw std::runtime_error(found.error().message);
        if (*found) return **std::move(found);
    }
    throw std::runtime_error("no family takes this");
}

std::unique_ptr<Backbone> built(const BackboneCandidate& candidate) {
    auto backbone = candidate.build(c10::kCPU);
    if (!backbone) throw std::runtime_error(backbone.error().message);
    return *std::move(backbone);
}

StateDict stateDictOf(const std::string& architecture) {
    return Golden("backbone." + architecture + ".weights").state();
}

at::Tensor tokensOf(const Backbone& backbone, const at::Tensor& picture) {
    const auto output = backbone.run(picture, {}, {});
    if (!output) throw std::runtime_error(output.error().message);
    return output->tokens.values.flatten(1).t();
}

struct BackboneCase {
    const char* architecture;
    const char* family;
    const char* name;
};

void PrintTo(const BackboneCase& value, std::ostream* out) {
    *out << value.architecture;
}

class BackboneParity : public testing::TestWithParam<BackboneCase> {};

TEST_P(BackboneParity, TokensEqualTheReferenceOnEveryGrid) {
    const BackboneCandidate candidate = candidateOf(stateDictOf(GetParam().architecture));
    EXPECT_EQ(candidate.identity.family, GetParam().family);
    EXPECT_EQ(candidate.identity.name, GetParam().name);
    EXPECT_TRUE(candidate.identity.account.complete());
    EXPECT_THAT(candidate.identity.account.surplus, testing::IsEmpty());
    const auto backbone = built(candidate);
    const Golden cases(std::string("backbone.") + GetParam().architecture + ".cases");
    int compared = 0;
    for (const std::string grid : {"native", "other", "square", "samecount"}) {
        if (!cases.has("image." + grid)) continue;
        ++compared;
        const auto gap =
            difference(tokensOf(*backbone, cases["image." + grid]), cases["tokens." + grid]);
        EXPECT_LE(gap.max, 2e-4) << grid;
        EXPECT_LE(gap.mean, 1e-5) << grid;
        if (!cases.has("tap.block0." + grid)) continue;
        BackboneTaps taps;
        taps.layers = {0};
        const auto output = backbone->run(cases["image." + grid], taps, {});
        const at::Tensor expected = cases["tap.block0." + grid];
        const std::int64_t prefix = expected.size(0) - output->tokens.extent().area();
        EXPECT_LE(
            difference(output->layers[0].values.flatten(1).t(), expected.slice(0, prefix)).max,
            2e-4)
            << grid;
    }
    EXPECT_GE(compared, 2);
}

TEST_P(BackboneParity, AttentionSumsToOne) {
    const auto backbone = built(candidateOf(stateDictOf(GetParam().architecture)));
    const Golden cases(std::string("backbone.") + GetParam().architecture + ".cases");
    BackboneTaps taps;
    taps.attention = true;
    taps.query = Pixel{2, 1};
    const auto output = backbone->run(cases["image.other"], taps, {});
    ASSERT_TRUE(output.has_value()) << output.error().message;
    EXPECT_EQ(output->attention.size(0), backbone->depth());
    EXPECT_EQ(output->attention.size(1), backbone->heads());
    const at::Tensor total = output->attention.sum({2, 3}) + output->attentionElsewhere;
    EXPECT_LE(difference(total, at::ones(total.sizes())).max, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, BackboneParity,
    testing::Values(BackboneCase{"dinov3_hub", "dinov3", "DINOv3 ViT-128x2/16"},
                    BackboneCase{"dinov3_plus_swiglu_hub", "dinov3", "DINOv3 ViT-64x2+/16"},
                    BackboneCase{"dinov3_hf", "dinov3", "DINOv3 ViT-128x1/16"},
                    BackboneCase{"dinov3_timm", "dinov3", "DINOv3 ViT-64x2/16"},
                    BackboneCase{"dinov3_plus_timm", "dinov3", "DINOv3 ViT-64x2+/16"},
                    BackboneCase{"clip_openai", "clip", "CLIP ViT-128x2/16"},
                    BackboneCase{"siglip_timm", "siglip", "SigLIP ViT-128x1/16"},
                    BackboneCase{"radio_tiny", "radio", "RADIO ViT-64x2/16"}),
    [](const auto& instance) { return std::string(instance.param.architecture); });

/// The same parameters under other names; values whose key is not in the list are left out.
StateDict renamed(const StateDict& state,
                  const std::vector<std::pair<std::string, std::string>>& pieces,
                  const std::string& prefix) {
    StateDict result;
    for (const auto& [key, tensor] : state) {
        std::string name = key;
        for (const auto& [from, to] : pieces) {
            if (const auto at = name.find(from); at != std::string::npos)
                name.replace(at, from.size(), to);
        }
        result[prefix + name] = tensor;
    }
    return result;
}

/// `NAME.weight` of query, key and value on top of each other, as three.
void splitQkv(StateDict& state, const std::string& stacked, const std::string& apart) {
    StateDict result;
    for (const auto& [key, tensor] : state) {
        const auto at = key.find(stacked);
        if (at == std::string::npos) {
            result[key] = tensor;
            continue;
        }
        const std::vector<at::Tensor> thirds = tensor.chunk(3, 0);
        for (const std::size_t i : {0U, 1U, 2U}) {
            const std::string name = apart + std::string(1, "qkv"[i]) + "_proj.";
            result[key.substr(0, at) + name + key.substr(at + stacked.size())] = thirds[i].clone();
        }
    }
    state = std::move(result);
}

/// What transformers 5 saves of an image tower without its text tower: names without the tower's.
StateDict towerAlone(const StateDict& both) {
    constexpr std::string_view tower = "vision_model.";
    StateDict result;
    for (const auto& [key, tensor] : both)
        if (key.starts_with(tower)) result[key.substr(tower.size())] = tensor;
    return result;
}

TEST(Clip, HuggingFacesNamesAreTheSameNetwork) {
    StateDict state =
        renamed(stateDictOf("clip_openai"),
                {{"visual.", ""},
                 {"transformer.resblocks.", "vision_model.encoder.layers."},
                 {"class_embedding", "vision_model.embeddings.class_embedding"},
                 {"positional_embedding", "vision_model.embeddings.position_embedding.weight"},
                 {"conv1.", "vision_model.embeddings.patch_embedding."},
                 {"ln_pre.", "vision_model.pre_layrnorm."},
                 {"ln_post.", "vision_model.post_layernorm."},
                 {"ln_1.", "layer_norm1."},
                 {"ln_2.", "layer_norm2."},
                 {"attn.out_proj.", "self_attn.out_proj."},
                 {"mlp.c_fc.", "mlp.fc1."},
                 {"mlp.c_proj.", "mlp.fc2."},
                 {"attn.in_proj_", "attn.in_proj."}},
                "");
    splitQkv(state, "attn.in_proj.", "self_attn.");
    state["visual_projection.weight"] = state["proj"].t().contiguous();
    state.erase("proj");
    state["text_model.final_layer_norm.weight"] = at::ones({64});
    const BackboneCandidate candidate = candidateOf(state);
    EXPECT_THAT(candidate.identity.account.missing, testing::IsEmpty());
    EXPECT_THAT(candidate.identity.account.misshapen, testing::IsEmpty());
    EXPECT_THAT(candidate.identity.account.surplus, testing::IsEmpty());
    // That library resizes the position table by size, not by LoftUp's scale factor.
    EXPECT_LE(
        difference(tokensOf(*built(candidate), Golden("backbone.clip_openai.cases")["image.other"]),
                   Golden("backbone.clip_plain.cases")["tokens.by_size"])
            .max,
        2e-4);

    StateDict tower = towerAlone(state);
    tower["visual_projection.weight"] = state["visual_projection.weight"];
    const BackboneCandidate alone = candidateOf(tower);
    EXPECT_TRUE(alone.identity.account.complete());
    EXPECT_THAT(alone.identity.account.surplus, testing::IsEmpty());
    const at::Tensor picture = Golden("backbone.clip_openai.cases")["image.other"];
    EXPECT_TRUE(at::equal(tokensOf(*built(alone), picture), tokensOf(*built(candidate), picture)));
    tower.erase("visual_projection.weight");
    EXPECT_EQ(built(candidateOf(tower))->channels(), 128); // the width: no space of texts
}

TEST(Clip, PlainTokensAreThoseOfTheWholeNetwork) {
    const StateDict state = stateDictOf("clip_openai");
    const Golden cases("backbone.clip_openai.cases");
    const Golden expected("backbone.clip_plain.cases");
    BackboneChoices choices;
    choices.clipTokens = ClipTokens::Plain;
    const auto plain = built(candidateOf(state, choices));
    const auto values = built(candidateOf(state));
    EXPECT_THAT(plain->name(), HasSubstr("plain"));
    EXPECT_EQ(plain->channels(), values->channels());
    for (const std::string grid : {"native", "other", "samecount"}) {
        const at::Tensor tokens = tokensOf(*plain, cases["image." + grid]);
        const auto gap = difference(tokens, expected["tokens." + grid]);
        EXPECT_LE(gap.max, 2e-4) << grid;
        EXPECT_LE(gap.mean, 1e-5) << grid;
        EXPECT_GT(difference(tokens, cases["tokens." + grid]).max, 0.1) << grid;
    }
}

TEST(Clip, SaysWhichActivationItAssumes) {
    StateDict state = stateDictOf("clip_openai");
    EXPECT_THAT(candidateOf(state).identity.warnings.at(0), HasSubstr("--activation"));
    BackboneChoices choices;
    choices.activation = Activation::Gelu;
    const BackboneCandidate chosen = candidateOf(state, choices);
    EXPECT_TRUE(chosen.identity.warnings.empty());
    const Golden cases("backbone.clip_openai.cases");
    EXPECT_GT(
        difference(tokensOf(*built(chosen), cases["image.native"]), cases["tokens.native"]).max,
        1e-3);
    // OpenAI's own archives also hold their input's size, and the text tower beside the other.
    state["input_resolution"] = at::ones({});
    state["token_embedding.weight"] = at::ones({4, 8});
    const BackboneCandidate openAi = candidateOf(state);
    EXPECT_TRUE(openAi.identity.warnings.empty());
    EXPECT_TRUE(openAi.identity.account.surplus.empty());
}

TEST(Siglip, HuggingFacesNamesAreTheSameNetwork) {
    StateDict state = renamed(stateDictOf("siglip_timm"),
                              {{"visual.trunk.", ""},
                               {"blocks.", "vision_model.encoder.layers."},
                               {"pos_embed", "vision_model.embeddings.position_embedding.weight"},
                               {"patch_embed.proj.", "vision_model.embeddings.patch_embedding."},
                               {"norm1.", "layer_norm1."},
                               {"norm2.", "layer_norm2."},
                               {"attn.proj.", "self_attn.out_proj."},
                               {"attn_pool.", "vision_model.head."}},
                              "");
    splitQkv(state, "attn.qkv.", "self_attn.");
    at::Tensor& positions = state["vision_model.embeddings.position_embedding.weight"];
    positions = positions[0].clone();
    for (const char* name : {"weight", "bias"}) {
        state[std::string("vision_model.post_layernorm.") + name] =
            state[std::string("norm.") + name];
        state.erase(std::string("norm.") + name);
    }
    BackboneChoices choices;
    choices.positionRule = PositionRule::SizeAntialias;
    choices.activation = Activation::Gelu;
    const BackboneCandidate candidate = candidateOf(state, choices);
    EXPECT_THAT(candidate.identity.account.missing, testing::IsEmpty());
    EXPECT_THAT(candidate.identity.account.surplus, testing::IsEmpty());
    const Golden cases("backbone.siglip_timm.cases");
    EXPECT_LE(
        difference(tokensOf(*built(candidate), cases["image.other"]), cases["tokens.other"]).max,
        2e-4);
    // Left to itself it follows transformers: the tanh form of GELU, no antialias.
    const auto own = built(candidateOf(state));
    const Golden expected("backbone.siglip_hf.cases");
    for (const std::string grid : {"native", "other"}) {
        const auto gap =
            difference(tokensOf(*own, cases["image." + grid]), expected["tokens." + grid]);
        EXPECT_LE(gap.max, 2e-5) << grid << ": the two forms of GELU differ by 1e-4 and more";
    }
    const BackboneCandidate alone = candidateOf(towerAlone(state));
    EXPECT_TRUE(alone.identity.account.complete());
    EXPECT_THAT(alone.identity.account.surplus, testing::IsEmpty());
    EXPECT_TRUE(at::equal(tokensOf(*built(alone), cases["image.other"]),
                          tokensOf(*own, cases["image.other"])));
}

TEST(Siglip, NormalisationAndReleaseFollowTheFile) {
    StateDict state = stateDictOf("siglip_timm");
    EXPECT_FLOAT_EQ(built(candidateOf(state))->normalisation().mean[0], 0.5F);
    state["text.token_embedding.weight"] = at::zeros({256000, 1});
    EXPECT_EQ(candidateOf(state).identity.name, "SigLIP 2 ViT-128x1/16");
    // Without the pooling it is any ViT without a CLS token, which has ImageNet's normalisation.
    std::erase_if(state, [](const auto& entry) {
        return entry.first.find("attn_pool") != std::string::npos;
    });
    const BackboneCandidate plain = candidateOf(state);
    EXPECT_EQ(plain.identity.family, "vit");
    EXPECT_FLOAT_EQ(built(plain)->normalisation().mean[0], 0.485F);
}

TEST(Siglip, HasNoClassTokenToAttendFrom) {
    const auto backbone = built(candidateOf(stateDictOf("siglip_timm")));
    BackboneTaps taps;
    taps.attention = true;
    const auto output = backbone->run(at::zeros({1, 3, 96, 96}), taps, {});
    ASSERT_FALSE(output.has_value());
    EXPECT_THAT(output.error().message, HasSubstr("no CLS token"));
}

TEST(Dinov3, TheKeysBiasPlaysNoPart) {
    StateDict state = stateDictOf("dinov3_hub");
    const Golden cases("backbone.dinov3_hub.cases");
    for (auto& [key, tensor] : state) {
        if (!key.ends_with("attn.qkv.bias")) continue;
        tensor = tensor.clone();
        tensor.slice(0, 128, 256) += 5.0;
    }
    EXPECT_LE(difference(tokensOf(*built(candidateOf(state)), cases["image.other"]),
                         cases["tokens.other"])
                  .max,
              2e-4);
}

TEST(Dinov3, NamesOfTransformersInMemory) {
    StateDict state;
    const StateDict saved = stateDictOf("dinov3_hf");
    for (const auto& [key, tensor] : saved)
        state[key.starts_with("layer.") ? "model." + key : key] = tensor;
    const BackboneCandidate candidate = candidateOf(state);
    EXPECT_TRUE(candidate.identity.account.complete());
    EXPECT_TRUE(candidate.identity.account.surplus.empty());
    const Golden cases("backbone.dinov3_hf.cases");
    EXPECT_LE(
        difference(tokensOf(*built(candidate), cases["image.native"]), cases["tokens.native"]).max,
        2e-4);
}

TEST(Radio, NormalisesAsItsFileSays) {
    StateDict state = stateDictOf("radio_tiny");
    const Normalisation own = built(candidateOf(state))->normalisation();
    EXPECT_EQ(own.mean, (std::array<float, 3>{0.45F, 0.5F, 0.4F}));
    EXPECT_EQ(own.std, (std::array<float, 3>{0.25F, 0.2F, 0.3F}));
    state.erase("input_conditioner.norm_mean");
    const BackboneCandidate bare = candidateOf(state);
    EXPECT_EQ(built(bare)->normalisation().mean, clipNormalisation.mean);
    EXPECT_THAT(bare.identity.warnings.at(0), HasSubstr("input conditioner"));
}

TEST(Radio, HuggingFacesPrefixAndTheTeachersHeads) {
    StateDict state = renamed(stateDictOf("radio_tiny"),
                              {{"base_model.", "radio_model.model."},
                               {"input_conditioner.", "radio_model.input_conditioner."}},
                              "");
    state["radio_model.summary_idxs"] = at::ones({3});
    state["_heads.0.fc1.weight"] = at::ones({4, 4});
    const BackboneCandidate candidate = candidateOf(state);
    EXPECT_TRUE(candidate.identity.account.complete());
    EXPECT_THAT(candidate.identity.account.surplus, testing::IsEmpty());
    const Golden cases("backbone.radio_tiny.cases");
    EXPECT_LE(
        difference(tokensOf(*built(candidate), cases["image.other"]), cases["tokens.other"]).max,
        2e-4);
}

TEST(Radio, ReleasesOfAnotherBuildAreRefused) {
    for (const auto& [key, reason] :
         {std::pair{"base_model.patch_generator.embedder.bias", "giant"},
          std::pair{"base_model.blocks.0.attn.qkv.parametrizations.weight.original", "multiplied"},
          std::pair{"_feature_normalizer.tx", "rotates"},
          std::pair{"base_model.blocks.0.mlp.norm.weight", "norms"}}) {
        StateDict state = stateDictOf("radio_tiny");
        state[key] = at::ones({64});
        const RecognisedModel model = recogniseModel(state);
        ASSERT_TRUE(std::holds_alternative<UnknownModel>(model)) << key;
        EXPECT_THAT(std::get<UnknownModel>(model).reason, HasSubstr(reason));
    }
}

TEST(Vit, PlainOnesInHuggingFacesNames) {
    const StateDict state = renamed(stateDictOf("dinov2_hf"),
                                    {{"norm1.", "layernorm_before."},
                                     {"norm2.", "layernorm_after."},
                                     {"mlp.fc1.", "intermediate.dense."},
                                     {"mlp.fc2.", "output.dense."}},
                                    "vit.");
    const BackboneCandidate candidate = candidateOf(state);
    EXPECT_TRUE(candidate.identity.account.complete());
    EXPECT_THAT(candidate.identity.account.surplus, testing::IsEmpty());
    const Golden cases("backbone.dinov2_hf.cases");
    EXPECT_LE(
        difference(tokensOf(*built(candidate), cases["image.other"]), cases["tokens.other"]).max,
        2e-4);
}

TEST(Backbones, PartsOfABlockThatAreNotKnownAreRefused) {
    // Norms of queries and keys, as later ViTs have them: without them the tokens would be others.
    const std::vector<std::pair<std::string, std::string>> extended{
        {"dinov2_hub", "blocks.1.attn.q_norm.weight"},
        {"dinov2_hf", "encoder.layer.0.attention.q_norm.weight"},
        {"dinov3_timm", "blocks.1.attn.q_norm.weight"},
        {"clip_openai", "visual.transformer.resblocks.0.ls_1.gamma"},
        {"siglip_timm", "visual.trunk.blocks.0.attn.k_norm.weight"},
        {"radio_tiny", "base_model.blocks.1.attn.q_norm.weight"}};
    for (const auto& [architecture, key] : extended) {
        StateDict state = stateDictOf(architecture);
        state[key] = at::ones({64});
        std::string message;
        for (const BackboneFamily& family : backboneFamilies()) {
            auto found = family.recognise(state, {});
            if (!found) {
                message = found.error().message;
            } else if (*found) {
                const auto backbone = (*found)->build(c10::kCPU);
                message = backbone ? "it was built" : backbone.error().message;
            } else {
                continue;
            }
            break;
        }
        EXPECT_THAT(message, HasSubstr(key)) << architecture;
    }
}

TEST(Backbones, WhatAFileLacksIsNamed) {
    const struct {
        std::string architecture;
        std::string key;
    } cases[] = {{"dinov3_hub", "blocks.1.mlp.fc2.bias"},
                 {"dinov3_hf", "layer.0.attention.o_proj.weight"},
                 {"clip_openai", "visual.transformer.resblocks.1.attn.in_proj_bias"},
                 {"siglip_timm", "visual.trunk.blocks.0.norm2.weight"},
                 {"radio_tiny", "base_model.blocks.1.attn.proj.weight"}};
    for (const auto& [architecture, key] : cases) {
        StateDict state = stateDictOf(architecture);
        ASSERT_EQ(state.erase(key), 1U) << key;
        const BackboneCandidate candidate = candidateOf(state);
        EXPECT_THAT(candidate.identity.account.missing, testing::ElementsAre(key));
        const auto backbone = candidate.build(c10::kCPU);
        ASSERT_FALSE(backbone.has_value());
        EXPECT_EQ(backbone.error().code, ErrorCode::Mismatch);
    }
}

} // namespace
} // namespace loftscope
