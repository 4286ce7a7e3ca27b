// SPDX-License-Identifier: Apache-2.0
// LoftUp against the reference implementation's arrays, stage by stage.
#include "core/base/run_context.h"
#include "core/base/stop_scope.h"
#include "core/upsample/coordinate_encoder.h"
#include "core/upsample/loftup.h"
#include "tests/support/fields.h"
#include "tests/support/golden.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randint.h>

#include <memory>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::evaluateInTiles;
using test::Golden;

LoftUpSpec specOf(std::int64_t channels) {
    LoftUpSpec spec;
    spec.name = "LoftUp";
    spec.channels = channels;
    spec.dim = channels + 20;
    spec.depth = 2;
    spec.hidden = channels;
    spec.frequencies = 20;
    spec.lrFrequencies = 5;
    return spec;
}

std::shared_ptr<const LoftUpWeights> loftUpWeightsOf(const std::string& model) {
    const Golden golden(model + ".weights");
    auto weights = readLoftUpWeights(golden.state(), specOf(model == "loftup_tiny" ? 32 : 384));
    if (!weights) throw std::runtime_error(weights.error().message);
    return *weights;
}

/// Rows of a (h * w) x C map at `pixels` (K x 2: row, column).
at::Tensor rowsAt(const at::Tensor& rows, const at::Tensor& pixels, std::int64_t width) {
    const at::Tensor index =
        pixels.select(1, 0).to(at::kLong) * width + pixels.select(1, 1).to(at::kLong);
    return rows.index_select(0, index);
}

struct LoftUpCase {
    const char* model;
    const char* name;
};

void PrintTo(const LoftUpCase& value, std::ostream* out) {
    *out << value.model << "." << value.name;
}

class LoftUpParity : public testing::TestWithParam<LoftUpCase> {
protected:
    LoftUpParity()
        : golden_(std::string(GetParam().model) + "." + GetParam().name)
        , field_(loftUpWeightsOf(GetParam().model), {golden_["input.lr"][0]},
                 golden_["input.guidance"][0]) {}

    Golden golden_;
    LoftUpField field_;
};

TEST_P(LoftUpParity, EveryStageEqualsTheReference) {
    LoftUpStages stages;
    const at::Tensor output = field_.evaluate(wholeOf(field_.extent()), stages);

    EXPECT_LE(difference(field_.scaledGuidance().unsqueeze(0), golden_["tap.minmax"]).max, 1e-6);
    const auto at = [&](const at::Tensor& rows, const std::string& key) {
        const at::Tensor expected = golden_[key];
        // The large model's taps cover the first 64 of the listed pixels.
        const at::Tensor pixels = golden_.raw("tap.pixels").slice(0, 0, expected.size(0));
        return difference(rowsAt(rows, pixels, field_.extent().width), expected);
    };
    EXPECT_LE(at(stages.fourier, "tap.fourier_at").max, 1e-5);
    EXPECT_LE(at(stages.firstConv, "tap.first_conv_at").max, 1e-4);
    for (const std::size_t block : {0U, 1U})
        EXPECT_LE(at(stages.afterBlock[block], "tap.block" + std::to_string(block) + ".out_at").max,
                  1e-4);
    if (golden_.has("tap.fourier_norm_at")) {
        EXPECT_LE(at(stages.fourierNorm, "tap.fourier_norm_at").max, 1e-5);
        EXPECT_LE(at(stages.conv1, "tap.conv1_at").max, 1e-4);
        EXPECT_LE(difference(field_.tokens().unsqueeze(0), golden_["tap.kv"]).max, 1e-5);
        for (const std::size_t block : {0U, 1U})
            EXPECT_LE(at(stages.afterAttention[block],
                         "tap.block" + std::to_string(block) + ".after_attn_at")
                          .max,
                      1e-4);
    }
    if (golden_.has("output")) {
        const auto gap = difference(output.unsqueeze(0), golden_["output"]);
        EXPECT_LE(gap.max, 1e-4);
        EXPECT_LE(gap.mean, 2e-6);
    } else {
        EXPECT_LE(difference(output.slice(0, 0, 8).unsqueeze(0), golden_["output.first8"]).max,
                  1e-4);
        EXPECT_LE(difference(output.mean(0, true), golden_["output.mean_c"]).max, 1e-5);
    }
    EXPECT_LE(at(output.flatten(1).t(), "output.at").max, 1e-4);
}

