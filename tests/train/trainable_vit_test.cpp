// SPDX-License-Identifier: Apache-2.0
// The trainable ViT against the one that the program runs, through a file.
#include "core/backbone/conv_stem.h"
#include "core/pipeline/models.h"
#include "core/train/trainable_vit.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"
#include "tests/support/tensors.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <unistd.h>

namespace loftscope {
namespace {

using test::gaussian;

namespace fs = std::filesystem;

/// A small model whose every parameter has moved away from its initial value.
TrainableVit livedInModel(const VitSize& size, std::int64_t registers = 0) {
    VitSpec spec = *size.spec();
    spec.registers = registers;
    if (registers > 0) spec.positionRule = PositionRule::SizeAntialias;
    StateDict state =
        TrainableVit::create(size, spec, CounterRandom(1, RandomPurpose::Initialisation, 0))
            .state();
    std::uint64_t seed = 100;
    for (auto& [key, tensor] : state)
        tensor = tensor + gaussian(tensor.sizes(), seed++) * 0.05;
    auto model = TrainableVit::fromState(state, spec);
    EXPECT_TRUE(model) << model.error().message;
    return std::move(*model);
}

class TrainableVits : public testing::Test {
protected:
    void SetUp() override {
        path_ = fs::path(testing::TempDir()) /
                ("trainable_vit_" + std::to_string(getpid()) + ".safetensors");
    }
    void TearDown() override { fs::remove(path_); }

