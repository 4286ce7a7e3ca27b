// SPDX-License-Identifier: Apache-2.0
// Hand-written kernels against the same sums in plain LibTorch, on values that are bf16 already:
// what remains is the order of summation and the rounding of results that are stored in bf16.
#include "core/kernel/bf16_product.h"
#include "core/kernel/neighbour_sums.h"
#include "core/kernel/processor.h"
#include "core/kernel/row_attention.h"
#include "core/kernel/row_norm.h"
#include "core/kernel/winograd.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace loftscope {
namespace {

class Kernels : public testing::Test {
protected:
    void SetUp() override {
        if (!hasBf16Products()) GTEST_SKIP() << "this processor has no products of bf16";
    }

    /// Random values that bf16 holds exactly.
    at::Tensor random(at::IntArrayRef shape) {
        return at::randn(shape, generator_).to(at::kBFloat16).to(at::kFloat);
    }

    /// `rows` as the kernels read them: padded with zeros to a multiple of 16.
    static at::Tensor padded(const at::Tensor& rows) {
        at::Tensor result = at::zeros({rows.size(0), paddedTo16(rows.size(1))}, at::kBFloat16);
        result.narrow(1, 0, rows.size(1)).copy_(rows);
        return result;
    }

    static HalfRows rowsOf(const at::Tensor& values) {
        return {values.const_data_ptr<c10::BFloat16>(), values.size(1)};
    }

