// SPDX-License-Identifier: Apache-2.0
// AdamW and NAdam against numbers of PyTorch 2.13's torch.optim (single-tensor form), and what a
// resumed run relies on.
#include "core/train/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace loftscope {
namespace {

constexpr std::array learningRates{1e-2, 1e-2, 5e-3, 1e-3, 2e-2};

at::Tensor startingPoint() {
    return at::tensor({0.5F, -1.25F, 2.0F}).set_requires_grad(true);
}

/// loss = 0.1 sum p^3 + 0.25 (i + 1) sum p c
void takeStep(Optimizer& optimizer, const at::Tensor& p, std::size_t i) {
    optimizer.zeroGradients();
    const at::Tensor c = at::tensor({1.0F, -2.0F, 0.5F});
    ((p * p * p).sum() * 0.1 + (p * c).sum() * (static_cast<double>(i + 1) * 0.25)).backward();
    optimizer.step(learningRates[i]);
}

void expectValues(const at::Tensor& p, const std::array<float, 3>& expected) {
    for (std::int64_t i = 0; i < 3; ++i)
        EXPECT_NEAR(p[i].item<float>(), expected[static_cast<std::size_t>(i)], 2e-7F)
            << "element " << i;
}

struct Case {
    OptimizerOptions options;
    std::array<float, 3> afterOne;
    std::array<float, 3> afterFive;
};

void expectCase(const Case& testCase) {
    at::Tensor p = startingPoint();
    Optimizer optimizer({{"p", p}}, testCase.options);
    for (std::size_t i = 0; i < learningRates.size(); ++i) {
        takeStep(optimizer, p, i);
        if (i == 0) expectValues(p, testCase.afterOne);
    }
    expectValues(p, testCase.afterFive);
}

TEST(Optimizer, NAdamEqualsPyTorch) {
    expectCase({{.kind = OptimizerKind::NAdam},
                {0.489435494F, -1.23943543F, 1.98943543F},
                {0.45419842F, -1.20119274F, 1.96002066F}});
}

TEST(Optimizer, NAdamWithWeightDecayEqualsPyTorch) {
    expectCase({{.kind = OptimizerKind::NAdam, .weightDecay = 0.05},
                {0.489435494F, -1.23943543F, 1.98943543F},
                {0.454400212F, -1.20143497F, 1.96015739F}});
}

TEST(Optimizer, AdamWEqualsPyTorch) {
    expectCase({{.kind = OptimizerKind::AdamW, .weightDecay = 0.01},
                {0.489950001F, -1.23987496F, 1.98979998F},
                {0.454623431F, -1.20834196F, 1.95285285F}});
}

TEST(Optimizer, RestoredStateContinuesBitForBit) {
    for (const OptimizerKind kind : {OptimizerKind::AdamW, OptimizerKind::NAdam}) {
        at::Tensor whole = startingPoint();
        Optimizer uninterrupted({{"p", whole}}, {.kind = kind});
        at::Tensor part = startingPoint();
        Optimizer first({{"p", part}}, {.kind = kind});
        for (std::size_t i = 0; i < 2; ++i) {
            takeStep(uninterrupted, whole, i);
            takeStep(first, part, i);
        }
        StateDict saved;
        for (const auto& [key, tensor] : first.state())
            saved[key] = tensor.clone();
        at::Tensor resumed = part.detach().clone().set_requires_grad(true);
        Optimizer second({{"p", resumed}}, {.kind = kind});
        ASSERT_TRUE(second.restore(saved));
        for (std::size_t i = 2; i < learningRates.size(); ++i) {
            takeStep(uninterrupted, whole, i);
            takeStep(second, resumed, i);
        }
        EXPECT_TRUE(whole.equal(resumed));
    }
}

TEST(Optimizer, RefusesAStateThatDoesNotFit) {
    at::Tensor p = startingPoint();
    Optimizer optimizer({{"p", p}}, {});
    StateDict state = optimizer.state();
    state.erase("p.second");
    const auto outcome = optimizer.restore(state);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::Mismatch);
    EXPECT_NE(outcome.error().message.find("p.second"), std::string::npos);
}

TEST(GradientClip, LimitsTheJointNormAndReportsTheOldOne) {
    at::Tensor a = at::tensor({3.0F}).set_requires_grad(true);
    at::Tensor b = at::tensor({4.0F}).set_requires_grad(true);
    ((a * a + b * b) * 0.5).sum().backward();
    EXPECT_NEAR(clipGradientNorm({{"a", a}, {"b", b}}, 1.0), 5.0, 1e-6);
    EXPECT_NEAR(a.grad().item<float>(), 0.6, 1e-5);
    EXPECT_NEAR(b.grad().item<float>(), 0.8, 1e-5);
    EXPECT_NEAR(clipGradientNorm({{"a", a}, {"b", b}}, 10.0), 1.0, 1e-5);
    EXPECT_NEAR(a.grad().item<float>(), 0.6, 1e-5);
}

TEST(LearningRate, WarmsUpLinearlyThenFollowsHalfACosine) {
    const LearningRateSchedule schedule{4, 104, 0.1};
    EXPECT_DOUBLE_EQ(schedule.factor(0), 0.25);
    EXPECT_DOUBLE_EQ(schedule.factor(3), 1.0);
    EXPECT_DOUBLE_EQ(schedule.factor(4), 1.0);
    EXPECT_NEAR(schedule.factor(54), 0.55, 1e-12);
    EXPECT_NEAR(schedule.factor(104), 0.1, 1e-12);
    EXPECT_NEAR(schedule.factor(500), 0.1, 1e-12);
    EXPECT_DOUBLE_EQ((LearningRateSchedule{}).factor(1000), 1.0);
}

} // namespace
} // namespace loftscope
