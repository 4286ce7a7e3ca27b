// SPDX-License-Identifier: Apache-2.0
// `loftscope eval` as a user runs it.
#include "tests/eval/toy_street.h"
#include "tests/support/run_program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace loftscope {
namespace {

namespace fs = std::filesystem;
using test::ProgramRun;
using test::runProgram;

constexpr const char* backbone = LOFTSCOPE_RESOURCES "/models/loftscope_vit16.safetensors";
constexpr const char* loftUp =
    "loftup=" LOFTSCOPE_RESOURCES "/models/loftscope_vit16_loftup.safetensors";

class EvalCommand : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("eval_command_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }
    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    fs::path folder_;
};

TEST_F(EvalCommand, SegmentationOfAFolder) {
    test::writeToyStreet(folder_, 2, 2);
    std::ofstream(folder_ / "classes.txt") << "sky\nroad\ncar\n";
    const ProgramRun run = runProgram({"eval",
                                       "segmentation",
                                       "-b",
                                       backbone,
                                       "-u",
                                       "bilinear",
                                       "-u",
                                       loftUp,
                                       "-d",
                                       folder_.string(),
                                       "--dataset",
                                       "folder",
                                       "--classes",
                                       path("classes.txt"),
                                       "--input-size",
                                       "64",
                                       "--feature-size",
                                       "32",
                                       "--steps",
                                       "50",
                                       "--json",
                                       "--threads",
                                       "1",
                                       "--out",
                                       path("out"),
                                       "--latex",
                                       path("table.tex"),
                                       "--chart",
                                       path("bars.svg")});
    ASSERT_EQ(run.exitCode, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out);
    ASSERT_EQ(json.at("results").size(), 2U);
    EXPECT_EQ(json.at("results")[1].at("method"), "LoftUp");
    EXPECT_EQ(json.at("models")[1].at("sha256").get<std::string>().size(), 64U);
    EXPECT_TRUE(json.at("results")[0].at("class_iou").contains("car"));
    EXPECT_TRUE(fs::exists(folder_ / "out/results.md"));
    std::ifstream file(folder_ / "out/results.json");
    EXPECT_EQ(nlohmann::json::parse(file), json);
    EXPECT_TRUE(fs::exists(folder_ / "bars.svg"));
    std::ifstream latex(folder_ / "table.tex");
    const std::string text{std::istreambuf_iterator<char>(latex), {}};
    EXPECT_NE(text.find("LoftUp &"), std::string::npos) << text;
}

TEST_F(EvalCommand, VideoOfAFolder) {
    test::writeToyClip(folder_, "square", 4);
    const ProgramRun run = runProgram({"eval", "video", "-b", backbone, "-u", "lowres", "-u",
                                       "nearest", "-d", folder_.string(), "--input-size", "64",
                                       "--feature-size", "32", "--threads", "1"});
    ASSERT_EQ(run.exitCode, 0) << run.err;
    EXPECT_NE(run.out.find("| Low-res |"), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("| square |"), std::string::npos) << run.out;
}

TEST_F(EvalCommand, SaysWhatIsWrong) {
    const ProgramRun missing =
        runProgram({"eval", "video", "-b", backbone, "-u", "nearest", "-d", path("nowhere")});
    EXPECT_EQ(missing.exitCode, 1);
    EXPECT_NE(missing.err.find("nowhere"), std::string::npos) << missing.err;
    test::writeToyStreet(folder_, 1, 1);
    const ProgramRun frames =
        runProgram({"eval", "segmentation", "-b", backbone, "-u", "nearest", "-d", folder_.string(),
                    "--dataset", "folder", "--frames", "many"});
    EXPECT_EQ(frames.exitCode, 2);
    EXPECT_NE(frames.err.find("60/40"), std::string::npos) << frames.err;
    EXPECT_EQ(runProgram({"eval", "-b", backbone}).exitCode, 2);
}

} // namespace
} // namespace loftscope
