// SPDX-License-Identifier: Apache-2.0
// Teachers: convolutional graphs against plain loops, where their cells look, backbones, and how
// they are asked for.
#include "core/train/teacher.h"
#include "core/train/teacher_graph.h"
#include "tests/support/tensors.h"
#include "tests/train/toy_training.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace loftscope {
namespace {

using Json = nlohmann::json;

at::Tensor gaussianOfHalf(at::IntArrayRef shape, std::uint64_t seed) {
    return test::gaussian(shape, seed) * 0.5;
}

Json convolution(const char* op, int in, int out, int stride) {
    return {{"op", op},
            {"inp", {in}},
            {"out", out},
            {"clamp", nullptr},
            {"stride", {stride, stride}},
            {"dilation", {1, 1}},
            {"pad", "SAME"}};
}

/// A graph file as in memory: operations, and weights for the convolutions.
struct GraphFile {
    TensorFile file;
    Json operations = Json::array();

    GraphFile() { file.metadata["input"] = "0"; }
    void add(Json operation, at::Tensor weight = {}, at::Tensor bias = {}) {
        const std::string name = "op" + std::to_string(operations.size());
        if (weight.defined()) {
            file.tensors[name + ".weight"] = weight;
            file.tensors[name + ".bias"] = bias.defined() ? bias : at::zeros({weight.size(0)});
        }
        operations.push_back(std::move(operation));
        file.metadata["ops"] = operations.dump();
    }
    Result<std::unique_ptr<Teacher>> open(TeacherSpec spec) const {
        return teacherFromGraph(file, spec, at::kCPU, at::kFloat);
    }
};

/// Convolution with TensorFlow's SAME padding, written down as its definition says.
at::Tensor sameConvolution(const at::Tensor& input, const at::Tensor& weight,
                           const at::Tensor& bias, std::int64_t stride, bool depthwise) {
    const std::int64_t height = (input.size(1) + stride - 1) / stride;
    const std::int64_t width = (input.size(2) + stride - 1) / stride;
    const std::int64_t k = weight.size(2);
    const auto before = [&](std::int64_t cells, std::int64_t length) {
        return std::max<std::int64_t>(0, (cells - 1) * stride + k - length) / 2;
    };
    const std::int64_t top = before(height, input.size(1));
    const std::int64_t left = before(width, input.size(2));
    at::Tensor output = at::zeros({weight.size(0), height, width}, at::kDouble);
    auto out = output.accessor<double, 3>();
    const auto in = input.accessor<double, 3>();
    const at::Tensor exact = weight.to(at::kDouble);
    const auto w = exact.accessor<double, 4>();
    for (std::int64_t o = 0; o < output.size(0); ++o)
        for (std::int64_t y = 0; y < height; ++y)
            for (std::int64_t x = 0; x < width; ++x) {
                double sum = bias[o].item<double>();
                for (std::int64_t i = 0; i < weight.size(1); ++i)
                    for (std::int64_t v = 0; v < k; ++v)
                        for (std::int64_t u = 0; u < k; ++u) {
                            const std::int64_t row = y * stride + v - top;
                            const std::int64_t column = x * stride + u - left;
                            if (row < 0 || column < 0 || row >= input.size(1) ||
                                column >= input.size(2))
                                continue;
                            sum += w[o][i][v][u] * in[depthwise ? o : i][row][column];
                        }
                out[o][y][x] = sum;
            }
    return output;
}

TEST(TeacherGraph, ComputesWhatItsOperationsSay) {
    GraphFile graph;
    const at::Tensor w0 = gaussianOfHalf({4, 3, 3, 3}, 1);
    const at::Tensor b0 = gaussianOfHalf({4}, 2);
    const at::Tensor w1 = gaussianOfHalf({4, 1, 3, 3}, 3);
    const at::Tensor w2 = gaussianOfHalf({4, 4, 1, 1}, 4);
    const at::Tensor w4 = gaussianOfHalf({5, 4, 3, 3}, 5);
    const at::Tensor w6 = gaussianOfHalf({2, 5, 1, 1}, 6);
    Json first = convolution("CONV_2D", 0, 10, 2);
    first["clamp"] = {0.0, 0.4};
    graph.add(first, w0, b0);
    graph.add(convolution("DEPTHWISE_CONV_2D", 10, 11, 1), w1, b0);
    graph.add(convolution("CONV_2D", 11, 12, 1), w2);
    graph.add({{"op", "ADD"}, {"inp", {12, 10}}, {"out", 13}, {"clamp", {-0.7, 0.6}}});
    graph.add(convolution("CONV_2D", 13, 14, 2), w4);
    graph.add({{"op", "AVERAGE_POOL_2D"}, {"inp", {14}}, {"out", 15}, {"clamp", nullptr}});
    graph.add(convolution("CONV_2D", 15, 16, 1), w6);
    graph.add({{"op", "RESIZE_BILINEAR"}, {"inp", {16}}, {"out", 17}, {"clamp", nullptr}});
    graph.add({{"op", "CONCATENATION"}, {"inp", {17, 14}}, {"out", 18}, {"clamp", {-0.5, 0.5}}});

    const auto teacher = graph.open({.path = "toy", .tap = 8});
    ASSERT_TRUE(teacher) << teacher.error().message;
    EXPECT_EQ((*teacher)->channels(), 7);
    const at::Tensor picture = gaussianOfHalf({1, 3, 12, 20}, 7).clamp(0, 1);
    const TeacherMap map = (*teacher)->map(picture, {12, 20});
    ASSERT_EQ(map.values.sizes(), at::IntArrayRef({1, 7, 3, 5}));

    const at::Tensor zeros = at::zeros({5});
    const at::Tensor seen = picture[0].to(at::kDouble) * 2 - 1;
    const at::Tensor a = sameConvolution(seen, w0, b0, 2, false).clamp(0, 0.4);
    const at::Tensor b = sameConvolution(a, w1, b0, 1, true);
    const at::Tensor c = (sameConvolution(b, w2, zeros, 1, false) + a).clamp(-0.7, 0.6);
    const at::Tensor d = sameConvolution(c, w4, zeros, 2, false);
    const at::Tensor pooled = sameConvolution(d.mean({1, 2}, true), w6, zeros, 1, false)
                                  .expand({2, 3, 5})
                                  .clamp(-0.5, 0.5);
    EXPECT_LT((map.values[0].slice(0, 0, 2) - pooled).abs().max().item<double>(), 1e-5);
    EXPECT_LT((map.values[0].slice(0, 2) - d.clamp(-0.5, 0.5)).abs().max().item<double>(), 1e-5);

    // An operation in the middle, and a batch.
    const auto inner = graph.open({.path = "toy", .tap = 3});
    ASSERT_TRUE(inner);
    const TeacherMap two = (*inner)->map(picture.expand({2, 3, 12, 20}), {12, 20});
    EXPECT_LT((two.values[1] - c).abs().max().item<double>(), 1e-5);
}

/// Four averaging convolutions that halve the map: every cell says the mean position of what it
/// looks at.
GraphFile averagingGraph() {
    GraphFile graph;
    at::Tensor mean = at::zeros({3, 3, 3, 3});
    for (std::int64_t i = 0; i < 3; ++i)
        mean[i][i] = at::full({3, 3}, 1.0 / 9);
    for (int i = 0; i < 4; ++i)
        graph.add(convolution("CONV_2D", i, i + 1, 2), mean);
    graph.add(convolution("DEPTHWISE_CONV_2D", 4, 5, 1), at::full({3, 1, 3, 3}, 1.0 / 9));
    return graph;
}

TEST(TeacherGraph, KnowsWhatItsCellsLookAt) {
    const GraphFile graph = averagingGraph();
    for (const TeacherSpec& spec :
         {TeacherSpec{.path = "toy", .tap = 3}, TeacherSpec{.path = "toy", .tap = 4},
          TeacherSpec{.path = "toy", .tap = 4, .reversedPads = true},
          TeacherSpec{.path = "toy", .tap = 4, .stride = 8},
          TeacherSpec{.path = "toy", .size = 2, .tap = 3}}) {
        const auto teacher = graph.open(spec);
        ASSERT_TRUE(teacher) << teacher.error().message;
        // Positions in shares of the sides, as colours.
        const std::int64_t height = 160;
        const std::int64_t width = 192;
        const at::Tensor x = ((at::arange(width) + 0.5) / width).expand({height, width});
        const at::Tensor y =
            ((at::arange(height) + 0.5) / height).unsqueeze(1).expand({height, width});
        const at::Tensor picture = at::stack({x, y, x * 0}).unsqueeze(0);
        const TeacherMap map = (*teacher)->map(picture, {height, width});
        const auto expectPosition = [&](std::int64_t row, std::int64_t column) {
            const at::Tensor said = (map.values[0].select(1, row).select(1, column) + 1) / 2;
            EXPECT_NEAR(said[0].item<double>(),
                        map.cells.x + static_cast<double>(column) * map.cells.stepX, 1e-3)
                << spec.label();
            EXPECT_NEAR(said[1].item<double>(),
                        map.cells.y + static_cast<double>(row) * map.cells.stepY, 1e-3)
                << spec.label();
        };
        // Away from the border, where zeros are averaged in.
        for (const std::int64_t row : {3, 5})
            for (const std::int64_t column : {3, 6})
                expectPosition(row, column);
    }
    // With the published padding, the cells look half a cell to the lower right.
    const TeacherMap same =
        (*graph.open({.path = "toy", .tap = 3}))->map(at::zeros({1, 3, 160, 160}), {160, 160});
    EXPECT_NEAR(same.cells.x * 160, 15.5, 1e-9);
    const TeacherMap reversed = (*graph.open({.path = "toy", .tap = 3, .reversedPads = true}))
                                    ->map(at::zeros({1, 3, 160, 160}), {160, 160});
    EXPECT_NEAR(reversed.cells.x * 160, 7.5, 1e-9);
}

TEST(TeacherGraph, AStrideBecomesADilationThatComputesTheCellsBetween) {
    GraphFile graph;
    graph.add(convolution("CONV_2D", 0, 1, 2), gaussianOfHalf({4, 3, 3, 3}, 1));
    graph.add(convolution("DEPTHWISE_CONV_2D", 1, 2, 2), gaussianOfHalf({4, 1, 3, 3}, 2));
    graph.add(convolution("DEPTHWISE_CONV_2D", 2, 3, 1), gaussianOfHalf({4, 1, 3, 3}, 3));
    const at::Tensor picture = gaussianOfHalf({1, 3, 48, 48}, 4).clamp(0, 1);
    const at::Tensor coarse =
        (*graph.open({.path = "toy", .tap = 2}))->map(picture, {48, 48}).values;
    const at::Tensor fine =
        (*graph.open({.path = "toy", .tap = 2, .stride = 2}))->map(picture, {48, 48}).values;
    ASSERT_EQ(coarse.size(2), 12);
    ASSERT_EQ(fine.size(2), 24);
    const at::Tensor every = fine.slice(2, 1, 24, 2).slice(3, 1, 24, 2);
    const auto inner = [](const at::Tensor& map) { return map.slice(2, 2, 10).slice(3, 2, 10); };
    EXPECT_LT((inner(every) - inner(coarse)).abs().max().item<double>(), 1e-5);
}

TEST(TeacherGraph, SaysWhatIsWrongWithAFile) {
    GraphFile graph;
    graph.add(convolution("CONV_2D", 0, 1, 1), gaussianOfHalf({4, 3, 3, 3}, 1));
    const auto untold = graph.open({.path = "toy"});
    ASSERT_FALSE(untold);
    EXPECT_EQ(untold.error().code, ErrorCode::InvalidArgument);
    EXPECT_NE(untold.error().message.find("tap"), std::string::npos);

    GraphFile unknown = graph;
    unknown.add({{"op", "SOFTMAX"}, {"inp", {1}}, {"out", 2}});
    EXPECT_NE(unknown.open({.path = "toy", .tap = 1}).error().message.find("SOFTMAX"),
              std::string::npos);
    GraphFile early = graph;
    early.add({{"op", "ADD"}, {"inp", {1, 7}}, {"out", 2}});
    EXPECT_EQ(early.open({.path = "toy", .tap = 1}).error().code, ErrorCode::Malformed);
    GraphFile misfit = graph;
    misfit.add(convolution("CONV_2D", 1, 2, 1), gaussianOfHalf({4, 3, 1, 1}, 1));
    EXPECT_EQ(misfit.open({.path = "toy", .tap = 1}).error().code, ErrorCode::Malformed);
    GraphFile torn = graph;
    torn.file.tensors.erase("op0.bias");
    EXPECT_EQ(torn.open({.path = "toy", .tap = 0}).error().code, ErrorCode::Malformed);
    graph.file.metadata["ops"] = "[{";
    EXPECT_EQ(graph.open({.path = "toy", .tap = 0}).error().code, ErrorCode::Malformed);
}

TEST(BackboneTeacher, ShowsTheBackboneNormalisedPicturesOfItsOwnSize) {
    const auto teacher =
        teacherFromBackbone(std::make_shared<PatchColors>(), {.path = "toy", .size = 2});
    EXPECT_EQ(teacher->channels(), 8);
    const at::Tensor picture = at::full({2, 3, 24, 40}, 0.6);
    const TeacherMap map = teacher->map(picture, {24, 40});
    ASSERT_EQ(map.values.sizes(), at::IntArrayRef({2, 8, 6, 10})); // patches of 8
    EXPECT_NEAR(map.values[1][0][3][4].item<double>(), (0.6 - 0.485) / 0.229, 1e-5);
    EXPECT_NEAR(map.cells.x, 0.05, 1e-12);
    EXPECT_NEAR(map.cells.stepY, 1.0 / 6, 1e-12);
}

TEST(TeacherSpec, IsReadFromText) {
    const auto spec = parseTeacherSpec(
        "some:where/teacher_net.safetensors:tap=47,size=x2,pads=reversed,weight=0.7,dims=32");
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(spec->path, "some:where/teacher_net.safetensors");
    EXPECT_EQ(spec->tap, 47);
    EXPECT_EQ(spec->size, 2);
    EXPECT_TRUE(spec->reversedPads);
    EXPECT_EQ(spec->weight, 0.7);
    EXPECT_EQ(spec->dims, 32);
    EXPECT_EQ(spec->label(), "net:tap=47,size=x2,pads=reversed");
    EXPECT_EQ(parseTeacherSpec("dir:a/vit.pth")->path, "dir:a/vit.pth");
    for (const char* wrong : {"a.pth:tape=3", "a.pth:tap=", "a.pth:size=x", "a.pth:weight=-1",
                              "a.pth:pads=none", "a.pth:tap=4,oops"}) {
        const auto refused = parseTeacherSpec(wrong);
        ASSERT_FALSE(refused) << wrong;
        EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
    }
}

} // namespace
} // namespace loftscope
