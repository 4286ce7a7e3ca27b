// SPDX-License-Identifier: Apache-2.0
// Texts on the command line: maps, figures, and what is said where they mean little or nothing.
#include "core/image/encode.h"
#include "core/weights/tensor_file.h"
#include "tests/support/run_program.h"
#include "tests/text/text_checkpoints.h"

#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;
using test::ProgramRun;
using test::runProgram;
using test::TempFolder;
using testing::HasSubstr;

class TextCommandTest : public testing::Test {
protected:
    TextCommandTest() {
        test::hideUsersModels(folder_);
        checkpoint_ =
            test::writeState(folder_, "clip.safetensors", test::twoTowers("clip")).string();
        test::layVocabulary(folder_, "text.clip.merges.txt", "merges.txt");
        std::vector<std::uint8_t> pixels;
        for (int i = 0; i < 96 * 96; ++i)
            for (const int c : {3, 5, 7})
                pixels.push_back(static_cast<std::uint8_t>((i / 16 * c + i % 96 * c) % 251));
        photo_ = (folder_ / "photo.png").string();
        if (!writeImage(photo_, Image({96, 96}, std::move(pixels))))
            throw std::runtime_error("no photo");
    }
    std::string path(const std::string& name) const { return (folder_ / name).string(); }

    TempFolder folder_;
    std::string checkpoint_;
    std::string photo_;
};

TEST_F(TextCommandTest, AMapIsTheCosineWithTheTextsDirection) {
    const ProgramRun run =
        runProgram({"similarity", "--backbone", checkpoint_, "--image", photo_, "--input-size",
                    "96", "--low", "--text", "a dog", "-o", path("map.npy")});
    ASSERT_EQ(run.exitCode, 0) << run.err;
    const ProgramRun features = runProgram({"features", "--backbone", checkpoint_, "--image",
                                            photo_, "--size", "96", "-o", path("low.npy")});
    ASSERT_EQ(features.exitCode, 0) << features.err;
    const at::Tensor low = readTensor(path("low.npy")).value();
    const at::Tensor direction = Golden("text.clip.cases")["direction.0"];
    const at::Tensor rows = low.reshape({96, -1}).t();
    const at::Tensor expected = rows.matmul(direction) / rows.norm(2, 1);
    EXPECT_LE(difference(readTensor(path("map.npy")).value().flatten(), expected).max, 2e-6);
}

TEST_F(TextCommandTest, AFigureHasAMapPerTextAndMethod) {
    const ProgramRun run =
        runProgram({"render", photo_, "--backbone", checkpoint_, "--input-size", "96", "-u",
                    "bilinear", "--text", "a dog", "--text", "trees, and sea", "--json", "--data",
                    path("data"), "--figure-out", path("figure.json"), "-o", path("out.png")});
    ASSERT_EQ(run.exitCode, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out);
    std::vector<std::string> titles;
    for (const auto& pane : json.at("panes"))
        titles.push_back(pane.at("title"));
    EXPECT_THAT(titles, testing::ElementsAre(
                            "Image", "Low-res features", "Bilinear", "\u201ca dog\u201d, low-res",
                            "\u201ca dog\u201d, Bilinear", "\u201ctrees, and sea\u201d, low-res",
                            "\u201ctrees, and sea\u201d, Bilinear"));
    EXPECT_TRUE(std::filesystem::exists(path("data/4-text-lowres.npy")));
    // The figure's file makes the same figure.
    const ProgramRun again =
        runProgram({"render", photo_, "--backbone", checkpoint_, "--input-size", "96", "-u",
                    "bilinear", "--figure", path("figure.json"), "-o", path("again.png")});
    ASSERT_EQ(again.exitCode, 0) << again.err;
    EXPECT_EQ(test::readBytes(path("out.png")), test::readBytes(path("again.png")));
}

TEST_F(TextCommandTest, WarnsWhereAnUpsamplerLeavesTheSpaceOfTexts) {
    const ProgramRun run =
        runProgram({"render", photo_, "--backbone", checkpoint_, "--input-size", "96", "-u",
                    "bilinear", "--panes", "text:bilinear;query=a dog", "-o", path("out.png")});
    EXPECT_EQ(run.exitCode, 0);
    EXPECT_THAT(run.err, testing::Not(HasSubstr("space")));
    const std::string loftup =
        std::string(LOFTSCOPE_TEST_DATA) + "/golden/loftup_tiny.weights.safetensors";
    const ProgramRun warned = runProgram({"render", photo_, "--backbone", checkpoint_,
                                          "--input-size", "96", "-u", "loftup=" + loftup, "--panes",
                                          "text:loftup;query=a dog", "-o", path("out.png")});
    EXPECT_THAT(warned.err, HasSubstr("LoftUp does not average tokens"));
}

TEST_F(TextCommandTest, ABackboneWithoutATextTowerIsASentence) {
    const ProgramRun run = runProgram(
        {"similarity", "--backbone",
         std::string(LOFTSCOPE_TEST_DATA) + "/golden/backbone.dinov2_hub.weights.safetensors",
         "--image", photo_, "--low", "--text", "a dog", "-o", path("map.npy")});
    EXPECT_EQ(run.exitCode, 1);
    EXPECT_THAT(run.err, HasSubstr("has no text tower: texts need a CLIP or SigLIP checkpoint"));
    EXPECT_FALSE(std::filesystem::exists(path("map.npy")));
    EXPECT_EQ(runProgram({"similarity", "--backbone", checkpoint_, "--image", photo_, "--low", "-o",
                          path("map.npy")})
                  .exitCode,
              2);
}

} // namespace
} // namespace loftscope
