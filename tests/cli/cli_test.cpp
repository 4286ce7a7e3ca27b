// SPDX-License-Identifier: Apache-2.0
// The command line end to end: numbers against the reference's arrays, and what it says when
// something is wrong.
#include "core/image/clip.h"
#include "core/image/decode.h"
#include "core/image/encode.h"
#include "core/kernel/processor.h"
#include "core/session/session_file.h"
#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"
#include "tests/support/golden.h"
#include "tests/support/run_program.h"

#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;
using test::ProgramRun;
using test::runProgram;
using testing::HasSubstr;
namespace fs = std::filesystem;

class CommandLineTest : public testing::Test {
protected:
    CommandLineTest()
        : folder_(fs::temp_directory_path() / ("loftscope-cli-" + std::to_string(getpid()))) {
        fs::remove_all(folder_);
        fs::create_directories(folder_);
    }
    ~CommandLineTest() override { fs::remove_all(folder_); }

    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    static std::string golden(const std::string& name) {
        return std::string(LOFTSCOPE_TEST_DATA) + "/golden/" + name + ".safetensors";
    }
    /// A picture of coloured blocks, so that there is something to see.
    std::string photo(const std::string& name, Extent extent) const {
        std::vector<std::uint8_t> pixels;
        for (std::int64_t y = 0; y < extent.height; ++y)
            for (std::int64_t x = 0; x < extent.width; ++x)
                for (const std::int64_t c : {0, 1, 2})
                    pixels.push_back(static_cast<std::uint8_t>(
                        (x / 9 * 40 + y / 7 * (60 + 30 * c) + c * 50) % 256));
        EXPECT_TRUE(writeImage(path(name), Image(extent, pixels)).has_value());
        return path(name);
    }
    static at::Tensor tensor(const std::string& reference) {
        auto read = readTensor(reference);
        if (!read) throw std::runtime_error(read.error().message);
        return read->to(at::kFloat);
    }
    /// Nothing but `expected` may be in the folder: no half-written files.
    void expectOnly(const std::vector<std::string>& expected) const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder_))
            names.push_back(entry.path().filename().string());
        EXPECT_THAT(names, testing::UnorderedElementsAreArray(expected));
    }
    std::vector<std::string> loftupArguments(const std::string& command,
                                             const std::string& name) const {
        return {command,
                "-m",
                "loftup",
                "-w",
                golden("loftup_tiny.weights"),
                "-f",
                golden(name) + ":input.lr",
                "--guidance",
                golden(name) + ":input.guidance"};
    }

    fs::path folder_;
};

std::vector<std::string> with(std::vector<std::string> arguments,
                              std::initializer_list<std::string> more) {
    arguments.insert(arguments.end(), more);
    return arguments;
}

/// One sentence on stderr, nothing on stdout.
void expectRefusal(const ProgramRun& outcome, int exitCode, const std::string& part) {
    EXPECT_EQ(outcome.exitCode, exitCode) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(part));
    EXPECT_THAT(outcome.err, testing::StartsWith("loftscope: "));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST_F(CommandLineTest, VersionNamesTheProgramAndItsLibTorch) {
    const ProgramRun outcome = runProgram({"--version"});
    EXPECT_EQ(outcome.exitCode, 0);
    EXPECT_THAT(outcome.out, testing::MatchesRegex("loftscope [0-9]+\\.[0-9]+\\.[0-9]+ "
                                                   "\\(LibTorch [0-9]+\\.[0-9]+\\.[0-9]+\\)\n"));
}

TEST_F(CommandLineTest, UpsampleEqualsTheReferenceWhateverTheTiles) {
    const at::Tensor expected = Golden("loftup_tiny.nonsquare")["output"][0];
    for (const std::string tile : {"64", "13"}) {
        const auto outcome = runProgram(with(loftupArguments("upsample", "loftup_tiny.nonsquare"),
                                             {"--tile", tile, "-o", path("hr.npy")}));
        ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
        EXPECT_EQ(outcome.err, "");
        EXPECT_LE(difference(tensor(path("hr.npy")), expected).max, 1e-4);
    }
    const auto outcome =
        runProgram(with(loftupArguments("upsample", "loftup_tiny.nonsquare"),
                        {"--rect", "70,3,14,20", "-o", path("part.safetensors"), "--json"}));
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json["width"], 14);
    EXPECT_EQ(json["models"][0]["sha256"].get<std::string>().size(), 64U);
    EXPECT_LE(difference(tensor(path("part.safetensors:features")),
                         expected.slice(1, 3, 23).slice(2, 70, 84))
                  .max,
              1e-4);
    expectOnly({"hr.npy", "hr.npy.json", "part.safetensors"});
}

TEST_F(CommandLineTest, AttendEqualsTheReference) {
    const Golden reference("loftup_tiny.disproportionate");
    const at::Tensor pixel = reference.raw("tap.attn_pixels")[0];
    const std::string place =
        std::to_string(pixel[1].item<int>()) + "," + std::to_string(pixel[0].item<int>());
    const auto outcome = runProgram(with(loftupArguments("attend", "loftup_tiny.disproportionate"),
                                         {"-p", place, "-o", path("a.npy")}));
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const at::Tensor attention = tensor(path("a.npy"));
    EXPECT_EQ(attention.sizes(), (std::vector<std::int64_t>{2, 4, 3, 9}));
    EXPECT_LE(difference(attention[1].flatten(1), reference["tap.block1.attn"][0]).max, 1e-5);
}

