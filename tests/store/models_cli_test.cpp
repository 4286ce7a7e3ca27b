// SPDX-License-Identifier: Apache-2.0
// `loftscope models` and models asked for by name, end to end with a server on this computer.
#include "core/image/encode.h"
#include "tests/store/test_server.h"
#include "tests/support/run_program.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <thread>

namespace loftscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Exchange;
using test::readBytes;
using test::runProgram;
using test::TempFolder;
using test::TestServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelsCommand : public testing::Test {
protected:
    ModelsCommand() {
        // Nothing of the user's own is seen or touched.
        for (const char* name : {"XDG_DATA_HOME", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME",
                                 "HF_HUB_CACHE", "LOFTSCOPE_MODELS"})
            unsetenv(name);
        setenv("HOME", home.path().c_str(), 1);
        setenv("LOFTSCOPE_MODELS", models.path().c_str(), 1);
    }
    static std::string golden(const std::string& name) {
        return test::testData("golden/" + name + ".safetensors").string();
    }
    static json entry(const json& list, const std::string& name) {
        for (const json& model : list["models"])
            if (model["name"] == name) return model;
        throw std::runtime_error("not listed: " + name);
    }

    TempFolder home;
    TempFolder models;
};

TEST_F(ModelsCommand, ListsWhatIsKnownAndWhereItLies) {
    fs::copy(golden("anyup_tiny.weights"), models / "anyup_paper.pth");
    const auto outcome = runProgram({"models", "--json"});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const json list = json::parse(outcome.out);
    EXPECT_EQ(entry(list, "dinov2_vits14")["licence"], "Apache-2.0");
    EXPECT_TRUE(entry(list, "dinov2_vits14")["path"].is_null());
    EXPECT_EQ(entry(list, "anyup_paper")["path"], (models / "anyup_paper.pth").string());
    EXPECT_EQ(entry(list, "anyup_paper")["where"], "LOFTSCOPE_MODELS");
    EXPECT_EQ(entry(list, "loftscope_vit16")["where"], "comes with LoftScope");
    EXPECT_TRUE(entry(list, "radio_v2.5-b")["restricted"]);
    EXPECT_THAT(runProgram({"models"}).out, HasSubstr("dinov3_vits16"));
}

