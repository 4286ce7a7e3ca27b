// SPDX-License-Identifier: Apache-2.0
// Tokenizers and text towers against an independent formulation in Python and PyTorch
// (tests/parity/reference_text.py), with small vocabularies and random weights.
#include "core/base/guard.h"
#include "core/text/text_queries.h"
#include "core/text/text_tokenizer.h"
#include "core/text/tokenizer_files.h"
#include "tests/support/golden.h"
#include "tests/text/text_checkpoints.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <gmock/gmock.h>

#include <array>
#include <fstream>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;
using test::TempFolder;
using test::testData;
using testing::HasSubstr;

/// As make_text_arrays.py has them.
std::vector<std::string> texts() {
    std::string rain;
    for (int i = 0; i < 40; ++i)
        rain += "rain ";
    return {"a dog", "the cat's 3 houses!", "  Trees,   SEA & sky_line ", "caf\u00e9 \u6c34", rain};
}

std::vector<std::int64_t> expectedTokens(const Golden& cases, std::size_t i) {
    std::vector<std::int64_t> tokens;
    const at::Tensor stored = cases["tokens." + std::to_string(i)];
    for (std::int64_t k = 0; k < stored.size(0); ++k)
        tokens.push_back(stored[k].item<std::int64_t>());
    return tokens;
}

TextTower towerOf(const StateDict& state, std::optional<Activation> activation = {}) {
    auto tower = readTextTower(state, activation, c10::kCPU);
    if (!tower) throw std::runtime_error(tower.error().message);
    if (!*tower) throw std::runtime_error("no text tower");
    return **std::move(tower);
}

void expectDirections(const TextTower& tower, const Golden& cases, const std::string& name) {
    for (std::size_t i = 0; i < texts().size(); ++i) {
        const at::Tensor direction = tower.embedding(expectedTokens(cases, i));
        EXPECT_LE(difference(direction, cases[name + "." + std::to_string(i)]).max, 2e-6) << i;
    }
}

TEST(ClipTokenizer, NumbersWordsAsTheReferenceDoes) {
    const Golden cases("text.clip.cases");
    for (const char* file : {"text.clip.merges.txt", "text.clip.vocab.txt.gz"}) {
        const auto tokenizer =
            readClipTokenizer(testData("golden/" + std::string(file)), 2 * 256 + 60 + 2);
        ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
        for (std::size_t i = 0; i < texts().size(); ++i)
            EXPECT_EQ((*tokenizer)->tokens(texts()[i], 20), expectedTokens(cases, i)) << texts()[i];
        EXPECT_TRUE((*tokenizer)->tokens("  ", 20).empty());
    }
}

TEST(ClipTokenizer, RefusesAFileOfAnotherVocabulary) {
    const auto tokenizer = readClipTokenizer(testData("golden/text.clip.merges.txt"), 49408);
    ASSERT_FALSE(tokenizer.has_value());
    EXPECT_EQ(tokenizer.error().code, ErrorCode::Mismatch);
    EXPECT_THAT(tokenizer.error().message, HasSubstr("has 60 merges"));
    EXPECT_FALSE(readClipTokenizer(testData("golden/no-such-file"), 574).has_value());
}

TEST(SentenceTokenizer, NumbersWordsAsTheReferenceDoes) {
    const Golden cases("text.siglip.cases");
    const auto tokenizer = readSentenceTokenizer(testData("golden/text.siglip.spiece.model"), 58);
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    for (std::size_t i = 0; i < texts().size(); ++i)
        EXPECT_EQ((*tokenizer)->tokens(texts()[i], 16), expectedTokens(cases, i)) << texts()[i];
    EXPECT_TRUE((*tokenizer)->tokens(" ?! ", 16).empty());
    EXPECT_EQ(
        readSentenceTokenizer(testData("golden/text.siglip.spiece.model"), 32000).error().code,
        ErrorCode::Mismatch);
    EXPECT_EQ(readSentenceTokenizer(testData("golden/text.clip.merges.txt"), 58).error().code,
              ErrorCode::Malformed);
}