TEST_F(CommandLineTest, FeaturesEqualTheReferenceForATensorPicture) {
    const auto outcome =
        runProgram({"features", "--backbone", golden("backbone.dinov2_reg4_hf.weights"), "--image",
                    golden("backbone.dinov2_reg4_hf.cases") + ":image.other", "-o", path("f.npy")});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const at::Tensor features = tensor(path("f.npy"));
    EXPECT_EQ(features.sizes(), (std::vector<std::int64_t>{64, 5, 9}));
    EXPECT_LE(
        difference(features.flatten(1).t(), Golden("backbone.dinov2_reg4_hf.cases")["tokens.other"])
            .max,
        2e-4);
}

TEST_F(CommandLineTest, FeaturesOfLayersAndAttentionOfAPhoto) {
    const std::string backbone = golden("backbone.dinov2_hub.weights");
    const std::string picture = photo("photo.png", {60, 100});
    const auto outcome =
        runProgram({"features", "-b", backbone, "-i", picture, "--size", "84", "--layer", "1",
                    "--attention", "--query", "3,2", "-o", path("f.safetensors")});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    // 84 x 140: 6 x 10 patches of 14.
    EXPECT_EQ(tensor(path("f.safetensors:features")).sizes(),
              (std::vector<std::int64_t>{128, 6, 10}));
    EXPECT_EQ(tensor(path("f.safetensors:attention")).sizes(),
              (std::vector<std::int64_t>{1, 2, 6, 10}));
    expectRefusal(runProgram({"features", "-b", backbone, "-i", picture, "--size", "84", "--layer",
                              "7", "-o", path("x.npy")}),
                  2, "layers 0 to 1");
}

TEST_F(CommandLineTest, SimilarityIsOneAtThePixelAndCosineElsewhere) {
    const auto outcome = runProgram(with(loftupArguments("similarity", "loftup_tiny.nonsquare"),
                                         {"-p", "20,11", "-o", path("s.npy")}));
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const at::Tensor features = Golden("loftup_tiny.nonsquare")["output"][0].flatten(1);
    const at::Tensor unit = features / features.norm(2, 0, true);
    const at::Tensor expected = at::matmul(unit.select(1, 11 * 84 + 20), unit).view({60, 84});
    EXPECT_LE(difference(tensor(path("s.npy")), expected).max, 1e-4);
    const auto low =
        runProgram({"similarity", "--low", "-f", golden("loftup_tiny.nonsquare") + ":input.lr",
                    "-g", golden("loftup_tiny.nonsquare") + ":input.guidance", "-p", "83,59", "-o",
                    path("low.npy")});
    ASSERT_EQ(low.exitCode, 0) << low.err;
    EXPECT_NEAR(tensor(path("low.npy"))[4][6].item<double>(), 1.0, 1e-6)
        << "the last pixel lies in the last token";
}

TEST_F(CommandLineTest, PcaScoresFollowASavedBasis) {
    const std::string features = golden("pca.joint_square") + ":input.hr";
    const auto first =
        runProgram({"pca", "-m", "lowres", "-f", features, "--components", "0,2", "--basis-out",
                    path("basis.safetensors"), "-o", path("scores.npy")});
    ASSERT_EQ(first.exitCode, 0) << first.err;
    const auto second = runProgram({"pca", "-m", "lowres", "-f", features, "--basis-in",
                                    path("basis.safetensors"), "-o", path("again.npy")});
    ASSERT_EQ(second.exitCode, 0) << second.err;
    const at::Tensor scores = tensor(path("scores.npy"));
    const at::Tensor again = tensor(path("again.npy"));
    EXPECT_EQ(scores.size(0), 2);
    EXPECT_EQ(again.size(0), 3);
    EXPECT_LE(difference(scores[1], again[2]).max, 1e-5);
    // Scores are uncorrelated and centred: that is what makes them principal components.
    const at::Tensor flat = again.flatten(1);
    EXPECT_LE(flat.mean(1).abs().max().item<double>(), 1e-4);
    const at::Tensor covariance = at::matmul(flat, flat.t()) / static_cast<double>(flat.size(1));
    EXPECT_LE(covariance[0][1].abs().item<double>(), 1e-4 * covariance[0][0].item<double>());
    const auto picture = runProgram(
        {"pca", "-m", "bilinear", "-f", features, "--size", "50x30", "-o", path("pca.png")});
    ASSERT_EQ(picture.exitCode, 0) << picture.err;
    EXPECT_EQ(decodePhoto(fs::path(path("pca.png")))->image.extent(), (Extent{30, 50}));
}

TEST_F(CommandLineTest, InterpolationsNeedNoGuidance) {
    const auto outcome =
        runProgram({"upsample", "-m", "bicubic", "-f", golden("resize.interpolate") + ":input",
                    "--size", "8x23", "-o", path("u.npy")});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    EXPECT_LE(difference(tensor(path("u.npy")).unsqueeze(0),
                         Golden("resize.interpolate")["interp.bicubic.aa0.23x8"])
                  .max,
              2e-6);
}