TEST_P(LoftUpParity, AttentionOfPixelsEqualsTheReference) {
    const at::Tensor pixels = golden_.raw("tap.attn_pixels").to(at::kLong);
    for (std::int64_t i = 0; i < pixels.size(0); ++i) {
        const auto attention =
            field_.attend({pixels[i][1].item<std::int64_t>(), pixels[i][0].item<std::int64_t>()});
        ASSERT_TRUE(attention.has_value());
        ASSERT_EQ(attention->size(2), field_.gridExtent().height);
        for (const std::int64_t block : {0, 1}) {
            const at::Tensor expected = golden_["tap.block" + std::to_string(block) + ".attn"][i];
            EXPECT_LE(difference((*attention)[block].flatten(1), expected).max, 1e-5);
        }
    }
}

TEST_P(LoftUpParity, TilingDoesNotChangeTheResult) {
    const at::Tensor whole = field_.evaluate(wholeOf(field_.extent()));
    for (const std::int64_t tile : {1, 5, 16, 33}) {
        if (tile == 1 && field_.extent().area() > 700)
            continue; // slow: some 3000 small convolutions
        EXPECT_LE(difference(evaluateInTiles(field_, tile), whole).max, 1e-5)
            << "tiles of " << tile;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Golden, LoftUpParity,
    testing::Values(LoftUpCase{"loftup_tiny", "square"}, LoftUpCase{"loftup_tiny", "nonsquare"},
                    LoftUpCase{"loftup_tiny", "disproportionate"},
                    LoftUpCase{"loftup_tiny", "flat"}, LoftUpCase{"loftup_tiny", "flat_channels"},
                    LoftUpCase{"loftup_tiny", "edge_row1"}, LoftUpCase{"loftup_tiny", "edge_col1"},
                    LoftUpCase{"loftup_tiny", "edge_lr1x1"}, LoftUpCase{"loftup_tiny", "edge_2x2"},
                    LoftUpCase{"loftup_s", "square"}, LoftUpCase{"loftup_s", "nonsquare"}),
    [](const auto& instance) {
        return std::string(instance.param.model) + "_" + instance.param.name;
    });

TEST(LoftUp, RectanglesAtEveryBorderAreExact) {
    const Golden golden("loftup_tiny.nonsquare");
    const LoftUpField field(loftUpWeightsOf("loftup_tiny"), {golden["input.lr"][0]},
                            golden["input.guidance"][0]);
    const at::Tensor expected = golden["output"][0];
    // 84 x 60: corners, strips along each border, one pixel from the border, interior.
    for (const Rect& rect : {Rect{0, 0, 1, 1}, Rect{83, 59, 1, 1}, Rect{0, 0, 84, 1},
                             Rect{0, 59, 84, 1}, Rect{0, 0, 1, 60}, Rect{83, 0, 1, 60},
                             Rect{1, 1, 82, 58}, Rect{2, 2, 3, 7}, Rect{40, 17, 13, 29}}) {
        const at::Tensor part =
            expected.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right());
        EXPECT_LE(difference(field.evaluate(rect), part).max, 1e-4)
            << rect.x << "," << rect.y << " " << rect.width << "x" << rect.height;
    }
}

TEST(LoftUp, EachPictureHasItsOwnColourRange) {
    // The reference shares minimum and maximum within a batch; pictures here are alone.
    const Golden golden("loftup_tiny.batch2");
    for (const std::int64_t i : {0, 1}) {
        const LoftUpField field(loftUpWeightsOf("loftup_tiny"), {golden["input.lr"][i]},
                                golden["input.guidance"][i]);
        const at::Tensor expected = golden["output.item" + std::to_string(i) + "_alone"];
        EXPECT_LE(difference(field.evaluate(wholeOf(field.extent())).unsqueeze(0), expected).max,
                  1e-4);
    }
}