    static double gap(const at::Tensor& a, const at::Tensor& b) {
        return (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
    }

    at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(5);
};

TEST_F(Kernels, ProductsEqualPlainOnesForEveryNumberOfRowsAndOutputs) {
    for (const std::int64_t inputs : {1, 2, 37, 404}) {
        for (const std::int64_t outputs : {5, 16, 33, 64, 101, 404}) {
            const at::Tensor weight = random({outputs, inputs});
            const at::Tensor bias = random({outputs});
            const PackedMatrix packed = packMatrix(weight, bias);
            for (const std::int64_t rows : {1, 3, 8, 13}) {
                const at::Tensor x = random({rows, inputs});
                const at::Tensor expected = at::linear(x, weight, bias);
                at::Tensor result = at::full({rows, packed.columns}, 7.0F);
                multiplyRows(
                    rowsOf(padded(x)), rows, packed,
                    {Finish::Store, result.mutable_data_ptr<float>(), nullptr, packed.columns});
                EXPECT_LE(gap(result.narrow(1, 0, outputs), expected), 1e-4)
                    << rows << " x " << inputs << " x " << outputs;
                EXPECT_EQ(
                    result.narrow(1, outputs, packed.columns - outputs).abs().sum().item<float>(),
                    0.0F);
            }
        }
    }
}

TEST_F(Kernels, WhatFollowsAProductIsDoneWithIt) {
    const at::Tensor weight = random({20, 30});
    const at::Tensor bias = random({20});
    const at::Tensor x = random({9, 30}) * 0.5;
    const PackedMatrix packed = packMatrix(weight, bias);
    const at::Tensor plain = at::linear(x, weight, bias);

    at::Tensor sum = at::ones({9, 32});
    multiplyRows(rowsOf(padded(x)), 9, packed,
                 {Finish::Add, sum.mutable_data_ptr<float>(), nullptr, 32});
    EXPECT_LE(gap(sum.narrow(1, 0, 20), plain + 1), 1e-5);

    at::Tensor half = at::zeros({9, 32}, at::kBFloat16);
    const auto halfTarget = [&](Finish finish) {
        return ProductTarget{finish, nullptr, half.mutable_data_ptr<c10::BFloat16>(), 32};
    };
    multiplyRows(rowsOf(padded(x)), 9, packed, halfTarget(Finish::StoreHalf));
    EXPECT_LE(gap(half.narrow(1, 0, 20), plain), 0.004 * plain.abs().max().item<double>());
    multiplyRows(rowsOf(padded(x)), 9, packed, halfTarget(Finish::GeluHalf));
    EXPECT_LE(((half.narrow(1, 0, 20) - at::gelu(plain)).abs() / (at::gelu(plain).abs() + 1e-3))
                  .max()
                  .item<double>(),
              0.005);
}

TEST_F(Kernels, NormsEqualLayerNorm) {
    for (const std::int64_t channels : {5, 16, 52, 404}) {
        const std::int64_t stride = paddedTo16(channels);
        at::Tensor x = at::full({3, stride}, 100.0F); // what lies beyond must not count
        x.narrow(1, 0, channels).copy_(random({3, channels}) * 3 + 1);
        const at::Tensor plain = at::layer_norm(x.narrow(1, 0, channels), {channels}, {}, {}, 1e-5);
        at::Tensor half = at::full({3, stride}, 7.0F).to(at::kBFloat16);
        normaliseRows(x.const_data_ptr<float>(), 3, channels, stride, 1e-5,
                      half.mutable_data_ptr<c10::BFloat16>());
        EXPECT_LE(gap(half.narrow(1, 0, channels), plain.to(at::kBFloat16)), 0.016) << channels;
        EXPECT_LE((half.narrow(1, 0, channels) - plain).abs().mean().item<double>(), 2e-3);
        EXPECT_EQ(half.narrow(1, channels, stride - channels).abs().sum().item<float>(), 0.0F);

        const at::Tensor weight = random({stride});
        const at::Tensor bias = random({stride});
        normaliseRows(x.mutable_data_ptr<float>(), 3, channels, stride, 1e-5,
                      weight.const_data_ptr<float>(), bias.const_data_ptr<float>());
        EXPECT_LE(gap(x.narrow(1, 0, channels),
                      plain * weight.narrow(0, 0, channels) + bias.narrow(0, 0, channels)),
                  1e-5);
    }
}

TEST_F(Kernels, AttentionEqualsSoftmaxForAnyNumberOfTokens) {
    constexpr std::int64_t channels = 13;
    constexpr std::int64_t rows = 37;
    for (const std::int64_t tokens : {1, 2, 17, 256, 513, 1300}) {
        // The last case of each: scores far from zero, where powers would overflow.
        for (const double strength : {0.3, 3.0, 60.0}) {
            const at::Tensor queries = (random({rows, channels}) * strength).to(at::kBFloat16);
            const at::Tensor keys = random({tokens, channels});
            const at::Tensor values = random({tokens, channels});
            const PackedHead head = packHead(keys, values);
            AttentionScratch scratch;
            at::Tensor output = at::zeros({rows, 16}, at::kBFloat16);
            attendRows(rowsOf(padded(queries)), rows, head, scratch,
                       output.mutable_data_ptr<c10::BFloat16>(), 16);
            const at::Tensor weights =
                at::softmax(at::matmul(queries.to(at::kFloat), keys.t()) * std::numbers::ln2, 1);
            EXPECT_LE(gap(output.narrow(1, 0, channels), at::matmul(weights, values)), 0.03)
                << tokens << " tokens, scores times " << strength;
            EXPECT_EQ(output.narrow(1, channels, 3).abs().sum().item<float>(), 0.0F);
        }
    }
}

TEST_F(Kernels, SquaresAreConvolvedAsPlainly) {
    constexpr std::int64_t inputs = 21;
    constexpr std::int64_t outputs = 37;
    const at::Tensor weight = random({outputs, inputs, 3, 3}) * 0.1;
    const at::Tensor bias = random({outputs});
    const PackedMatrix packed = packWinograd(weight, bias);
    for (const std::int64_t squares : {1, 5, 32}) {
        const std::int64_t width = 2 * squares;
        const at::Tensor picture = random({1, inputs, 4, width + 2});
        const at::Tensor rows =
            padded(picture[0].permute({1, 2, 0}).reshape({4 * (width + 2), inputs}));
        WinogradScratch scratch(rows.size(1));
        at::Tensor output = at::zeros({2 * width, packed.columns});
        convolveSquares(rowsOf(rows), width + 2, squares, packed, scratch,
                        output.mutable_data_ptr<float>(), packed.columns);
        const at::Tensor expected =
            at::relu(at::conv2d(picture, weight, bias))[0].permute({1, 2, 0}).reshape(
                {2 * width, outputs});
        // Sums of inputs are rounded to bf16 once more than in a plain convolution.
        EXPECT_LE(gap(output.narrow(1, 0, outputs), expected), 0.05);
        EXPECT_LE((output.narrow(1, 0, outputs) - expected).abs().mean().item<double>(), 5e-3);
        EXPECT_GT(expected.abs().mean().item<double>(), 0.4);
    }
}

TEST(NeighbourSums, WeighEveryNeighboursFiveParts) {
    constexpr std::int64_t channels = 21;
    constexpr std::int64_t stride = 32;
    constexpr std::int64_t width = 3;
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(9);
    const auto table = [&](std::int64_t rows) {
        at::Tensor values = at::zeros({rows, 9, stride});
        values.narrow(2, 0, channels).copy_(at::randn({rows, 9, channels}, generator));
        return values;
    };
    const at::Tensor ofRows = table(3);
    const at::Tensor ofColumns = table(width + 2);
    const at::Tensor ofColors = table(4);
    const at::Tensor start = table(1)[0][0];
    const auto at = [](const at::Tensor& values, std::int64_t row) {
        return values.const_data_ptr<float>() + row * 9 * stride;
    };

    std::vector<GivingPixel> given;
    at::Tensor expected = at::zeros({width, stride}) + start;
    for (std::int64_t y = 0; y < 3; ++y) {
        for (std::int64_t x = 0; x < width + 2; ++x) {
            const std::array<std::int64_t, 3> levels = {(x + y) % 4, (2 * x) % 4, (3 * y) % 4};
            const float weight = y == 0 && x == 0 ? 0.0F : 0.5F + static_cast<float>(x * y);
            given.push_back(
                {{at(ofColors, levels[0]), at(ofColors, levels[1]), at(ofColors, levels[2])},
                 weight});
            for (std::int64_t tap = 0; tap < 3; ++tap) {
                const std::int64_t to = x - tap;
                if (to < 0 || to >= width) continue;
                const std::int64_t k = 3 * y + tap;
                expected[to] += (ofRows[y][k] + ofColumns[x][k] + ofColors[levels[0]][k] +
                                 ofColors[levels[1]][k] + ofColors[levels[2]][k]) *
                                weight;
            }
        }
    }
    std::vector<const float*> columns;
    for (std::int64_t x = 0; x < width + 2; ++x)
        columns.push_back(at(ofColumns, x));
    const std::vector<const float*> starts(width, start.const_data_ptr<float>());
    const std::span<const GivingPixel> all(given);
    const NeighbourRow row{.rows = {at(ofRows, 0), at(ofRows, 1), at(ofRows, 2)},
                           .columns = columns,
                           .given = {all.subspan(0, 5), all.subspan(5, 5), all.subspan(10, 5)},
                           .start = starts};

    at::Tensor full = at::zeros({width, channels});
    at::Tensor half = at::full({width, stride}, 7.0F).to(at::kBFloat16);
    sumNeighbours(row, stride, 0, stride, {channels, full.mutable_data_ptr<float>(), nullptr});
    sumNeighbours(row, stride, 0, stride,
                  {channels, nullptr, half.mutable_data_ptr<c10::BFloat16>()});
    const at::Tensor positive = at::relu(expected);
    EXPECT_LE((full - positive.narrow(1, 0, channels)).abs().max().item<double>(), 2e-5);
    EXPECT_LE((half.to(at::kFloat) - positive).abs().max().item<double>(),
              0.004 * positive.max().item<double>());
    EXPECT_EQ(half.narrow(1, channels, stride - channels).abs().sum().item<float>(), 0.0F);
}

} // namespace
} // namespace loftscope