TEST_F(CommandLineTest, RenderWritesALabelledFigureWithoutADisplay) {
    const std::string picture = photo("photo.png", {96, 160});
    const std::string models = std::string(LOFTSCOPE_RESOURCES) + "/models/";
    const auto outcome = runProgram(
        {"render", picture, "--backbone", models + "loftscope_vit16.safetensors", "--upsampler",
         "bilinear", "--upsampler", "loftup=" + models + "loftscope_vit16_loftup.safetensors",
         "--panes", "image,lowres,bilinear,loftup,attention@80,40,similarity@10,20", "--size", "96",
         "--out", path("figure.png"), "--json"});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json["panes"].size(), 6U);
    EXPECT_THAT(json["panes"][4]["title"].get<std::string>(), HasSubstr("Attention"));
    const auto figure = decodePhoto(fs::path(path("figure.png")));
    ASSERT_TRUE(figure.has_value());
    EXPECT_GT(figure->image.width(), 1000);
    expectOnly({"photo.png", "figure.png"});
}

TEST_F(CommandLineTest, RenderMakesAMatrixOfBackbonesAndMethods) {
    const std::string picture = photo("photo.png", {96, 160});
    const std::string models = std::string(LOFTSCOPE_RESOURCES) + "/models/";
    const std::vector<std::string> command{"render",
                                           picture,
                                           "--backbones",
                                           golden("backbone.dinov2_hub.weights"),
                                           "loftscope_vit16",
                                           "-u",
                                           "bilinear",
                                           "-u",
                                           "featup=" + golden("featup_tiny.weights"),
                                           "-u",
                                           "loftup=" + golden("loftup_tiny.weights"),
                                           "-u",
                                           "loftup=loftscope_vit16_loftup",
                                           "--size",
                                           "96"};
    const auto outcome = runProgram(with(command, {"--json", "--out", path("matrix.png")}));
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const auto report = nlohmann::json::parse(outcome.out);
    const auto& panes = report["panes"];
    ASSERT_EQ(panes.size(), 10U) << "two rows of picture, low-res and three methods";
    EXPECT_EQ(report["rows"], (std::vector<std::string>{"DINOv2 ViT-128x2/14",
                                                        "ViT-192x8/16 with a convolutional stem"}));
    EXPECT_EQ(report["columns"][4], "LoftUp");
    EXPECT_EQ(panes[4]["subtitle"], "none for 128 channels was given");
    EXPECT_EQ(panes[9]["subtitle"], "") << "one that fits";
    expectOnly({"photo.png", "matrix.png"});
    expectRefusal(runProgram(with(command, {"--out", path("folder")})), 2, "--backbones");
    expectRefusal(runProgram(with(command, {"--out", path("m.png"), "-b", "x.pth"})), 2,
                  "--backbone");
}

TEST_F(CommandLineTest, RenderMakesAFigureOfEveryPhotoAndGoesOnWhereItStopped) {
    const std::vector<std::string> command{"render",
                                           photo("one.png", {48, 64}),
                                           photo("two.png", {64, 48}),
                                           path("broken.png"),
                                           "--backbone",
                                           golden("backbone.dinov2_hub.weights"),
                                           "--upsampler",
                                           "bilinear",
                                           "--size",
                                           "56",
                                           "--out",
                                           path("figures"),
                                           "--json"};
    std::ofstream(path("broken.png")) << "no picture";
    const auto first = runProgram(command);
    EXPECT_EQ(first.exitCode, 1) << "one photo is broken";
    const auto report = nlohmann::json::parse(first.out);
    EXPECT_EQ(report["made"], 2);
    ASSERT_EQ(report["failed"].size(), 1U);
    EXPECT_THAT(first.err, HasSubstr("broken.png"));
    EXPECT_TRUE(fs::exists(path("figures/one.png")));
    EXPECT_TRUE(fs::exists(path("figures/two.png")));
    const auto again = nlohmann::json::parse(runProgram(command).out);
    EXPECT_EQ(again["made"], 0);
    EXPECT_EQ(again["skipped"], 2);
    expectRefusal(runProgram({"render", path("one.png"), path("two.png"), "-b", "x.pth", "--out",
                              path("both.png")}),
                  2, "give a folder");
}