TEST(LoftUp, HalfPrecisionStaysCloseToTheReference) {
    const Golden golden("loftup_s.square");
    const Golden checkpoint("loftup_s.weights");
    const auto weights =
        readLoftUpWeights(checkpoint.state(), specOf(384), c10::kCPU, at::kBFloat16);
    ASSERT_TRUE(weights) << weights.error().message;
    const LoftUpField half(*weights, {golden["input.lr"][0]}, golden["input.guidance"][0]);
    const LoftUpField full(loftUpWeightsOf("loftup_s"), {golden["input.lr"][0]},
                           golden["input.guidance"][0]);
    const at::Tensor a = half.evaluate(wholeOf(half.extent()));
    const at::Tensor b = full.evaluate(wholeOf(full.extent()));
    ASSERT_EQ(a.scalar_type(), at::kFloat);
    const at::Tensor cosine = (a * b).sum(0) / (a.norm(2, 0) * b.norm(2, 0));
    EXPECT_GE(cosine.min().item<double>(), 0.9995);
    const auto gap = difference(a, b);
    EXPECT_LE(gap.max, 0.1);
    EXPECT_LE(gap.mean, 8e-3);
    EXPECT_GT(gap.max, 1e-4) << "nothing was computed in bf16";
}

TEST(LoftUp, StopsInTheMiddleOfATile) {
    const Golden golden("loftup_tiny.nonsquare");
    const Golden checkpoint("loftup_tiny.weights");
    for (const auto arithmetic : {at::kFloat, at::kBFloat16}) {
        const auto weights =
            readLoftUpWeights(checkpoint.state(), specOf(32), c10::kCPU, arithmetic);
        ASSERT_TRUE(weights) << weights.error().message;
        const LoftUpField field(*weights, {golden["input.lr"][0]}, golden["input.guidance"][0]);
        std::stop_source stop;
        const std::stop_token token = stop.get_token();
        const StopScope scope(token);
        EXPECT_EQ(field.evaluate({0, 0, 3, 3}).size(0), 32);
        stop.request_stop();
        EXPECT_THROW(field.evaluate({0, 0, 3, 3}), Cancelled);
    }
}

TEST(LoftUp, EverySoManythPixelIsWhatItIsInTheWholeMap) {
    const Golden golden("loftup_tiny.nonsquare");
    const Golden checkpoint("loftup_tiny.weights");
    const auto halfWeights =
        readLoftUpWeights(checkpoint.state(), specOf(32), c10::kCPU, at::kBFloat16);
    ASSERT_TRUE(halfWeights) << halfWeights.error().message;
    const at::Tensor photo =
        at::randint(0, 256, {3, 60, 84}, at::make_generator<at::CPUGeneratorImpl>(7)) / 255.0;
    for (const at::Tensor& guidance : {photo, golden["input.guidance"][0]}) {
        const LoftUpField full(loftUpWeightsOf("loftup_tiny"), {golden["input.lr"][0]}, guidance);
        const LoftUpField half(*halfWeights, {golden["input.lr"][0]}, guidance);
        const Rect rect{0, 3, 84, 57}; // both borders
        const at::Tensor whole = full.evaluate(rect);
        for (const std::int64_t stride : {1, 4, 7, 83}) {
            const at::Tensor expected = whole.slice(1, 0, 57, stride).slice(2, 0, 84, stride);
            EXPECT_LE(difference(full.evaluateEvery(rect, stride), expected).max, 2e-5) << stride;
            EXPECT_LE(difference(full.FeatureField::evaluateEvery(rect, stride), expected).max,
                      2e-5)
                << stride;
            EXPECT_LE(difference(half.evaluateEvery(rect, stride), expected).mean, 2e-2) << stride;
        }
    }
}