TEST_F(ModelsCommand, GetsAModelThatIsThenUsedByName) {
    const std::string file = readBytes(golden("backbone.dinov2_hub.weights"));
    const TestServer server([&](const Exchange& exchange) { exchange.sendFile(file, "\"1\""); });
    const auto got =
        runProgram({"models", "get", "dinov2_vits14", "--from", server.url(), "--json"});
    ASSERT_EQ(got.exitCode, 0) << got.err;
    EXPECT_THAT(got.err, HasSubstr("licence: Apache-2.0"));
    const json report = json::parse(got.out)["models"][0];
    EXPECT_TRUE(report["fetched"]);
    EXPECT_FALSE(report["checksum_published"]);
    EXPECT_THAT(models.names(), ElementsAre("dinov2_vits14_pretrain.pth"));
    ASSERT_TRUE(
        writeImage(home / "photo.png", Image({56, 56}, std::vector<std::uint8_t>(56 * 56 * 3, 90)))
            .has_value());
    const auto features =
        runProgram({"features", "-b", "dinov2_vits14", "-i", (home / "photo.png").string(),
                    "--size", "56", "-o", (home / "features.npy").string()});
    EXPECT_EQ(features.exitCode, 0) << features.err;
    // A second time nothing is fetched.
    const auto again = runProgram({"models", "get", "dinov2_vits14", "--from", server.url()});
    EXPECT_EQ(again.exitCode, 0);
    EXPECT_THAT(again.out, HasSubstr("is here already"));
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(ModelsCommand, GetsAVocabularyThatHasAllItsWords) {
    std::string words = "#version: 0.2\n";
    for (int i = 0; i < 48000; ++i)
        words += std::to_string(i) + " a\n";
    std::string served = words;
    const TestServer server([&](const Exchange& exchange) { exchange.sendFile(served, ""); });
    const std::vector<std::string> get{"models", "get", "clip_vocabulary", "--from", server.url()};
    const auto few = runProgram(get);
    EXPECT_EQ(few.exitCode, 1);
    EXPECT_THAT(few.err, HasSubstr("48000 merges"));
    EXPECT_THAT(models.names(), IsEmpty());
    for (int i = 0; i < 1000; ++i)
        served += std::to_string(i) + " b\n";
    const auto whole = runProgram(get);
    EXPECT_EQ(whole.exitCode, 0) << whole.err;
    EXPECT_THAT(models.names(), ElementsAre("bpe_simple_vocab_16e6.txt.gz"));
}

TEST_F(ModelsCommand, WhatIsNotTheModelIsNotKept) {
    std::string file = "<html>Please sign in</html>";
    const TestServer server([&](const Exchange& exchange) { exchange.sendFile(file, "\"1\""); });
    auto got = runProgram({"models", "get", "dinov2_vits14", "--from", server.url()});
    EXPECT_EQ(got.exitCode, 1);
    EXPECT_THAT(got.err, HasSubstr("was removed"));
    file = readBytes(golden("anyup_tiny.weights"));
    got = runProgram({"models", "get", "dinov2_vits14", "--from", server.url()});
    EXPECT_EQ(got.exitCode, 1);
    EXPECT_THAT(got.err, HasSubstr("does not hold DINOv2 ViT-S/14"));
    // Here a checksum is published.
    got = runProgram({"models", "get", "anyup_paper", "--from", server.url()});
    EXPECT_EQ(got.exitCode, 1);
    EXPECT_THAT(got.err, HasSubstr("9d035c0f2711"));
    EXPECT_THAT(models.names(), IsEmpty());
}

TEST_F(ModelsCommand, LicencesThatRestrictAreToBeAccepted) {
    const std::string file = readBytes(golden("backbone.radio_tiny.weights"));
    const TestServer server([&](const Exchange& exchange) { exchange.sendFile(file, "\"1\""); });
    const std::vector<std::string> command{"models", "get", "radio_v2.5-b", "--from", server.url()};
    const auto refused = runProgram(command);
    EXPECT_EQ(refused.exitCode, 2);
    EXPECT_THAT(refused.err, HasSubstr("--accept-licence"));
    EXPECT_THAT(server.requests(), IsEmpty());
    std::vector<std::string> accepted = command;
    accepted.emplace_back("--accept-licence");
    EXPECT_EQ(runProgram(accepted).exitCode, 0);
    EXPECT_THAT(models.names(), ElementsAre("radio-v2.5-b_half.pth.tar"));
}

TEST_F(ModelsCommand, SaysWhatToDoWhereThereIsNoAddress) {
    auto got = runProgram({"models", "get", "dinov3_vits16"});
    EXPECT_EQ(got.exitCode, 1);
    EXPECT_THAT(got.err, HasSubstr("https://ai.meta.com"));
    got = runProgram({"models", "get", "no_such_model"});
    EXPECT_EQ(got.exitCode, 2);
    got = runProgram({"features", "-b", "dinov2_vitb14", "-i", "photo.png", "-o", "f.npy"});
    EXPECT_EQ(got.exitCode, 1);
    EXPECT_THAT(got.err, HasSubstr("loftscope models get dinov2_vitb14"));
}

TEST_F(ModelsCommand, CtrlCKeepsThePart) {
    const std::string file = readBytes(golden("backbone.dinov2_hub.weights"));
    const TestServer server([&](const Exchange& exchange) {
        if (exchange.number > 0) return exchange.sendFile(file, "\"1\"");
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: " +
                      std::to_string(file.size()) + "\r\n\r\n" + file.substr(0, 100000));
        exchange.waitForEnd();
    });
    const std::vector<std::string> command{"models", "get", "dinov2_vits14", "--from",
                                           server.url()};
    const fs::path part = models / "dinov2_vits14_pretrain.pth.part";
    const auto interrupted = runProgram(command, [&](pid_t process) {
        std::error_code ignored;
        for (int i = 0; i < 3000; ++i) {
            if (fs::exists(part, ignored) && fs::file_size(part, ignored) == 100000) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        kill(process, SIGINT);
    });
    EXPECT_EQ(interrupted.exitCode, 1) << interrupted.err;
    EXPECT_EQ(fs::file_size(part), 100000U);
    ASSERT_EQ(runProgram(command).exitCode, 0);
    EXPECT_EQ(readBytes(models / "dinov2_vits14_pretrain.pth"), file);
    EXPECT_THAT(server.requests().at(1), HasSubstr("Range: bytes=100000-"));
}

} // namespace
} // namespace loftscope