TEST_F(CommandLineTest, RenderDrawsAFigureFromAFile) {
    const std::string models = std::string(LOFTSCOPE_RESOURCES) + "/models/";
    const std::string picture = photo("a.png", {60, 80});
    const auto render = [&](std::vector<std::string> rest) {
        std::vector<std::string> command{
            "render", "-b", models + "loftscope_vit16.safetensors", "-u", "bilinear", "--size",
            "64",     "-q"};
        command.insert(command.end(), rest.begin(), rest.end());
        return runProgram(command);
    };
    std::ofstream(path("f.json")) << R"({"loftscope_figure": 1, "preset": "teaser",
        "panes": ["image", {"show": "bilinear;components=1+2+3", "title": "Ours"},
                  "norm:bilinear", "self-attention:cls", "similarity:lowres@#1",
                  "difference:lowres:lowres", "difference;minuend=3;subtrahend=3"],
        "picks": [[20, 30]], "insets": [[10, 10, 20, 20]], "crop": [4, 4, 70, 50],
        "width": 120, "font_points": 6, "columns": 4})";
    const ProgramRun drawn = render({picture, "--figure", path("f.json"), "-o", path("a.svg"),
                                     "--json", "--figure-out", path("whole.json")});
    ASSERT_EQ(drawn.exitCode, 0) << drawn.err;
    std::ostringstream svg;
    svg << std::ifstream(path("a.svg")).rdbuf();
    EXPECT_THAT(svg.str(), HasSubstr("width=\"120mm\""));
    for (const char* text : {">Ours</text>", ">Norm, Bilinear</text>",
                             ">Self-attention of CLS</text>", ">Similarity to 1, low-res</text>"})
        EXPECT_THAT(svg.str(), HasSubstr(text));
    // What --figure-out wrote makes the same figure.
    ASSERT_EQ(render({picture, "--figure", path("whole.json"), "-o", path("b.svg")}).exitCode, 0);
    std::ostringstream again;
    again << std::ifstream(path("b.svg")).rdbuf();
    EXPECT_EQ(again.str(), svg.str());
    // One figure of several photos, each a row.
    const std::string other = photo("b.png", {80, 60});
    ASSERT_EQ(render({picture, other, "--figure", "matrix", "-o", path("m.svg")}).exitCode, 0);
    std::ostringstream matrix;
    matrix << std::ifstream(path("m.svg")).rdbuf();
    for (const char* text : {">a</text>", ">b</text>", ">Bilinear</text>"})
        EXPECT_THAT(matrix.str(), HasSubstr(text));

    std::ofstream(path("wrong.json")) << R"({"loftscope_figure": 1, "pane": []})";
    const ProgramRun wrong = render({picture, "--figure", path("wrong.json"), "-o", path("c.png")});
    EXPECT_EQ(wrong.exitCode, 1);
    EXPECT_THAT(wrong.err, HasSubstr("did you mean 'panes'?"));
    const ProgramRun unpicked = render({picture, "--figure", "attention", "-o", path("c.png")});
    EXPECT_EQ(unpicked.exitCode, 2);
    EXPECT_THAT(unpicked.err, HasSubstr("--pick x,y"));
    const ProgramRun preset = render({picture, "--figure", "colage", "-o", path("c.png")});
    EXPECT_EQ(preset.exitCode, 2);
    EXPECT_THAT(preset.err, HasSubstr("comparison, matrix"));
    EXPECT_FALSE(fs::exists(path("c.png")));
}

TEST_F(CommandLineTest, RenderWritesTheNumbersBehindAFigure) {
    const std::string models = std::string(LOFTSCOPE_RESOURCES) + "/models/";
    const std::string picture = photo("a.png", {60, 80});
    for (const std::string format : {"npy", "safetensors", "png", "exr", "csv"}) {
        const std::string folder = path("data-" + format);
        const ProgramRun run = runProgram(
            {"render", picture, "-b", models + "loftscope_vit16.safetensors", "-u", "bilinear",
             "--size", "64", "--panes", "image,bilinear,norm:bilinear,attention@20,30", "--data",
             folder, "--data-format", format, "-o", path("a.svg"), "-q"});
        ASSERT_EQ(run.exitCode, 0) << run.err;
        const std::string norm = folder + "/3-norm-bilinear." + format;
        ASSERT_TRUE(fs::exists(norm));
        if (format == "npy" || format == "safetensors") {
            EXPECT_EQ(tensor(norm).dim(), 2);
            EXPECT_EQ(tensor(folder + "/2-bilinear." + format).size(0), 9);
            EXPECT_EQ(tensor(folder + "/basis-own-bilinear.safetensors:components").size(0), 9);
        }
        // How it was made is in the file, or beside it.
        std::ostringstream text;
        text << std::ifstream(norm).rdbuf() << std::ifstream(norm + ".json").rdbuf();
        EXPECT_THAT(text.str(), HasSubstr("backbone_sha256")) << format;
        EXPECT_THAT(text.str(), HasSubstr("norm:bilinear")) << format;
        EXPECT_EQ(fs::exists(norm + ".json"), format == "npy" || format == "csv");
    }
    // 16 bits, from the smallest value to the largest.
    const auto norms = tensor(path("data-npy") + "/3-norm-bilinear.npy");
    std::ifstream csv(path("data-csv") + "/3-norm-bilinear.csv");
    double first = 0;
    csv >> first;
    EXPECT_NEAR(first, norms[0][0].item<double>(), 1e-6);
    const auto decoded = decodePhoto(path("data-png") + "/3-norm-bilinear.png");
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->storedBits, 16);
    const auto low = norms.min().item<double>();
    const double share = (norms[5][7].item<double>() - low) / (norms.max().item<double>() - low);
    EXPECT_NEAR(decoded->image.row(5)[21], share * 255, 1.01);
    const auto picks = nlohmann::json::parse(std::ifstream(path("data-npy") + "/picks.json"));
    EXPECT_EQ(picks.at("picks")[0].at("pixel"), (nlohmann::json{20, 30}));
    double sum = 0;
    for (const auto& weight : picks.at("picks")[0].at("attention")[0].at("maps")[0].at("weights"))
        sum += weight.get<double>();
    EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(CommandLineTest, RenderDrawsASessionAndWhatItsCommandLineDraws) {
    const std::string vit =
        std::string(LOFTSCOPE_RESOURCES) + "/models/loftscope_vit16.safetensors";
    Session session;
    session.photo.path = photo("a.png", {60, 80});
    session.backbone.path = vit;
    session.inputSize = 64;
    session.picks = {{4, 20.5, 30.5, colorOfPick(0), true}};
    session.activePick = 4;
    for (const char* pane : {"image", "bilinear;components=1+2+3;flip=2", "similarity:lowres"})
        session.panes.push_back({*parsePane(pane), {}});
    ASSERT_TRUE(writeSession(path("s.loftscope"), session));
    const ProgramRun drawn = runProgram({"render", path("s.loftscope"), "-o", path("out"), "-q"});
    ASSERT_EQ(drawn.exitCode, 0) << drawn.err;
    ASSERT_TRUE(fs::exists(path("out/s.png")));

    // The command line that the session gives draws the same. Labels of picks are their places.
    session.picks[0].number = session.activePick = 1;
    ASSERT_TRUE(writeSession(path("s.loftscope"), session));
    ASSERT_EQ(runProgram({"render", path("s.loftscope"), "-o", path("a.svg"), "-q"}).exitCode, 0);
    std::string command = renderCommand(session, path("b.svg"));
    command.replace(0, std::string("loftscope").size(), LOFTSCOPE_PROGRAM);
    ASSERT_EQ(std::system((command + " -q > /dev/null").c_str()), 0);
    std::ostringstream first;
    first << std::ifstream(path("a.svg")).rdbuf();
    std::ostringstream second;
    second << std::ifstream(path("b.svg")).rdbuf();
    EXPECT_EQ(first.str(), second.str());

    fs::remove(session.photo.path);
    const ProgramRun missing = runProgram({"render", path("s.loftscope"), "-o", path("c.png")});
    EXPECT_EQ(missing.exitCode, 1);
    EXPECT_THAT(missing.err, HasSubstr("a.png' is not there"));
    // All that is missing is said at once.
    session.backbone.path = path("gone.pth");
    ASSERT_TRUE(writeSession(path("s.loftscope"), session));
    const ProgramRun both = runProgram({"render", path("s.loftscope"), "-o", path("c.png")});
    EXPECT_THAT(both.err, HasSubstr("a.png' is not there"));
    EXPECT_THAT(both.err, HasSubstr("gone.pth' is not there"));
}

