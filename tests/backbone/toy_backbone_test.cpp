// SPDX-License-Identifier: Apache-2.0
// What a newcomer has to write is enough: a backbone of one file runs, is recognised and upsampled.
#include "core/upsample/interpolation.h"
#include "tests/backbone/toy_backbone.h"
#include "tests/support/golden.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace loftscope {
namespace {

TEST(ToyBackbone, IsRecognisedBuiltRunAndUpsampled) {
    const BackboneFamily family{"toy", test::recogniseToy};
    EXPECT_FALSE(family.recognise({{"other.weight", at::ones({2, 3})}}, {})->has_value());

    const at::Tensor weight = at::tensor({1.0F, 0.0F, 0.0F, 0.0F, 0.5F, 0.5F}).view({2, 3});
    const auto candidate = family.recognise({{"toy.weight", weight}}, {});
    ASSERT_TRUE(candidate.has_value() && candidate->has_value());
    EXPECT_TRUE((*candidate)->identity.account.complete());
    const auto backbone = (*candidate)->build(c10::kCPU);
    ASSERT_TRUE(backbone.has_value());

    at::Tensor picture = at::zeros({1, 3, 16, 24});
    picture.select(1, 0).fill_(0.25);
    picture.select(1, 2).fill_(1.0);
    const auto output = (*backbone)->run(picture, {}, {});
    ASSERT_TRUE(output.has_value());
    EXPECT_EQ(output->tokens.extent(), (Extent{2, 3}));
    const auto field =
        makeInterpolation(Interpolation::Bilinear)->bind(output->tokens, {{16, 24}, {}});
    const at::Tensor map = (*field)->evaluate({0, 0, 24, 16});
    EXPECT_LE(test::difference(map[0], at::full({16, 24}, 0.25F)).max, 1e-6);
    EXPECT_LE(test::difference(map[1], at::full({16, 24}, 0.5F)).max, 1e-6);
}

TEST(ToyBackbone, SaysWhatItCannotDo) {
    const test::ToyBackbone backbone(at::ones({4, 3}));
    EXPECT_EQ(backbone.run(at::zeros({1, 3, 12, 16}), {}, {}).error().code,
              ErrorCode::InvalidArgument);
    BackboneTaps taps;
    taps.attention = true;
    EXPECT_EQ(backbone.run(at::zeros({1, 3, 16, 16}), taps, {}).error().code,
              ErrorCode::Unsupported);
}

} // namespace
} // namespace loftscope