#if !defined(__SANITIZE_ADDRESS__) // which has an allocator of its own
TEST(SentenceTokenizer, LeavesLibTorchItsFlags) {
    // Both libraries define FLAGS_minloglevel: see core/text/sentence_pieces.h.
    const auto tokenizer = readSentenceTokenizer(testData("golden/text.siglip.spiece.model"), 58);
    ASSERT_TRUE(tokenizer.has_value());
    const auto outcome = guarded("asking for too much", []() -> Result<void> {
        at::empty({std::int64_t{1} << 50});
        return {};
    });
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().code, ErrorCode::OutOfMemory) << outcome.error().message;
}
#endif

TEST(TextTower, ClipEqualsTheReference) {
    const Golden cases("text.clip.cases");
    const StateDict state = Golden("text.clip.weights").state();
    expectDirections(towerOf(state), cases, "direction");
    expectDirections(towerOf(state, Activation::Gelu), cases, "direction_gelu");
    // open_clip's models with a text tower of their own.
    StateDict custom;
    for (const auto& [key, tensor] : state)
        custom["text." + key] = tensor;
    expectDirections(towerOf(custom), cases, "direction");
}

/// A text tower under Hugging Face's names. `from`: what stands in front of OpenAI's.
StateDict underHuggingFaceNames(const StateDict& state, const std::string& from) {
    StateDict renamed;
    const std::array<std::pair<std::string, std::string>, 7> names{
        {{"ln_1", "layer_norm1"},
         {"ln_2", "layer_norm2"},
         {"attn.out_proj", "self_attn.out_proj"},
         {"mlp.c_fc", "mlp.fc1"},
         {"mlp.c_proj", "mlp.fc2"},
         {"transformer.resblocks.", "text_model.encoder.layers."},
         {"ln_final", "text_model.final_layer_norm"}}};
    for (const auto& [key, tensor] : state) {
        if (!key.starts_with(from)) continue;
        std::string name = key.substr(from.size());
        for (const auto& [ours, theirs] : names)
            if (const auto at = name.find(ours); at != std::string::npos)
                name.replace(at, ours.size(), theirs);
        if (name == "token_embedding.weight" || name == "positional_embedding") {
            renamed[name == "positional_embedding"
                        ? "text_model.embeddings.position_embedding.weight"
                        : "text_model.embeddings.token_embedding.weight"] = tensor;
        } else if (const auto at = name.find("attn.in_proj_"); at != std::string::npos) {
            const std::string rest = name.substr(at + std::string("attn.in_proj_").size());
            const auto thirds = tensor.chunk(3);
            for (std::size_t i = 0; i < 3; ++i)
                renamed[name.substr(0, at) + "self_attn." + "qkv"[i] + "_proj." + rest] =
                    thirds[i].contiguous();
        } else if (name == "text_projection") {
            renamed["text_projection.weight"] = tensor.t().contiguous();
        } else if (name.starts_with("text_projection.")) {
            renamed["text_model.head" + name.substr(std::string("text_projection").size())] =
                tensor;
        } else {
            renamed[name] = tensor;
        }
    }
    return renamed;
}

TEST(TextTower, ClipUnderHuggingFaceNamesIsTheSame) {
    const StateDict state = underHuggingFaceNames(Golden("text.clip.weights").state(), "");
    expectDirections(towerOf(state), Golden("text.clip.cases"), "direction");
}

TEST(TextTower, SiglipEqualsTheReference) {
    const Golden cases("text.siglip.cases");
    const TextTower tower = towerOf(Golden("text.siglip.weights").state());
    EXPECT_EQ(tower.shape().vocabulary, TextVocabulary::Siglip);
    expectDirections(tower, cases, "direction");
    EXPECT_LE(difference(tower.inTextSpace(cases["features"]), cases["pooled"]).max, 2e-5);
}