TEST_F(CommandLineTest, AFullDiskIsASentenceAndLeavesNothing) {
    const std::string vit =
        std::string(LOFTSCOPE_RESOURCES) + "/models/loftscope_vit16.safetensors";
    const std::string picture = photo("a.png", {64, 96});
    fs::create_directories(path("clip"));
    for (const char* name : {"clip/1.png", "clip/2.png", "clip/3.png"})
        photo(name, {64, 96});
    // No file may grow beyond this, which is what a full disk looks like to a program.
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{3000, before.rlim_max};
    const auto render = [&](std::vector<std::string> rest) {
        std::vector<std::string> command{"render",   "-b",     vit,  "-u",
                                         "bilinear", "--size", "64", "-q"};
        command.insert(command.end(), rest.begin(), rest.end());
        setrlimit(RLIMIT_FSIZE, &small);
        const ProgramRun run = runProgram(command);
        setrlimit(RLIMIT_FSIZE, &before);
        return run;
    };
    for (const char* name : {"out.png", "out.pdf", "out.svg"}) {
        const ProgramRun run = render({picture, "-o", path(name)});
        EXPECT_EQ(run.exitCode, 1) << name;
        EXPECT_THAT(run.err, HasSubstr(std::string("Cannot write '") + path(name))) << name;
    }
    const ProgramRun report = render({picture, "--report", path("out.html")});
    EXPECT_EQ(report.exitCode, 1);
    const ProgramRun video = render({path("clip"), "--video", path("out.avi")});
    EXPECT_EQ(video.exitCode, 1);
    EXPECT_THAT(video.err, HasSubstr("out.avi' could not be written"));
    const ProgramRun pictures = render({path("clip"), "--video", path("frames")});
    EXPECT_EQ(pictures.exitCode, 1);
    expectOnly({"a.png", "clip"});
}

TEST_F(CommandLineTest, RenderWritesAVideoOfAClip) {
    const std::string vit =
        std::string(LOFTSCOPE_RESOURCES) + "/models/loftscope_vit16.safetensors";
    fs::create_directories(path("clip"));
    for (const char* name : {"clip/1.png", "clip/2.png", "clip/3.png"})
        photo(name, {64, 96});
    const auto render = [&](std::vector<std::string> rest) {
        std::vector<std::string> command{"render",   path("clip"), "-b", vit, "-u",
                                         "bilinear", "--size",     "64", "-q"};
        command.insert(command.end(), rest.begin(), rest.end());
        return runProgram(command);
    };
    const ProgramRun made = render({"--video", path("a.avi")});
    ASSERT_EQ(made.exitCode, 0) << made.err;
    const auto clip = openClip(path("a.avi"));
    ASSERT_TRUE(clip) << clip.error().message;
    EXPECT_EQ((*clip)->frames(), 3);
    for (const std::string ending : {".mp4", ".webm"}) {
        const ProgramRun other = render({"--video", path("a" + ending)});
        ASSERT_EQ(other.exitCode, 0) << other.err;
        const auto again = openClip(path("a" + ending));
        ASSERT_TRUE(again) << again.error().message;
        const auto frame = (*again)->frame(2);
        ASSERT_TRUE(frame) << frame.error().message;
        EXPECT_EQ(frame->image.extent(), (*clip)->frame(2)->image.extent());
        fs::remove(path("a" + ending));
    }
    // Pictures need no codec.
    const ProgramRun pictures = render({"--video", path("frames")});
    ASSERT_EQ(pictures.exitCode, 0) << pictures.err;
    EXPECT_EQ((*openClip(path("frames")))->frames(), 3);
    EXPECT_EQ(render({"--video", path("frames")}).exitCode, 1) << "nothing is overwritten";
    fs::remove_all(path("frames"));
    const ProgramRun wiped =
        render({"--panes", "image,bilinear", "--wipe", "--video", path("w.avi")});
    ASSERT_EQ(wiped.exitCode, 0) << wiped.err;
    EXPECT_EQ((*openClip(path("w.avi")))->frame(0)->image.height(), 512);

    const ProgramRun unknown = render({"--video", path("a.gif")});
    EXPECT_EQ(unknown.exitCode, 2);
    EXPECT_THAT(unknown.err, HasSubstr(".mp4, .webm or .avi"));
    photo("clip/4.png", {96, 64});
    const ProgramRun uneven = render({"--video", path("b.avi")});
    EXPECT_EQ(uneven.exitCode, 1);
    EXPECT_THAT(uneven.err, HasSubstr("one size"));
    expectOnly({"clip", "a.avi", "w.avi"});
}

