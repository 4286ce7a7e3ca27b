// SPDX-License-Identifier: Apache-2.0
// Our choice of routines for products and attention computes what LibTorch's own does.
#include "core/weights/layers.h"
#include "core/weights/matrix_product.h"
#include "tests/support/tensors.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

using test::gaussian;
using test::largest;

TEST(LinearProduct, EqualsTheLayerForEveryShapeAndStride) {
    for (const auto& [rows, in, out] : {std::tuple{1, 7, 5}, std::tuple{64, 101, 256},
                                        std::tuple{3, 404, 404}, std::tuple{200, 33, 1}}) {
        const at::Tensor x = gaussian({rows, in}, 1);
        const at::Tensor weight = gaussian({out, in}, 2);
        const at::Tensor bias = gaussian({out}, 3);
        EXPECT_LT(largest(linearProduct(x, weight, bias) - at::linear(x, weight, bias)), 1e-4);
        EXPECT_LT(largest(linearProduct(x, weight, {}) - at::linear(x, weight)), 1e-4);
        // Every second column of a wider matrix, and weights that lie the other way round.
        const at::Tensor strided = gaussian({rows, 2 * in}, 4).slice(1, 0, 2 * in, 2);
        const at::Tensor turned = gaussian({in, out}, 5).t();
        EXPECT_LT(largest(linearProduct(strided, turned, {}) - at::linear(strided, turned)), 1e-4);
    }
    EXPECT_EQ(linearProduct(gaussian({0, 4}, 1), gaussian({3, 4}, 2), {}).sizes(),
              (std::vector<std::int64_t>{0, 3}));
}

TEST(LinearProduct, KeepsBatchDimensionsAndTheTypeOfTheWeight) {
    const at::Tensor x = gaussian({2, 3, 8}, 1);
    const at::Tensor weight = gaussian({5, 8}, 2);
    EXPECT_LT(largest(linearProduct(x, weight, {}) - at::linear(x, weight)), 1e-5);
    const at::Tensor half = linearProduct(x, weight.to(at::kBFloat16), {});
    EXPECT_EQ(half.scalar_type(), at::kBFloat16);
    EXPECT_LT(largest(half.to(at::kFloat) - at::linear(x, weight)), 0.1);
}

TEST(LinearProduct, LetsGradientsThrough) {
    const at::Tensor x = gaussian({4, 8}, 1).set_requires_grad(true);
    linearProduct(x, gaussian({5, 8}, 2), {}).sum().backward();
    EXPECT_TRUE(x.grad().defined());
}

TEST(Attend, EqualsTheWeightsTimesTheValues) {
    // 2000 tokens: more weights than are computed at once, so that queries come in several parts.
    for (const std::int64_t tokens : {1, 5, 2000}) {
        const at::Tensor query = gaussian({2, 700, 13}, 1);
        const at::Tensor key = gaussian({2, tokens, 13}, 2);
        const at::Tensor value = gaussian({2, tokens, 13}, 3);
        const at::Tensor expected = at::matmul(attentionWeights(query, key), value);
        EXPECT_LT(largest(attend(query, key, value) - expected), 1e-5) << tokens << " tokens";
    }
}

} // namespace
} // namespace loftscope