TEST(LoftUp, HalfPrecisionOfAPixelDoesNotDependOnTheRectangle) {
    const Golden golden("loftup_tiny.nonsquare");
    const Golden checkpoint("loftup_tiny.weights");
    const auto weights =
        readLoftUpWeights(checkpoint.state(), specOf(32), c10::kCPU, at::kBFloat16);
    ASSERT_TRUE(weights) << weights.error().message;
    const at::Tensor photo =
        at::randint(0, 256, {3, 60, 84}, at::make_generator<at::CPUGeneratorImpl>(7)) / 255.0;
    // By table, and by plain convolution of a guidance of many levels.
    for (const at::Tensor& guidance : {photo, golden["input.guidance"][0]}) {
        const LoftUpField half(*weights, {golden["input.lr"][0]}, guidance);
        const LoftUpField full(loftUpWeightsOf("loftup_tiny"), {golden["input.lr"][0]}, guidance);
        const at::Tensor whole = half.evaluate(wholeOf(half.extent()));
        const at::Tensor exact = full.evaluate(wholeOf(full.extent()));
        const at::Tensor cosine = (whole * exact).sum(0) / (whole.norm(2, 0) * exact.norm(2, 0));
        EXPECT_GE(cosine.min().item<double>(), 0.998); // 32 channels average less than 384
        for (const Rect& rect : {Rect{0, 0, 1, 1}, Rect{83, 59, 1, 1}, Rect{0, 0, 84, 1},
                                 Rect{83, 0, 1, 60}, Rect{2, 2, 3, 7}, Rect{41, 17, 13, 29}}) {
            const at::Tensor part =
                whole.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right());
            EXPECT_LE(difference(half.evaluate(rect), part).max, 1e-5)
                << rect.x << "," << rect.y << " " << rect.width << "x" << rect.height;
        }
    }
}

TEST(LoftUp, PhotosOfEightBitsAreConvolvedByTableWithTheSameResult) {
    const Golden golden("loftup_tiny.nonsquare");
    const auto weights = loftUpWeightsOf("loftup_tiny");
    // A line and a point have borders on both sides at once.
    for (const auto& [height, width] : {std::pair{40, 57}, std::pair{1, 30}, std::pair{30, 1},
                                        std::pair{2, 3}, std::pair{1, 1}}) {
        const at::Tensor photo =
            at::randint(0, 256, {3, height, width}, at::make_generator<at::CPUGeneratorImpl>(7));
        const LoftUpField field(weights, {golden["input.lr"][0]}, photo / 255.0);
        LoftUpStages stages;
        const Rect whole = wholeOf(field.extent());
        const at::Tensor plain = field.evaluate(whole, stages);
        EXPECT_LE(difference(field.evaluate(whole), plain).max, 2e-5) << width << "x" << height;
        EXPECT_GT(plain.abs().max().item<double>(), 0.5);
        const Rect corner{width / 2, height / 2, width - width / 2, height - height / 2};
        EXPECT_LE(
            difference(field.evaluate(corner), plain.slice(1, corner.y).slice(2, corner.x)).max,
            2e-5);
    }
}

TEST(LoftUp, RefusesFeaturesOfAnotherWidthByNamingBoth) {
    const Golden golden("loftup_tiny.weights");
    const auto upsampler = makeLoftUp(golden.state(), specOf(32));
    ASSERT_TRUE(upsampler.has_value());
    const auto field = (*upsampler)->bind({at::zeros({48, 3, 3})}, {{8, 8}, at::zeros({3, 8, 8})});
    ASSERT_FALSE(field.has_value());
    EXPECT_EQ(field.error().code, ErrorCode::Mismatch);
    EXPECT_NE(field.error().message.find("32"), std::string::npos);
    EXPECT_NE(field.error().message.find("48"), std::string::npos);
}

TEST(LoftUp, NamesMissingParameters) {
    StateDict state = Golden("loftup_tiny.weights").state();
    state.erase("upsampler.first_conv.4.weight");
    const auto upsampler = makeLoftUp(state, specOf(32));
    ASSERT_FALSE(upsampler.has_value());
    EXPECT_NE(upsampler.error().message.find("upsampler.first_conv.4.weight"), std::string::npos);
}

TEST(CoordinateEncoder, LinspaceAndFrequenciesAreBitEqualToTorch) {
    const Golden golden("fourier.constants");
    for (const auto& [key, expected] : golden.state()) {
        if (!key.starts_with("linspace_")) continue;
        const auto values = torchLinspace(-1.0F, 1.0F, expected.numel());
        for (std::int64_t i = 0; i < expected.numel(); ++i)
            EXPECT_EQ(values[static_cast<std::size_t>(i)], expected[i].item<float>())
                << key << " " << i;
    }
    for (const std::int64_t count : {5, 20}) {
        const auto values = encoderFrequencies(count);
        const at::Tensor expected = golden["freqs" + std::to_string(count)];
        for (std::int64_t i = 0; i < count; ++i)
            EXPECT_EQ(values[static_cast<std::size_t>(i)], expected[i].item<float>());
    }
}

} // namespace
} // namespace loftscope