TEST_F(CommandLineTest, RenderWritesAPageThatNeedsNothingElse) {
    const ProgramRun made =
        runProgram({"render", photo("a<b>.png", {60, 80}), photo("c.png", {64, 64}), "-b",
                    std::string(LOFTSCOPE_RESOURCES) + "/models/loftscope_vit16.safetensors", "-u",
                    "bilinear", "--size", "64", "--panes", "image,bilinear,attention@20,30",
                    "--report", path("r.html"), "-q"});
    ASSERT_EQ(made.exitCode, 0) << made.err;
    std::ostringstream page;
    page << std::ifstream(path("r.html")).rdbuf();
    for (const char* text : {"a&lt;b&gt;.png", "c.png", "data:image/png;base64,iVBOR", "Metrics",
                             "Attention of picks", "backbone_sha256"})
        EXPECT_TRUE(page.str().find(text) != std::string::npos) << text;
    for (const char* text : {"http:", "https:", "src=\"/", "a<b>"})
        EXPECT_TRUE(page.str().find(text) == std::string::npos) << text;
}

TEST_F(CommandLineTest, AMapMayHaveASizeOfItsOwn) {
    // FeatUp's is 16 times the grid: 32 x 64 here, of a guidance picture of 37 x 50 pixels.
    const auto command = [&](const std::string& name) {
        return std::vector<std::string>{name,
                                        "-m",
                                        "featup",
                                        "-w",
                                        golden("featup_tiny.weights"),
                                        "-f",
                                        golden("featup_tiny.offsize") + ":input.features",
                                        "-g",
                                        golden("featup_tiny.offsize") + ":input.guidance"};
    };
    ASSERT_EQ(runProgram(with(command("upsample"), {"-o", path("u.npy")})).exitCode, 0);
    const at::Tensor map = tensor(path("u.npy"));
    EXPECT_LE(difference(map, Golden("featup_tiny.offsize")["output"]).max, 1e-5);
    const auto attend =
        runProgram(with(command("attend"), {"-p", "49,36", "-o", path("a.npy"), "--json"}));
    ASSERT_EQ(attend.exitCode, 0) << attend.err;
    EXPECT_EQ(nlohmann::json::parse(attend.out)["pixel"]["output"], (std::vector<int>{63, 31}))
        << "the last pixel of the picture is the last one of the map";
    const auto similarity =
        runProgram(with(command("similarity"), {"-p", "0,0", "-o", path("s.npy")}));
    ASSERT_EQ(similarity.exitCode, 0) << similarity.err;
    EXPECT_NEAR(tensor(path("s.npy"))[0][0].item<double>(), 1.0, 1e-5);
    const auto metrics = runProgram(with(command("metrics"), {"--json"}));
    ASSERT_EQ(metrics.exitCode, 0) << metrics.err;
    EXPECT_GT(nlohmann::json::parse(metrics.out)["mean_norm"].get<double>(), 0.0);
}

TEST_F(CommandLineTest, FeaturesMayLieBesideThePhoto) {
    const std::string picture = photo("photo.png", {56, 84});
    const std::string backbone = golden("backbone.dinov2_hub.weights");
    expectRefusal(runProgram({"upsample", "-m", "bilinear", "-i", picture, "-o", path("u.npy")}), 2,
                  "--features");
    ASSERT_EQ(runProgram({"features", "-b", backbone, "-i", picture, "--size", "56", "-o",
                          path("photo.safetensors")})
                  .exitCode,
              0);
    const auto outcome =
        runProgram({"upsample", "-m", "nearest", "-i", picture, "-o", path("u.npy"), "--json"});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("beside the photo"));
    EXPECT_EQ(tensor(path("u.npy")).sizes(), (std::vector<std::int64_t>{128, 56, 84}));
    EXPECT_LE(difference(tensor(path("u.npy")).slice(1, 7, 8).slice(2, 7, 8),
                         tensor(path("photo.safetensors:features")).slice(1, 0, 1).slice(2, 0, 1))
                  .max,
              1e-6);
}

TEST_F(CommandLineTest, EachBackboneIsFedAsItsReleaseDoesUnlessAskedOtherwise) {
    // A constant grey photo tells the normalisation by the tokens of a network that sees nothing
    // else.
    const std::string picture = photo("photo.png", {96, 96});
    const auto features = [&](std::initializer_list<std::string> more) {
        const auto outcome =
            runProgram(with({"features", "-b", golden("backbone.clip_openai.weights"), "-i",
                             picture, "--size", "96", "-o", path("f.npy")},
                            more));
        EXPECT_EQ(outcome.exitCode, 0) << outcome.err;
        EXPECT_THAT(outcome.err, HasSubstr("QuickGELU"));
        return tensor(path("f.npy"));
    };
    const at::Tensor own = features({});
    EXPECT_LE(difference(features({"--normalisation", "clip"}), own).max, 1e-6);
    EXPECT_GT(difference(features({"--normalisation", "half"}), own).max, 1e-3);
    EXPECT_GT(difference(features({"--clip-tokens", "plain"}), own).max, 1e-3);
}

