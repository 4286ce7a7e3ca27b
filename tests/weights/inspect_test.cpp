// SPDX-License-Identifier: Apache-2.0
// `loftscope inspect`, as a user runs it.
#include "core/base/sha256.h"
#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"
#include "tests/support/run_program.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace loftscope {
namespace {

using nlohmann::json;
using test::runProgram;
using test::TempFolder;
using test::testData;
using ::testing::HasSubstr;
using ::testing::Not;

std::string golden(const std::string& name) {
    return testData("golden/" + name).string();
}

json inspected(const std::string& file) {
    const test::ProgramRun run = runProgram({"inspect", "--json", file});
    EXPECT_EQ(run.exitCode, 0) << run.err;
    return json::parse(run.out).at("files").at(0);
}

TEST(Inspect, ABackboneInNumbers) {
    const std::string path = golden("backbone.dinov2_reg4_hf.weights.safetensors");
    const json file = inspected(path);
    EXPECT_EQ(file.at("file"), path);
    EXPECT_EQ(file.at("format"), "safetensors");
    EXPECT_EQ(file.at("sha256"), sha256OfFile(path).value());
    EXPECT_EQ(file.at("bytes"), std::filesystem::file_size(path));
    EXPECT_EQ(file.at("family"), "vit");
    EXPECT_EQ(file.at("model"), "DINOv2 ViT-64x2/14 with 4 registers");
    EXPECT_EQ(file.at("complete"), true);
    EXPECT_EQ(file.at("metadata").at("arch"), "dinov2_reg4_hf");
    EXPECT_EQ(file.at("dtypes"), (json{{"fp16", file.at("tensor_count")}}));
    const json& architecture = file.at("architecture");
    EXPECT_EQ(architecture.at("layout"), "Hugging Face");
    EXPECT_EQ(architecture.at("patch"), 14);
    EXPECT_EQ(architecture.at("width"), 64);
    EXPECT_EQ(architecture.at("depth"), 2);
    EXPECT_EQ(architecture.at("heads"), 1);
    EXPECT_EQ(architecture.at("registers"), 4);
    EXPECT_EQ(architecture.at("layer_scale"), true);
    EXPECT_EQ(architecture.at("mlp"), "GELU");
    EXPECT_EQ(architecture.at("position_grid"), json({6, 6}));
}

TEST(Inspect, ParametersOfThePublishedLoftUp) {
    const json file = inspected(golden("loftup_s.weights.safetensors"));
    EXPECT_EQ(file.at("family"), "loftup");
    // The published model for 384 channels has 4,303,894 parameters; BatchNorm's statistics and
    // counters are in the file too and are none.
    EXPECT_EQ(file.at("parameters"), 4303894);
    const test::ProgramRun text = runProgram({"inspect", golden("loftup_s.weights.safetensors")});
    EXPECT_THAT(text.out, HasSubstr("4,303,894"));
    EXPECT_THAT(text.out, HasSubstr("LoftUp for 384 channels"));
}

TEST(Inspect, MissingAndSurplusKeysByName) {
    const TempFolder folder;
    StateDict state = readTensorFile(golden("backbone.dinov2_hub.weights.safetensors"))->tensors;
    std::map<std::string, at::Tensor> changed(state.begin(), state.end());
    changed.erase("blocks.1.attn.proj.bias");
    changed["norm.weight"] = at::ones({5});
    for (int i = 0; i < 15; ++i)
        changed["head." + std::to_string(i)] = at::ones({1});
    const std::string path = (folder / "changed.safetensors").string();
    ASSERT_TRUE(writeSafetensors(path, changed));

    const json file = inspected(path);
    EXPECT_EQ(file.at("complete"), false);
    EXPECT_EQ(file.at("missing"), json({"blocks.1.attn.proj.bias"}));
    EXPECT_EQ(file.at("misshapen"), json({"norm.weight: has 5, needs 128"}));
    EXPECT_EQ(file.at("surplus").size(), 15U);

    const test::ProgramRun text = runProgram({"inspect", path});
    EXPECT_EQ(text.exitCode, 0);
    EXPECT_THAT(text.out, HasSubstr("blocks.1.attn.proj.bias"));
    EXPECT_THAT(text.out, HasSubstr("and 5 more"));
    EXPECT_THAT(text.out, Not(HasSubstr("blocks.0.attn.proj.bias")));
    const test::ProgramRun keys = runProgram({"inspect", "--keys", path});
    EXPECT_THAT(keys.out, HasSubstr("blocks.0.attn.proj.bias"));
}

TEST(Inspect, DataAreDescribedByTheirValues) {
    const TempFolder folder;
    const std::string path = (folder / "features.npy").string();
    Result<TensorSink> sink = TensorSink::create(path, {1, 2, 3});
    ASSERT_TRUE(sink) << sink.error().message;
    at::Tensor values = at::full({1, 2, 3}, 2.0F);
    values[0][0][0] = std::numeric_limits<float>::quiet_NaN();
    values[0][0][1] = std::numeric_limits<float>::infinity();
    values[0][1][2] = -4.0F;
    sink->writeAll(values);
    ASSERT_TRUE(sink->finish());

    const json file = inspected(path);
    EXPECT_EQ(file.at("format"), ".npy");
    EXPECT_TRUE(file.at("model").is_null());
    const json& tensor = file.at("tensors").at("");
    EXPECT_EQ(tensor.at("shape"), json({1, 2, 3}));
    EXPECT_EQ(tensor.at("dtype"), "fp32");
    EXPECT_EQ(tensor.at("min"), -4.0);
    EXPECT_EQ(tensor.at("max"), 2.0);
    EXPECT_EQ(tensor.at("mean"), 0.5);
    EXPECT_EQ(tensor.at("nan"), 1);
    EXPECT_EQ(tensor.at("infinite"), 1);
}

TEST(Inspect, WarningsAreShown) {
    const json evil = inspected(golden("weights/evil.pth"));
    EXPECT_THAT(evil.at("warnings").at(0).get<std::string>(), HasSubstr("posix.system"));
    const json script = inspected(golden("weights/script.pt"));
    EXPECT_EQ(script.at("format"), "TorchScript archive");
}

TEST(Inspect, OneBadFileDoesNotHideTheOthers) {
    const std::string good = golden("weights/ordered_dict.pth");
    const std::string bad = golden("weights/oob_numel.pth");
    const test::ProgramRun run =
        runProgram({"inspect", "--json", bad, "/nowhere/absent.pth", good});
    EXPECT_EQ(run.exitCode, 1);
    const json files = json::parse(run.out).at("files");
    ASSERT_EQ(files.size(), 3U);
    EXPECT_THAT(files.at(0).at("error").get<std::string>(), HasSubstr("elements need"));
    EXPECT_THAT(files.at(1).at("error").get<std::string>(), HasSubstr("no such file"));
    EXPECT_EQ(files.at(2).at("tensor_count"), 2);
    EXPECT_THAT(run.err, HasSubstr("oob_numel.pth"));
    EXPECT_THAT(run.err, HasSubstr("absent.pth"));
}

TEST(Inspect, Usage) {
    EXPECT_EQ(runProgram({"inspect"}).exitCode, 2);
    const test::ProgramRun help = runProgram({"inspect", "--help"});
    EXPECT_EQ(help.exitCode, 0);
    EXPECT_THAT(help.out, HasSubstr("--keys"));
}

} // namespace
} // namespace loftscope
