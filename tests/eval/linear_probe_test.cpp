// SPDX-License-Identifier: Apache-2.0
#include "core/eval/linear_probe.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

struct Toy {
    at::Tensor features; ///< N x 6
    at::Tensor labels;
};

/// Three classes that a linear map tells apart: one channel each, buried in three of noise.
Toy toy() {
    const auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
    Toy set;
    set.labels = at::randint(3, {600}, generator, at::TensorOptions(at::kLong));
    set.features = at::randn({600, 6}, generator) * 0.3;
    for (std::int64_t i = 0; i < 600; ++i)
        set.features[i][set.labels[i].item<std::int64_t>()] += 3;
    return set;
}

ProbeOptions quick() {
    ProbeOptions options;
    options.steps = 150;
    options.batch = 64;
    options.learningRate = 0.05;
    return options;
}

TEST(LinearProbe, LearnsASeparableSet) {
    const Toy set = toy();
    const auto probe = trainProbe(set.features, set.labels, 3, quick(), {});
    ASSERT_TRUE(probe) << probe.error().message;
    EXPECT_GT(probe->trainingAccuracy, 0.99);
    // The same pixels as a C x h x w block.
    const at::Tensor block = set.features.t().reshape({6, 20, 30}).contiguous();
    const at::Tensor classes = probe->classify(block);
    EXPECT_EQ(classes.sizes(), (at::IntArrayRef{20, 30}));
    EXPECT_GT((classes.flatten() == set.labels).sum().item<std::int64_t>(), 594);
}

TEST(LinearProbe, IsDeterministic) {
    const Toy set = toy();
    const auto one = trainProbe(set.features, set.labels, 3, quick(), {});
    const auto two = trainProbe(set.features, set.labels, 3, quick(), {});
    ASSERT_TRUE(one && two);
    EXPECT_TRUE(one->weight.equal(two->weight));
    EXPECT_TRUE(one->bias.equal(two->bias));
    ProbeOptions other = quick();
    other.seed = 1;
    const auto three = trainProbe(set.features, set.labels, 3, other, {});
    ASSERT_TRUE(three);
    EXPECT_FALSE(one->weight.equal(three->weight));
}

TEST(LinearProbe, ScaleAndOffsetOfChannelsDoNotMatter) {
    const Toy set = toy();
    const auto plain = trainProbe(set.features, set.labels, 3, quick(), {});
    const at::Tensor changed = set.features * 0.001 + 5;
    const auto scaled = trainProbe(changed, set.labels, 3, quick(), {});
    ASSERT_TRUE(plain && scaled);
    EXPECT_NEAR(scaled->trainingLoss, plain->trainingLoss, 1e-3);
    ProbeOptions raw = quick();
    raw.standardise = false;
    const auto unscaled = trainProbe(changed, set.labels, 3, raw, {});
    ASSERT_TRUE(unscaled);
    EXPECT_GT(unscaled->trainingLoss, plain->trainingLoss + 0.3) << "why standardisation is there";
}

TEST(LinearProbe, SaysWhatIsWrong) {
    const Toy set = toy();
    const auto nothing =
        trainProbe(set.features.slice(0, 0, 0), set.labels.slice(0, 0, 0), 3, quick(), {});
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().code, ErrorCode::InvalidArgument);
    RunContext stopped;
    std::stop_source stop;
    stop.request_stop();
    stopped.stop = stop.get_token();
    const auto cancelled = trainProbe(set.features, set.labels, 3, quick(), stopped);
    ASSERT_FALSE(cancelled);
    EXPECT_EQ(cancelled.error().code, ErrorCode::Cancelled);
}

} // namespace
} // namespace loftscope
