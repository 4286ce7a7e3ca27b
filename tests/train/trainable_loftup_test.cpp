// SPDX-License-Identifier: Apache-2.0
// The trainable LoftUp against the exact one that the program uses, and what training does to it.
#include "core/train/trainable_loftup.h"
#include "core/upsample/loftup.h"
#include "core/weights/recognise.h"
#include "tests/support/tensors.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

namespace loftscope {
namespace {

using test::gaussian;
using test::largest;

constexpr std::int64_t channels = 12;

TrainableLoftUp smallModel() {
    return TrainableLoftUp::create(publishedLoftUp(channels),
                                   CounterRandom(1, RandomPurpose::Initialisation, 0));
}

/// A model whose every parameter and statistic has moved away from its initial value.
TrainableLoftUp livedInModel() {
    StateDict state = smallModel().state();
    std::uint64_t seed = 100;
    for (auto& [key, tensor] : state) {
        if (!tensor.is_floating_point()) continue;
        tensor = tensor + gaussian(tensor.sizes(), ++seed) * 0.1;
        if (key.ends_with("running_var")) tensor = tensor.abs() + 0.1;
    }
    return *TrainableLoftUp::fromState(state, publishedLoftUp(channels));
}

TEST(TrainableLoftUp, EvaluatesAsTheProgramDoesPictureByPicture) {
    const TrainableLoftUp model = livedInModel();
    const at::Tensor low = gaussian({2, channels, 3, 4}, 1);
    const at::Tensor guidance = gaussian({2, 3, 21, 30}, 2);
    const at::Tensor batch = model.forward(model.channelNorm(low), guidance, {}).detach();

    auto upsampler = makeLoftUp(model.state(), model.spec());
    ASSERT_TRUE(upsampler) << upsampler.error().message;
    for (std::int64_t b = 0; b < 2; ++b) {
        auto field = (*upsampler)->bind({low[b]}, {{21, 30}, guidance[b]});
        ASSERT_TRUE(field) << field.error().message;
        const at::Tensor exact = (*field)->evaluate({0, 0, 30, 21});
        EXPECT_LT(largest(batch[b] - exact), 2e-5) << "photo " << b;
        EXPECT_GT(largest(exact), 0.5);
    }
}

TEST(TrainableLoftUp, AWindowIsThatPartOfTheWhole) {
    const TrainableLoftUp model = livedInModel();
    const at::Tensor low = model.channelNorm(gaussian({1, channels, 3, 4}, 1));
    const at::Tensor guidance = gaussian({1, 3, 36, 48}, 2);
    const at::Tensor whole = model.forward(low, guidance, {}).detach();
    for (const Rect& window : {Rect{12, 12, 24, 12}, Rect{0, 24, 12, 12}, Rect{24, 0, 24, 36}}) {
        const at::Tensor part = model.forward(low, guidance, {}, window).detach();
        const at::Tensor wanted =
            whole.narrow(2, window.y, window.height).narrow(3, window.x, window.width);
        EXPECT_LT(largest(part - wanted), 2e-5) << window.x << ", " << window.y;
    }
}

TEST(TrainableLoftUp, HasTheParametersOfThePublishedModel) {
    const TrainableLoftUp model = TrainableLoftUp::create(
        publishedLoftUp(384), CounterRandom(1, RandomPurpose::Initialisation, 0));
    std::int64_t count = 0;
    for (const auto& [key, tensor] : model.parameters())
        count += tensor.numel();
    EXPECT_EQ(count, 4'303'126);
}

/// Equal colours and equal tokens: only coordinates can tell two pixels apart.
TEST(TrainableLoftUp, HiddenCoordinatesMakeItBlindToPlaces) {
    TrainableLoftUp model = livedInModel();
    const at::Tensor low = gaussian({1, channels, 1, 1}, 1).expand({1, channels, 3, 3});
    const at::Tensor guidance = at::ones({1, 3, 24, 24});
    const auto spread = [&](const TrainableLoftUp& of) {
        // Without the pixels that see the convolutions' padding.
        const at::Tensor inner = of.forward(of.channelNorm(low), guidance, {})
                                     .detach()
                                     .narrow(2, 2, 20)
                                     .narrow(3, 2, 20);
        return largest(inner - inner.narrow(2, 0, 1).narrow(3, 0, 1));
    };
    EXPECT_GT(spread(model), 0.1);
    model.hideCoordinates();
    EXPECT_LT(spread(model), 1e-5);

    // Colours still matter, and a file of it says what it is.
    const at::Tensor other = gaussian({1, 3, 24, 24}, 3);
    const at::Tensor shown = model.forward(model.channelNorm(low), other, {}).detach();
    EXPECT_GT(largest(shown.narrow(2, 2, 1) - shown.narrow(2, 12, 1)), 0.1);
    const auto spec = recogniseLoftUp(model.state());
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_TRUE(spec->hiddenCoordinates);
    const auto read = TrainableLoftUp::fromState(canonicalLoftUpState(model.state(), *spec), *spec);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_LT(spread(*read), 1e-5);
    auto upsampler = makeLoftUp(canonicalLoftUpState(model.state(), *spec), *spec);
    ASSERT_TRUE(upsampler) << upsampler.error().message;
    auto field = (*upsampler)->bind({low[0]}, {{24, 24}, other[0]});
    ASSERT_TRUE(field) << field.error().message;
    EXPECT_LT(largest((*field)->evaluate({0, 0, 24, 24}) - shown[0]), 2e-5);
}

TEST(TrainableLoftUp, StateSurvivesARoundTripAndMissingKeysAreNamed) {
    const TrainableLoftUp model = livedInModel();
    StateDict state = model.state();
    const auto again = TrainableLoftUp::fromState(state, model.spec());
    ASSERT_TRUE(again);
    for (const auto& [key, tensor] : again->state())
        EXPECT_TRUE(tensor.equal(state.at(key))) << key;
    state.erase("upsampler.final_conv.0.weight");
    const auto broken = TrainableLoftUp::fromState(state, model.spec());
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().message.find("upsampler.final_conv.0.weight"), std::string::npos);
}

TEST(TrainableLoftUp, GradientsReachEveryParameter) {
    const TrainableLoftUp model = smallModel();
    const at::Tensor low = gaussian({1, channels, 3, 4}, 3);
    const at::Tensor output =
        model.forward(model.channelNorm(low), gaussian({1, 3, 16, 20}, 4), {.training = true});
    (output * gaussian(output.sizes(), 5)).sum().backward();
    for (const auto& [key, parameter] : model.parameters()) {
        ASSERT_TRUE(parameter.grad().defined()) << key;
        // A shift of all keys changes no softmax; so the middle third of in_proj_bias has no
        // gradient, but the rest has.
        EXPECT_GT(largest(parameter.grad()), 0) << key;
    }
}

TEST(TrainableLoftUp, GradientOfAParameterMatchesFiniteDifferences) {
    const TrainableLoftUp model = livedInModel();
    const at::Tensor low = model.channelNorm(gaussian({1, channels, 2, 3}, 6));
    const at::Tensor guidance = gaussian({1, 3, 8, 9}, 7);
    const at::Tensor weight = gaussian({1, channels, 8, 9}, 8);
    const auto loss = [&] {
        return (model.forward(low, guidance, {.training = true}) * weight).sum();
    };
    loss().backward();
    for (const char* key : {"upsampler.final_conv.0.bias",
                            "upsampler.ca_transformer.layers.0.0.attention.out_proj.weight",
                            "upsampler.ca_transformer.layers.1.1.net.4.bias",
                            "upsampler.first_conv.5.weight", "upsampler.lr_pe.biases"}) {
        const at::Tensor parameter = model.parameters().at(key).detach().flatten();
        const at::Tensor gradient = model.parameters().at(key).grad().flatten();
        const std::int64_t i = gradient.abs().argmax().item<std::int64_t>();
        const double expected = gradient[i].item<double>();
        constexpr double step = 1e-2;
        parameter[i] += step;
        const double up = loss().item<double>();
        parameter[i] -= 2 * step;
        const double down = loss().item<double>();
        parameter[i] += step;
        EXPECT_NEAR((up - down) / (2 * step), expected, 0.02 * std::abs(expected)) << key;
    }
}

TEST(TrainableLoftUp, RecomputingActivationsChangesNoGradient) {
    const TrainableLoftUp kept = livedInModel();
    const TrainableLoftUp recomputed = kept.clone();
    const at::Tensor low = kept.channelNorm(gaussian({1, channels, 3, 3}, 9));
    const at::Tensor guidance = gaussian({1, 3, 12, 12}, 10);
    const at::Tensor weight = gaussian({1, channels, 12, 12}, 11);
    (kept.forward(low, guidance, {.training = true}) * weight).sum().backward();
    (recomputed.forward(low, guidance, {.training = true, .checkpointing = true}) * weight)
        .sum()
        .backward();
    for (const auto& [key, parameter] : kept.parameters()) {
        ASSERT_TRUE(recomputed.parameters().at(key).grad().defined()) << key;
        EXPECT_LT(largest(parameter.grad() - recomputed.parameters().at(key).grad()), 1e-5) << key;
    }
}

TEST(TrainableLoftUp, RunningStatisticsFollowBatchNormsRule) {
    TrainableLoftUp model = smallModel();
    const at::Tensor low = model.channelNorm(gaussian({1, channels, 3, 3}, 12));
    const at::Tensor guidance = gaussian({1, 3, 14, 14}, 13);
    const at::Tensor trained = model.forward(low, guidance, {.training = true}).detach();
    model.updateStatistics();
    const at::Tensor first = model.state().at("upsampler.first_conv.2.running_mean").clone();
    EXPECT_EQ(model.state().at("upsampler.first_conv.2.num_batches_tracked").item<std::int64_t>(),
              1);

    // With statistics moved all the way (0.9^200 is nothing), eval mode does what training mode
    // did, up to the running variance being the unbiased one.
    for (int i = 0; i < 200; ++i) {
        model.forward(low, guidance, {.training = true});
        model.updateStatistics();
    }
    EXPECT_LT(largest(model.forward(low, guidance, {}).detach() - trained), 0.1);
    EXPECT_LT(largest(first - model.state().at("upsampler.first_conv.2.running_mean") * 0.1), 1e-5);
}

TEST(TrainableLoftUp, StatisticsOfSeveralPassesAreAveragedIntoOneUpdate) {
    TrainableLoftUp model = smallModel();
    const at::Tensor low = model.channelNorm(gaussian({2, channels, 3, 3}, 14));
    const at::Tensor guidance = gaussian({2, 3, 14, 14}, 15);
    std::vector<at::Tensor> means;
    for (std::int64_t b = 0; b < 2; ++b) {
        TrainableLoftUp single = smallModel();
        single.forward(low.narrow(0, b, 1), guidance.narrow(0, b, 1), {.training = true});
        single.updateStatistics();
        means.push_back(single.state().at("upsampler.first_conv.2.running_mean"));
        model.forward(low.narrow(0, b, 1), guidance.narrow(0, b, 1), {.training = true});
    }
    model.updateStatistics();
    EXPECT_LT(largest(model.state().at("upsampler.first_conv.2.running_mean") -
                      (means[0] + means[1]) / 2),
              1e-6);
    EXPECT_EQ(model.state().at("upsampler.first_conv.2.num_batches_tracked").item<std::int64_t>(),
              1);
}

TEST(TrainableLoftUp, Bf16StaysCloseToFp32) {
    const TrainableLoftUp model = livedInModel();
    const at::Tensor low = model.channelNorm(gaussian({1, channels, 4, 4}, 16));
    const at::Tensor guidance = gaussian({1, 3, 20, 20}, 17);
    const at::Tensor exact = model.forward(low, guidance, {}).detach();
    const at::Tensor fast = model.forward(low, guidance, {.arithmetic = at::kBFloat16}).detach();
    EXPECT_EQ(fast.scalar_type(), at::kFloat);
    EXPECT_LT((fast - exact).abs().mean().item<double>(), 0.02);
}

TEST(TrainableLoftUp, TheTeacherIsAnExponentialAverage) {
    TrainableLoftUp teacher = smallModel();
    const TrainableLoftUp student = livedInModel();
    const std::string key = "upsampler.final_conv.0.weight";
    const at::Tensor before = teacher.state().at(key).clone();
    teacher.average(student, 0.99);
    EXPECT_LT(largest(teacher.state().at(key) - (before * 0.99 + student.state().at(key) * 0.01)),
              1e-6);
}

} // namespace
} // namespace loftscope