    /// Largest difference of the program's tokens of `state` and the trainable model's.
    double differenceThroughAFile(const TrainableVit& model, const StateDict& state,
                                  const Extent& extent) {
        EXPECT_TRUE(writeSafetensors(path_, {state.begin(), state.end()}));
        const auto loaded = loadBackbone(path_, at::kCPU);
        if (!loaded) {
            ADD_FAILURE() << loaded.error().message;
            return 1e9;
        }
        EXPECT_TRUE(loaded->warnings.empty());
        const at::Tensor picture = gaussian({1, 3, extent.height, extent.width}, 9);
        const auto output = loaded->model->run(picture, {}, {});
        EXPECT_TRUE(output);
        const at::Tensor wanted = output->tokens.values; // C x h x w
        const at::Tensor found = model.forward(picture)[0].detach().t().reshape(wanted.sizes());
        return (wanted - found).abs().max().item<double>();
    }
    fs::path path_;
};

constexpr VitSize small{.patch = 8, .width = 128, .depth = 3, .grid = 5, .mlp = 2};

TEST_F(TrainableVits, InferenceEqualsTrainingOnEveryGrid) {
    const TrainableVit model = livedInModel(small);
    StateDict exact = model.state();
    exact["mask_token"] = at::zeros({1, 128});
    // The table's own grid, another one, an oblong one, one with as many tokens in another shape.
    for (const Extent& extent : {Extent{40, 40}, Extent{64, 64}, Extent{32, 72}, Extent{8, 200}}) {
        EXPECT_LT(differenceThroughAFile(model, exact, extent), 1e-4);
        EXPECT_LT(differenceThroughAFile(model, model.exported(), extent), 1e-2);
        // What fp16 rounds, measured against a model of the rounded weights, is nothing.
        StateDict rounded = model.exported();
        rounded.erase("mask_token");
        EXPECT_LT(differenceThroughAFile(*TrainableVit::fromState(rounded, model.spec()),
                                         model.exported(), extent),
                  1e-4);
    }
}

const VitSize stemmed{
    .patch = 16, .width = 64, .depth = 2, .grid = 3, .stem = {{8}, {12, 2}, {16, 1}}};

TEST_F(TrainableVits, InferenceEqualsTrainingWithAStemOfConvolutions) {
    const TrainableVit model = livedInModel(stemmed);
    StateDict exact = model.state();
    exact["mask_token"] = at::zeros({1, 64});
    for (const Extent& extent : {Extent{48, 48}, Extent{32, 80}, Extent{16, 16}})
        EXPECT_LT(differenceThroughAFile(model, exact, extent), 1e-4);
    const at::Tensor pictures = gaussian({2, 3, 32, 48}, 3);
    model.forward(pictures).square().sum().backward();
    for (const auto& [key, parameter] : model.parameters()) {
        ASSERT_TRUE(parameter.grad().defined()) << key;
        EXPECT_GT(parameter.grad().abs().max().item<double>(), 0) << key;
    }
    const at::Tensor tokens = model.forward(pictures);
    const at::Tensor rough = model.forward(pictures, at::kBFloat16);
    EXPECT_LT((rough - tokens).norm().item<double>() / tokens.norm().item<double>(), 0.03);
    EXPECT_GT((rough - tokens).abs().max().item<double>(), 0);
}

TEST_F(TrainableVits, AStemIsRecognisedWithItsNumbers) {
    const VitSpec spec = *stemmed.spec();
    const TrainableVit model =
        TrainableVit::create(stemmed, spec, CounterRandom(2, RandomPurpose::Initialisation, 0));
    StateDict state = model.exported();
    const auto found = recogniseVit(state);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->stem, stemmed.stem);
    EXPECT_EQ(found->patch, 16);
    EXPECT_EQ(found->name, "ViT-64x2/16 with a convolutional stem");
    EXPECT_TRUE(accountOf(state, *found).missing.empty());
    EXPECT_TRUE(accountOf(state, *found).surplus.empty());
    // A stage that has lost a part is missed, not skipped.
    state.erase("stem.1.norm.bias");
    EXPECT_EQ(accountOf(state, *recogniseVit(state)).missing,
              (std::vector<std::string>{"stem.1.norm.bias"}));
    for (int stage = 3; stage < 80; ++stage)
        state["stem." + std::to_string(stage) + ".down.weight"] = at::zeros({16, 16, 4, 4});
    const auto endless = recogniseVit(state);
    ASSERT_TRUE(endless);
    EXPECT_FALSE(accountOf(state, *endless).missing.empty());
}

TEST(ConvStem, CellsLieCentredOnTheirPixels) {
    // Kernels that are their own mirror images see a mirrored picture mirrored, unless the cells
    // lie to one side, as those of odd kernels with stride 2 do on even sizes.
    const std::vector<StemStage> stages{{6, 1}, {8, 1}};
    StateDict parameters;
    std::uint64_t seed = 1;
    for (const auto& [key, shape] : stemShapes(stages)) {
        const at::Tensor values = gaussian(shape, seed++);
        parameters[key] = shape.size() == 4 ? values + values.flip({3}) : values;
    }
    const auto parameter = [&](const std::string& key) { return parameters.at(key); };
    const at::Tensor picture = gaussian({1, 3, 16, 24}, 50);
    const at::Tensor seen = convStem(stages, parameter, picture, at::kFloat);
    ASSERT_EQ(seen.sizes(), at::IntArrayRef({1, 8, 4, 6}));
    const at::Tensor mirrored = convStem(stages, parameter, picture.flip({3}), at::kFloat);
    EXPECT_LT((mirrored.flip({3}) - seen).abs().max().item<double>(), 1e-4);
    EXPECT_GT((mirrored - seen).abs().max().item<double>(), 0.1);
}

TEST(ConvStem, IsReadFromText) {
    const std::vector<StemStage> stages{{24, 0}, {48, 1}, {96, 2}};
    EXPECT_EQ(textOf(stages), "24,48x1,96x2");
    EXPECT_EQ(stemFrom("24,48x1,96x2").value(), stages);
    EXPECT_TRUE(stemFrom("")->empty());
    for (const char* text : {"24,,48", "x2", "24x", "24x0", "24,-3", "a", "24 ,48"})
        EXPECT_EQ(stemFrom(text).error().code, ErrorCode::InvalidArgument) << text;
    EXPECT_TRUE((VitSize{.patch = 14, .stem = {{24}}}.spec()));
    EXPECT_FALSE((VitSize{.patch = 14, .stem = {{24}, {48}}}.spec()));
    EXPECT_FALSE((VitSize{.patch = 16, .stem = std::vector<StemStage>(70, {24})}.spec()));
    EXPECT_FALSE((VitSize{.patch = 16, .stem = {{24}, {24}, {24}, {24}, {24}}}.spec()));
}

TEST_F(TrainableVits, AFreshModelIsRecognisedWithItsNumbers) {
    for (const VitSize& size :
         {small, VitSize{.patch = 14, .width = 64, .depth = 1, .grid = 4, .layerScale = 0}}) {
        const VitSpec spec = *size.spec();
        const TrainableVit model =
            TrainableVit::create(size, spec, CounterRandom(2, RandomPurpose::Initialisation, 0));
        const auto found = recogniseVit(model.exported());
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(found->layout, VitLayout::Hub);
        EXPECT_EQ(found->patch, spec.patch);
        EXPECT_EQ(found->width, spec.width);
        EXPECT_EQ(found->depth, spec.depth);
        EXPECT_EQ(found->heads, spec.heads);
        EXPECT_EQ(found->hidden, spec.hidden);
        EXPECT_EQ(found->layerScale, spec.layerScale);
        EXPECT_EQ(found->positionGrid, spec.positionGrid);
        EXPECT_EQ(found->positionRule, spec.positionRule);
        EXPECT_LT(differenceThroughAFile(model, model.exported(), {56, 56}), 2e-3);
    }
    EXPECT_FALSE(VitSize{.width = 100}.spec());
}

TEST_F(TrainableVits, RegistersCanBeContinued) {
    const TrainableVit model = livedInModel(small, 2);
    EXPECT_LT(differenceThroughAFile(model, model.state(), {48, 64}), 1e-4);
}

TEST_F(TrainableVits, TheDefaultBackboneCanBeContinued) {
    const fs::path path = fs::path(LOFTSCOPE_RESOURCES) / "models/loftscope_vit16.safetensors";
    const auto file = readTensorFile(path);
    ASSERT_TRUE(file);
    const auto spec = recogniseVit(file->tensors);
    const auto model = TrainableVit::fromState(canonicalVitState(file->tensors, *spec), *spec);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_LT(differenceThroughAFile(*model, model->exported(), {96, 128}), 1e-3);
}

TEST_F(TrainableVits, GradientsReachEveryParameterAndBf16IsClose) {
    const TrainableVit model = livedInModel(small, 1);
    const at::Tensor pictures = gaussian({2, 3, 32, 48}, 3);
    const at::Tensor tokens = model.forward(pictures);
    ASSERT_EQ(tokens.sizes(), at::IntArrayRef({2, 24, 128}));
    tokens.square().sum().backward();
    for (const auto& [key, parameter] : model.parameters()) {
        ASSERT_TRUE(parameter.grad().defined()) << key;
        EXPECT_GT(parameter.grad().abs().max().item<double>(), 0) << key;
    }
    const at::Tensor rough = model.forward(pictures, at::kBFloat16);
    EXPECT_EQ(rough.scalar_type(), at::kFloat);
    EXPECT_LT((rough - tokens).abs().mean().item<double>(), 0.03);
    EXPECT_GT((rough - tokens).abs().max().item<double>(), 0);
}

TEST_F(TrainableVits, RefusesWhatItCannotTrain) {
    const TrainableVit model = livedInModel(small);
    StateDict torn = model.state();
    torn.erase("blocks.1.mlp.fc2.weight");
    const auto refused = TrainableVit::fromState(torn, model.spec());
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("blocks.1.mlp.fc2.weight"), std::string::npos);
    VitSpec gated = model.spec();
    gated.swiglu = true;
    EXPECT_EQ(TrainableVit::fromState(model.state(), gated).error().code, ErrorCode::Unsupported);
}

} // namespace
} // namespace loftscope