TEST_F(CommandLineTest, MapsPixelsOfThePhotoToTheOutput) {
    const std::string picture = photo("photo.png", {120, 200});
    const auto outcome =
        runProgram({"attend", "-m", "bilinear", "-b", golden("backbone.dinov2_hub.weights"), "-i",
                    picture, "--input-size", "56", "-p", "199,119", "-o", path("a.npy"), "--json"});
    ASSERT_EQ(outcome.exitCode, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json["pixel"]["output"], nlohmann::json({97, 55})); // 98 x 56 output
    expectRefusal(
        runProgram({"attend", "-m", "bilinear", "-b", golden("backbone.dinov2_hub.weights"), "-i",
                    picture, "-p", "200,5", "-o", path("b.npy")}),
        2, "outside the guidance picture of 200 x 120");
}

TEST_F(CommandLineTest, WrongUsageIsExitCodeTwo) {
    EXPECT_EQ(runProgram({}).exitCode, 2);
    EXPECT_EQ(runProgram({"upsample"}).exitCode, 2);
    EXPECT_EQ(runProgram({"nonsense"}).exitCode, 2);
    EXPECT_EQ(runProgram({"upsample", "-m", "loftup", "--device", "tpu", "-o", "x.npy"}).exitCode,
              2);
    expectRefusal(runProgram({"upsample", "-m", "nearestish", "-f", "x.npy", "-o", path("x.npy")}),
                  2, "choose one of nearest, bilinear");
    expectRefusal(runProgram({"upsample", "-m", "loftup", "-f", "x.npy", "-o", path("x.npy")}), 2,
                  "needs a checkpoint");
    expectRefusal(runProgram({"upsample", "-m", "bilinear", "-o", path("x.npy")}), 2, "--features");
    for (const std::string command :
         {"inspect", "features", "upsample", "attend", "similarity", "pca", "metrics", "render"}) {
        const auto help = runProgram({command, "--help"});
        EXPECT_EQ(help.exitCode, 0);
        EXPECT_THAT(help.out, HasSubstr("--threads"));
    }
}

TEST_F(CommandLineTest, PrecisionsThatAreNotThereAreRefused) {
    expectRefusal(runProgram(with(loftupArguments("upsample", "loftup_tiny.square"),
                                  {"--device", "cpu", "--precision", "fp16", "-o", path("x.npy")})),
                  1, "bf16 or fp32");
    expectRefusal(runProgram(with(loftupArguments("upsample", "loftup_tiny.square"),
                                  {"--device", "cpu", "--precision", "tf32", "-o", path("x.npy")})),
                  1, "tf32 needs a GPU");
    expectRefusal(runProgram({"bench", "--sizes", "28", "--precisions", "fp32,tf32"}), 1,
                  "tf32 needs a GPU");
    expectRefusal(runProgram({"features", "--backbone", "x.pth", "--image", "x.png", "--precision",
                              "bf16", "-o", path("x.npy")}),
                  1, "leave out --precision");
}

TEST_F(CommandLineTest, SaysWhereBf16IsSlowerThanFp32) {
    for (const std::string precision : {"fp32", "bf16"}) {
        const auto run =
            runProgram(with(loftupArguments("upsample", "loftup_tiny.square"),
                            {"--device", "cpu", "--precision", precision, "-o", path("x.npy")}));
        ASSERT_EQ(run.exitCode, 0) << run.err;
        EXPECT_EQ(run.err.find("note: This processor has no bf16 instructions") != run.err.npos,
                  precision == "bf16" && emulatesBf16())
            << precision << ": " << run.err;
    }
}

TEST_F(CommandLineTest, BenchTimesTheStagesOfEverySizeAndMethod) {
    const auto run =
        runProgram({"bench", "-u", "bilinear", "-u", "loftup=" + golden("loftup_tiny.weights"),
                    "--channels", "32", "--sizes", "28,42x28", "--repeat", "1", "--precisions",
                    "fp32,bf16", "--thread-counts", "1,2", "--json"});
    ASSERT_EQ(run.exitCode, 0) << run.err;
    const auto json = nlohmann::json::parse(run.out);
    ASSERT_EQ(json.at("machines").size(), 4U) << "every precision with every number of threads";
    EXPECT_GT(json.at("machines").back().at("product_gmac_s").get<double>(), 0);
    ASSERT_EQ(json.at("cases").size(), 16U);
    const auto& last = json.at("cases").back();
    EXPECT_EQ(last.at("output").at("width"), 42);
    EXPECT_EQ(last.at("tokens").at("width"), 3);
    EXPECT_EQ(last.at("threads"), 2);
    EXPECT_EQ(last.at("precision"), "bf16");
    std::vector<std::string> stages;
    for (const auto& stage : last.at("stages")) {
        stages.push_back(stage.at("stage"));
        EXPECT_GT(stage.at("wall_s").get<double>(), 0);
    }
    EXPECT_THAT(stages, testing::ElementsAre("bind", "first look", "first tile", "tiles", "PCA",
                                             "attention", "low-res similarity", "cancel",
                                             "cancel, worst", "first visible tile"));
    // Of four tiles one: the time is that of four.
    const auto part = runProgram({"bench", "-u", "loftup=" + golden("loftup_tiny.weights"),
                                  "--channels", "32", "--sizes", "32", "--tile", "16", "--repeat",
                                  "1", "--most-tiles", "1", "--json"});
    ASSERT_EQ(part.exitCode, 0) << part.err;
    const auto sampled = nlohmann::json::parse(part.out).at("cases").front().at("stages").at(3);
    EXPECT_EQ(sampled.at("stage"), "tiles");
    EXPECT_EQ(sampled.at("measured_share"), 0.25);
    expectRefusal(runProgram({"bench", "-u", "loftup=" + golden("loftup_tiny.weights"), "--sizes",
                              "28", "--repeat", "1"}),
                  1, "32");
}

