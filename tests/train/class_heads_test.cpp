// SPDX-License-Identifier: Apache-2.0
// Reading classes off features while training, against hand-computed cases and differences.
#include "core/train/class_heads.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace loftscope {
namespace {

at::Tensor labelsOf(const std::vector<std::int64_t>& values, at::IntArrayRef shape) {
    return at::tensor(values).view(shape);
}

/// -log of the share of exp(score) that the class has at a pixel.
double missed(const at::Tensor& scores, std::int64_t chosen, std::int64_t y, std::int64_t x) {
    double sum = 0;
    for (std::int64_t k = 0; k < scores.size(0); ++k)
        sum += std::exp(scores[k][y][x].item<double>());
    return std::log(sum) - scores[chosen][y][x].item<double>();
}

at::Tensor someScores(at::ScalarType type) {
    return at::empty({3, 2, 3}, type).normal_(0, 1, at::make_generator<at::CPUGeneratorImpl>(3));
}

TEST(ClassLoss, IsTheMeanOverClassesByTheRootOfTheirPixelsByHand) {
    const at::Tensor scores = someScores(at::kDouble);
    // Class 2 has one pixel, class 0 four; one pixel is unlabelled.
    const at::Tensor labels = labelsOf({0, 0, -1, 2, 0, 0}, {2, 3});
    const double rare = missed(scores, 2, 1, 0);
    const double common = (missed(scores, 0, 0, 0) + missed(scores, 0, 0, 1) +
                           missed(scores, 0, 1, 1) + missed(scores, 0, 1, 2)) /
                          4;
    EXPECT_NEAR(classLoss(scores, labels).item<double>(), (1 * rare + 2 * common) / 3, 1e-12);
}

TEST(ClassLoss, IsNothingWithoutLabels) {
    EXPECT_EQ(classLoss(someScores(at::kFloat), labelsOf({-1, -1, -1, -1, -1, -1}, {2, 3}))
                  .item<double>(),
              0);
}

TEST(ClassLoss, GradientMatchesFiniteDifferences) {
    const at::Tensor labels = labelsOf({1, 0, -1, 2, 0, 0}, {2, 3});
    const at::Tensor input = someScores(at::kDouble);
    at::Tensor variable = input.clone().set_requires_grad(true);
    classLoss(variable, labels).backward();
    const at::Tensor gradient = variable.grad().flatten();
    constexpr double step = 1e-6;
    for (std::int64_t i = 0; i < input.numel(); ++i) {
        const auto at = [&](double change) {
            at::Tensor moved = input.clone();
            moved.flatten()[i] += change;
            return classLoss(moved, labels).item<double>();
        };
        EXPECT_NEAR(gradient[i].item<double>(), (at(step) - at(-step)) / (2 * step), 1e-8) << i;
    }
    EXPECT_EQ(variable.grad().select(1, 0).select(1, 2).abs().max().item<double>(), 0);
}

TEST(ClassHeads, EverySetHasItsOwn) {
    const ClassHeads heads = ClassHeads::create(2, 4, at::kCPU);
    EXPECT_EQ(heads.sets(), 2);
    {
        const c10::NoGradGuard noGrad;
        heads.weight.select(0, 1).select(0, 7).fill_(0.25);
        heads.bias.select(0, 1).select(0, 7).fill_(1);
    }
    const at::Tensor features = at::zeros({4, 2, 3}) + 2;
    EXPECT_EQ(heads.scores(features, 0).abs().max().item<double>(), 0);
    const at::Tensor second = heads.scores(features, 1);
    ASSERT_EQ(second.sizes(), at::IntArrayRef({ClassHeads::classes, 2, 3}));
    EXPECT_EQ(second.argmax(0).eq(7).all().item<bool>(), true);
    EXPECT_TRUE(ClassHeads::create(0, 4, at::kCPU).parameters().empty());
    EXPECT_EQ(ClassHeads::create(0, 4, at::kCPU).sets(), 0);
}

} // namespace
} // namespace loftscope