TEST(TextTower, SiglipUnderHuggingFaceNamesUsesItsActivation) {
    const Golden cases("text.siglip.cases");
    const Golden weights("text.siglip.weights");
    const StateDict& own = weights.state();
    StateDict state = underHuggingFaceNames(own, "text.");
    const std::string pool = "visual.trunk.attn_pool.";
    for (const char* kind : {"weight", "bias"}) {
        const std::string end = std::string(".") + kind;
        state[std::string("vision_model.head.attention.in_proj_") + kind] =
            at::cat({own.at(pool + "q" + end), own.at(pool + "kv" + end)});
        state["vision_model.head.attention.out_proj" + end] = own.at(pool + "proj" + end);
        state["vision_model.head.layernorm" + end] = own.at(pool + "norm" + end);
        state["vision_model.head.mlp.fc1" + end] = own.at(pool + "mlp.fc1" + end);
        state["vision_model.head.mlp.fc2" + end] = own.at(pool + "mlp.fc2" + end);
    }
    const TextTower tower = towerOf(state);
    expectDirections(tower, cases, "direction_tanh");
    EXPECT_LE(difference(tower.inTextSpace(cases["features"]), cases["pooled_tanh"]).max, 2e-5);
}

TEST(TextTower, WhatIsMissingIsNamed) {
    StateDict state = Golden("text.clip.weights").state();
    state.erase("ln_final.bias");
    const auto tower = readTextTower(state, {}, c10::kCPU);
    ASSERT_FALSE(tower.has_value());
    EXPECT_THAT(tower.error().message, HasSubstr("norm.bias"));
    EXPECT_FALSE(readTextTower(Golden("backbone.dinov2_hub.weights").state(), {}, c10::kCPU)
                     .value()
                     .has_value());
}

TEST(TextQueries, FindTheVocabularyBesideTheCheckpoint) {
    const TempFolder folder;
    test::hideUsersModels(folder);
    const auto checkpoint = test::writeState(folder, "clip.safetensors", test::twoTowers("clip"));
    const TextQueries without(checkpoint, "CLIP ViT-B/16", 96, {}, c10::kCPU);
    const auto refused = without.query("a dog");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::NotFound);
    EXPECT_THAT(refused.error().message, HasSubstr("bpe_simple_vocab_16e6.txt.gz"));
    EXPECT_THAT(refused.error().message, HasSubstr("models get clip_vocabulary"));

    test::layVocabulary(folder, "text.clip.vocab.txt.gz", "bpe_simple_vocab_16e6.txt.gz");
    const TextQueries queries(checkpoint, "CLIP ViT-B/16", 96, {}, c10::kCPU);
    const auto query = queries.query("a dog");
    ASSERT_TRUE(query.has_value()) << query.error().message;
    EXPECT_LE(difference(query->direction, Golden("text.clip.cases")["direction.0"]).max, 2e-6);
    EXPECT_EQ(queries.query(" ").error().code, ErrorCode::InvalidArgument);
}

TEST(TextQueries, LookIntoHuggingFacesCache) {
    const TempFolder folder;
    const auto snapshot = folder / "hub/models--openai--clip-tiny/snapshots/abc";
    std::filesystem::create_directories(snapshot);
    std::filesystem::copy_file(testData("golden/text.clip.merges.txt"), snapshot / "merges.txt");
    ModelPlaces places;
    places.huggingFace = folder / "hub";
    TextTowerShape shape;
    shape.words = 574;
    EXPECT_TRUE(findTokenizer(shape, folder / "clip.safetensors", places).has_value());
    // Another model's vocabulary does not do.
    shape.words = 49408;
    EXPECT_EQ(findTokenizer(shape, folder / "clip.safetensors", places).error().code,
              ErrorCode::Mismatch);
}

TEST(TextQueries, SayThatABackboneHasNoTextTower) {
    const TextQueries dino(testData("golden/backbone.dinov2_hub.weights.safetensors"),
                           "DINOv2 ViT-Ti/14", 96, {}, c10::kCPU);
    const auto refused = dino.query("a dog");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("DINOv2 ViT-Ti/14"));
    EXPECT_THAT(refused.error().message, HasSubstr("has no text tower"));
}

} // namespace
} // namespace loftscope
