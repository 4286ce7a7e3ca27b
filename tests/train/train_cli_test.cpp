// SPDX-License-Identifier: Apache-2.0
// `loftscope train` as a user runs it: upsamplers, backbones, packs, several processes, resumption,
// wrong usage.
#include "core/image/encode.h"
#include "core/weights/tensor_file.h"
#include "tests/train/processes.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

struct Outcome {
    int code = -1;
    std::string output; ///< stdout and stderr
};

Outcome runProgram(const std::string& arguments, const std::string& environment = "") {
    const std::string command =
        environment + " " + std::string(LOFTSCOPE_PROGRAM) + " " + arguments + " 2>&1";
    Outcome outcome;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return outcome;
    char buffer[4096];
    for (std::size_t count = 0; (count = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
        outcome.output.append(buffer, count);
    const int status = pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
}

class TrainCommand : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("train_command_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_ / "photos");
        for (int i = 0; i < 3; ++i) {
            std::vector<std::uint8_t> pixels;
            for (int p = 0; p < 48 * 64; ++p) {
                const bool inside = p % 64 > 10 * i + 10 && p / 64 > 16;
                for (const int value : {inside ? 200 : 40, p % 64 * 2, 30 * i})
                    pixels.push_back(static_cast<std::uint8_t>(value));
            }
            ASSERT_TRUE(writeImage(folder_ / "photos" / (std::to_string(i) + ".png"),
                                   Image({48, 64}, std::move(pixels))));
        }
        std::ofstream(folder_ / "photos" / "broken.png") << "no picture";
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::string command(const std::string& out, const std::string& more) const {
        return "train --json --threads 1 upsampler --backbone " LOFTSCOPE_RESOURCES
               "/models/loftscope_vit16.safetensors --data " +
               (folder_ / "photos").string() + " --out " + (folder_ / out).string() +
               " --sizes 32 --accumulate 2 --jitters 1 " + more;
    }
    /// A tiny student of the default backbone.
    std::string backboneCommand(const std::string& data, const std::string& out,
                                const std::string& more, int accumulate = 2) const {
        return "train --json --quiet --threads 1 backbone --teacher " LOFTSCOPE_RESOURCES
               "/models/loftscope_vit16.safetensors:dims=8 --data " +
               (folder_ / data).string() + " --out " + (folder_ / out).string() +
               " --width 64 --depth 1 --grid 3 --sizes 32,32x48 --batch 2"
               " --photo-side 32 --constant-lr --accumulate " +
               std::to_string(accumulate) + " " + more;
    }
    fs::path folder_;
};

TEST_F(TrainCommand, TrainsResumesAndDistils) {
    const Outcome first = runProgram(command("one", "--steps 2 --quiet"));
    ASSERT_EQ(first.code, 0) << first.output;
    EXPECT_NE(first.output.find("1 photos could not be read"), std::string::npos) << first.output;

    const Outcome more = runProgram(command("one", "--steps 3 --preview-every 3"));
    ASSERT_EQ(more.code, 0) << more.output;
    const auto report = nlohmann::json::parse(more.output.substr(more.output.find('{')));
    EXPECT_EQ(report.at("first_step"), 2);
    EXPECT_EQ(report.at("last_step"), 3);
    EXPECT_EQ(report.at("finished"), true);
    EXPECT_TRUE(fs::exists(folder_ / "one" / "preview_000003.png"));
    std::ifstream log(folder_ / "one" / "log.jsonl");
    int lines = 0;
    for (std::string line; std::getline(log, line); ++lines)
        EXPECT_EQ(nlohmann::json::parse(line).at("step"), lines + 1);
    EXPECT_EQ(lines, 3);

    const std::string weights = (folder_ / "one" / "loftup.safetensors").string();
    const Outcome second =
        runProgram(command("two", "--stage 2 --hr-size 64 --steps 1 --from " + weights));
    ASSERT_EQ(second.code, 0) << second.output;
    const auto exported = readTensorFile(folder_ / "two" / "loftup_ema.safetensors");
    ASSERT_TRUE(exported) << exported.error().message;
    EXPECT_EQ(exported->metadata.at("stage"), "2");
    EXPECT_EQ(exported->metadata.at("backbone_sha256").size(), 64U);
}

TEST_F(TrainCommand, DistilsABackboneResumesAndContinues) {
    const Outcome first = runProgram(backboneCommand("photos", "b", "--steps 2"));
    ASSERT_EQ(first.code, 0) << first.output;
    const Outcome more = runProgram(backboneCommand("photos", "b", "--steps 3 --preview-every 3"));
    ASSERT_EQ(more.code, 0) << more.output;
    const auto report = nlohmann::json::parse(more.output.substr(more.output.find('{')));
    EXPECT_EQ(report.at("first_step"), 2);
    EXPECT_EQ(report.at("last_step"), 3);
    EXPECT_TRUE(report.at("losses").contains("cosine loftscope_vit16"));
    EXPECT_TRUE(fs::exists(folder_ / "b" / "preview_000003.png"));
    EXPECT_TRUE(fs::exists(folder_ / "b" / "curves.html"));

    const fs::path weights = folder_ / "b" / "backbone.safetensors";
    const auto exported = readTensorFile(weights);
    ASSERT_TRUE(exported) << exported.error().message;
    EXPECT_EQ(exported->metadata.at("teachers"), "loftscope_vit16");
    EXPECT_EQ(exported->metadata.at("samples"), "12");
    const Outcome inspected = runProgram("inspect " + weights.string());
    EXPECT_EQ(inspected.code, 0) << inspected.output;
    const Outcome continued =
        runProgram(backboneCommand("photos", "c", "--steps 1 --from " + weights.string()));
    EXPECT_EQ(continued.code, 0) << continued.output;
}

TEST_F(TrainCommand, DistilsABackboneWithAStemThatEveryCommandReads) {
    const std::string stem = " --stem 8,16x1,24,32 --steps ";
    ASSERT_EQ(runProgram(backboneCommand("photos", "s", stem + "1")).code, 0);
    const Outcome more = runProgram(backboneCommand("photos", "s", stem + "2"));
    ASSERT_EQ(more.code, 0) << more.output;
    const std::string weights = (folder_ / "s" / "backbone.safetensors").string();
    const Outcome inspected = runProgram("inspect " + weights);
    EXPECT_EQ(inspected.code, 0) << inspected.output;
    EXPECT_NE(inspected.output.find("8,16x1,24,32"), std::string::npos) << inspected.output;
    const Outcome continued =
        runProgram(backboneCommand("photos", "t", "--steps 1 --from " + weights));
    EXPECT_EQ(continued.code, 0) << continued.output;
    const fs::path features = folder_ / "features.npy";
    const Outcome read = runProgram("features --image " + (folder_ / "photos" / "0.png").string() +
                                    " --threads 1 -b " + weights + " --out " + features.string());
    EXPECT_EQ(read.code, 0) << read.output;
    EXPECT_TRUE(fs::exists(features));

    const Outcome wrong = runProgram(backboneCommand("photos", "w", "--stem 8,,16"));
    EXPECT_EQ(wrong.code, 2) << wrong.output;
    EXPECT_NE(wrong.output.find("'8,,16' is no stem"), std::string::npos) << wrong.output;
}

TEST_F(TrainCommand, APackOfDecodedPhotosTrainsWhatThePhotosTrain) {
    const std::string pack = (folder_ / "pack.safetensors").string();
    const Outcome packed = runProgram("train --json --quiet pack --data " +
                                      (folder_ / "photos").string() + " --out " + pack);
    ASSERT_EQ(packed.code, 0) << packed.output;
    const auto report = nlohmann::json::parse(packed.output.substr(packed.output.find('{')));
    EXPECT_EQ(report.at("photos"), 3);
    EXPECT_EQ(report.at("broken_photos"), 1);

    // Without the broken photo, which is counted where it is found.
    fs::remove(folder_ / "photos" / "broken.png");
    ASSERT_EQ(runProgram(backboneCommand("photos", "one", "--steps 2")).code, 0);
    ASSERT_EQ(runProgram(backboneCommand("pack.safetensors", "two", "--steps 2")).code, 0);
    const auto one = readTensorFile(folder_ / "one" / "checkpoint.safetensors");
    const auto two = readTensorFile(folder_ / "two" / "checkpoint.safetensors");
    ASSERT_TRUE(one && two);
    for (const auto& [key, tensor] : one->tensors)
        EXPECT_TRUE(tensor.equal(two->tensors.at(key))) << key;
}

TEST_F(TrainCommand, TwoProcessesShareARun) {
    const std::string rendezvous =
        "WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=" + std::to_string(freePort());
    // The second one runs beside the first, which waits for it.
    const std::string arguments = backboneCommand("photos", "shared", "--steps 2");
    const Outcome both = runProgram(
        arguments, "RANK=1 " + rendezvous + " " + LOFTSCOPE_PROGRAM + " " + arguments + " >" +
                       (folder_ / "second").string() + " 2>&1 & RANK=0 " + rendezvous);
    ASSERT_EQ(both.code, 0) << both.output;
    const auto report = nlohmann::json::parse(both.output.substr(both.output.find('{')));
    EXPECT_EQ(report.at("last_step"), 2);
    EXPECT_TRUE(fs::exists(folder_ / "shared" / "backbone.safetensors"));

    const Outcome odd = runProgram(backboneCommand("photos", "x", "", 3), "RANK=0 " + rendezvous);
    EXPECT_EQ(odd.code, 2) << odd.output;
    EXPECT_NE(odd.output.find("3 batches per step"), std::string::npos) << odd.output;
    const Outcome lost = runProgram(backboneCommand("photos", "x", ""), "WORLD_SIZE=2 RANK=0");
    EXPECT_EQ(lost.code, 2) << lost.output;
    EXPECT_NE(lost.output.find("MASTER_PORT"), std::string::npos) << lost.output;
}

TEST_F(TrainCommand, SaysWhatIsWrong) {
    const Outcome size = runProgram(command("x", "--sizes 33"));
    EXPECT_EQ(size.code, 2) << size.output;
    EXPECT_NE(size.output.find("33"), std::string::npos) << size.output;
    const Outcome weights = runProgram(command("x", "--stage 2"));
    EXPECT_EQ(weights.code, 2) << weights.output;
    EXPECT_NE(weights.output.find("--from"), std::string::npos) << weights.output;
    const Outcome budget = runProgram(command("x", "--time-budget soon"));
    EXPECT_EQ(budget.code, 2) << budget.output;
    const Outcome classes = runProgram(command("x", "--class-weight 1"));
    EXPECT_EQ(classes.code, 2) << classes.output;
    EXPECT_NE(classes.output.find("--class-data"), std::string::npos) << classes.output;
    const std::string photos = (folder_ / "photos").string();
    for (const std::string& text :
         {photos, photos + ":" + photos + ":zero=3", photos + ":" + photos + ":times=0"}) {
        const Outcome wrong = runProgram(command("x", "--class-data " + text));
        EXPECT_EQ(wrong.code, 2) << wrong.output;
        EXPECT_NE(wrong.output.find(text), std::string::npos) << wrong.output;
    }
    const Outcome nowhere = runProgram(command("x", "--class-data " + photos + ":nowhere"));
    EXPECT_NE(nowhere.code, 0);
    EXPECT_NE(nowhere.output.find("nowhere"), std::string::npos) << nowhere.output;
    const Outcome teacher =
        runProgram("train backbone --teacher a.safetensors:tape=4 --data " +
                   (folder_ / "photos").string() + " --out " + (folder_ / "x").string());
    EXPECT_EQ(teacher.code, 2) << teacher.output;
    EXPECT_NE(teacher.output.find("tape=4"), std::string::npos) << teacher.output;
    EXPECT_FALSE(fs::exists(folder_ / "x"));
}

} // namespace
} // namespace loftscope