TEST_F(CommandLineTest, FilesThatDoNotFitAreNamed) {
    const std::string lr = golden("loftup_s.square") + ":input.lr";
    const std::string guidance = golden("loftup_s.square") + ":input.guidance";
    const std::string tiny = golden("loftup_tiny.weights");
    const auto upsample = [&](const std::string& weights, const std::string& features,
                              const std::string& guide) {
        return runProgram({"upsample", "-m", "loftup", "-w", weights, "-f", features, "-g", guide,
                           "-o", path("x.npy")});
    };
    expectRefusal(upsample(tiny, lr, guidance), 1, "32 channels, but the features have 384");
    expectRefusal(upsample(path("missing.pth"), lr, guidance), 1, "missing.pth");
    expectRefusal(upsample(golden("backbone.dinov2_hub.weights"), lr, guidance), 1, "LoftUp");
    expectRefusal(upsample(tiny, golden("loftup_s.square") + ":no.such.key", guidance), 1,
                  "no.such.key");
    expectRefusal(upsample(tiny, golden("loftup_tiny.square") + ":output.at", guidance), 1,
                  "C x h x w");

    std::ofstream(path("text.safetensors")) << "hello";
    expectRefusal(upsample(path("text.safetensors"), lr, guidance), 1, "text.safetensors");
    fs::copy_file(tiny, path("cut.safetensors"));
    fs::resize_file(path("cut.safetensors"), 5000);
    expectRefusal(upsample(path("cut.safetensors"), lr, guidance), 1, "cut.safetensors");
    std::ofstream(path("photo.jpg")) << "not a picture";
    expectRefusal(upsample(tiny, golden("loftup_tiny.square") + ":input.lr", path("photo.jpg")), 1,
                  "photo.jpg");

    at::Tensor broken = at::rand({32, 2, 2});
    broken[3][1][1] = std::numeric_limits<float>::quiet_NaN();
    ASSERT_TRUE(writeSafetensors(path("nan.safetensors"), {{"f", broken}}).has_value());
    expectRefusal(upsample(tiny, path("nan.safetensors") + ":f",
                           golden("loftup_tiny.square") + ":input.guidance"),
                  1, "NaN");
    EXPECT_FALSE(fs::exists(path("x.npy")));
    EXPECT_FALSE(fs::exists(path("x.npy.part")));
}

TEST_F(CommandLineTest, OutputsThatCannotBeWrittenLeaveNothingBehind) {
    expectRefusal(runProgram(with(loftupArguments("upsample", "loftup_tiny.square"),
                                  {"-o", path("no/such/folder/x.npy")})),
                  1, "no/such/folder");
    expectRefusal(
        runProgram(with(loftupArguments("upsample", "loftup_tiny.square"), {"-o", path("x.bin")})),
        2, ".npy or .safetensors");
    expectRefusal(runProgram(with(loftupArguments("upsample", "loftup_tiny.square"),
                                  {"--rect", "20,20,10,10", "-o", path("x.npy")})),
                  2, "not inside");
    // 32768 x 32768 x 4096 channels of fp32 are 17.6 TB: more than any disk has free.
    ASSERT_TRUE(
        writeSafetensors(path("wide.safetensors"), {{"f", at::zeros({4096, 1, 1})}}).has_value());
    expectRefusal(runProgram({"upsample", "-m", "nearest", "-f", path("wide.safetensors"), "--size",
                              "32768x32768", "-o", path("x.npy")}),
                  1, "x.npy");
    expectOnly({"wide.safetensors"});
}

TEST_F(CommandLineTest, CtrlCStopsSoonAndLeavesNothingBehind) {
    ASSERT_TRUE(
        writeSafetensors(path("g.safetensors"), {{"g", at::rand({3, 1600, 1600})}}).has_value());
    const auto outcome =
        runProgram({"upsample", "-m", "loftup", "-w", golden("loftup_tiny.weights"), "-f",
                    golden("loftup_tiny.square") + ":input.lr", "-g", path("g.safetensors") + ":g",
                    "-o", path("x.npy")},
                   [&](pid_t child) {
                       // Interrupt it once it is writing.
                       for (int i = 0; i < 2000 && !fs::exists(path("x.npy.part")); ++i)
                           std::this_thread::sleep_for(std::chrono::milliseconds(10));
                       kill(child, SIGINT);
                   });
    expectRefusal(outcome, 1, "Cancelled");
    expectOnly({"g.safetensors"});
}

} // namespace
} // namespace loftscope
