// SPDX-License-Identifier: Apache-2.0
// TorchScript programs as backbones: maps and tokens, what is in front of the patches, and programs
// that are none.
#include "core/backbone/torchscript.h"
#include "core/pipeline/models.h"
#include "tests/support/golden.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/rand.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>

namespace loftscope {
namespace {

using test::difference;
using test::TempFolder;
using ::testing::HasSubstr;

/// A module whose forward is `body`, with `x` as the picture.
std::filesystem::path saved(const TempFolder& folder, const std::string& body) {
    torch::jit::Module module("Toy");
    module.define("def forward(self, x):\n" + body);
    const std::filesystem::path path = folder / "toy.pt";
    module.save(path.string());
    return path;
}

TEST(TorchScript, AMapIsTakenAsItIs) {
    const TempFolder folder;
    const auto path = saved(folder, "    return torch.avg_pool2d(x, [14, 14], [14, 14])\n");
    const auto backbone = makeTorchScriptBackbone(path);
    ASSERT_TRUE(backbone.has_value()) << backbone.error().message;
    EXPECT_EQ((*backbone)->patch(), 14);
    EXPECT_EQ((*backbone)->channels(), 3);
    EXPECT_EQ((*backbone)->name(), "toy");
    const at::Tensor picture = at::rand({1, 3, 28, 70});
    const auto output = (*backbone)->run(picture, {}, {});
    ASSERT_TRUE(output.has_value()) << output.error().message;
    EXPECT_LE(difference(output->tokens.values, at::avg_pool2d(picture, 14)[0]).max, 1e-6);
}

TEST(TorchScript, TokensBeforeThePatchesAreLeftOut) {
    const TempFolder folder;
    // CLS and four registers, then patches row by row; the first output of a tuple counts.
    const auto path = saved(
        folder, "    rows = torch.avg_pool2d(x, [16, 16], [16, 16]).flatten(2).transpose(1, 2)\n"
                "    extra = torch.ones([1, 5, 3])\n"
                "    return (torch.cat([extra, rows], 1), extra)\n");
    const auto backbone = makeTorchScriptBackbone(path);
    ASSERT_TRUE(backbone.has_value()) << backbone.error().message;
    EXPECT_EQ((*backbone)->patch(), 16);
    const at::Tensor picture = at::rand({1, 3, 32, 80});
    const auto output = (*backbone)->run(picture, {}, {});
    ASSERT_TRUE(output.has_value()) << output.error().message;
    EXPECT_LE(difference(output->tokens.values, at::avg_pool2d(picture, 16)[0]).max, 1e-6);
    EXPECT_EQ((*backbone)->run(at::rand({1, 3, 30, 80}), {}, {}).error().code,
              ErrorCode::InvalidArgument);
    BackboneTaps taps;
    taps.layers = {0};
    EXPECT_EQ((*backbone)->run(picture, taps, {}).error().code, ErrorCode::Unsupported);
}

TEST(TorchScript, ProgramsOfAnotherKindAreRefused) {
    const TempFolder folder;
    const auto number = makeTorchScriptBackbone(saved(folder, "    return x.sum()\n"));
    ASSERT_FALSE(number.has_value());
    EXPECT_EQ(number.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(number.error().message, HasSubstr("1 x N x C"));
    const auto text = makeTorchScriptBackbone(saved(folder, "    return 'no'\n"));
    EXPECT_FALSE(text.has_value());
    EXPECT_FALSE(makeTorchScriptBackbone(folder / "absent.pt").has_value());
}

TEST(TorchScript, FixedSizesAreSaidSo) {
    const TempFolder folder;
    const auto path = saved(
        folder, "    rows = torch.avg_pool2d(x, [16, 16], [16, 16]).flatten(2).transpose(1, 2)\n"
                "    return rows[:, :196]\n");
    const auto backbone = makeTorchScriptBackbone(path);
    ASSERT_TRUE(backbone.has_value()) << backbone.error().message;
    EXPECT_TRUE((*backbone)->run(at::rand({1, 3, 224, 224}), {}, {}).has_value());
    const auto larger = (*backbone)->run(at::rand({1, 3, 256, 256}), {}, {});
    ASSERT_FALSE(larger.has_value());
    EXPECT_EQ(larger.error().code, ErrorCode::Mismatch);
    EXPECT_THAT(larger.error().message, HasSubstr("1 x 196 x 3"));
}

TEST(TorchScript, IsRunOnlyWhereTheUserSaysSo) {
    const TempFolder folder;
    const auto path = saved(folder, "    return torch.avg_pool2d(x, [14, 14], [14, 14])\n");
    const auto refused = loadBackbone(path, c10::kCPU);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("--run-torchscript"));
    BackboneChoices choices;
    choices.runTorchScript = true;
    const auto loaded = loadBackbone(path, c10::kCPU, choices);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(loaded->identity.family, "torchscript");
    EXPECT_EQ(loaded->provenance.sha256.size(), 64U);
}

} // namespace
} // namespace loftscope
