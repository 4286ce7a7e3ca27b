// SPDX-License-Identifier: Apache-2.0
#include "core/weights/state_dict.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

namespace loftscope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StateDict smallState() {
    return {{"blocks.0.norm.weight", at::ones({4})},
            {"blocks.0.norm.bias", at::ones({4})},
            {"blocks.1.norm.weight", at::ones({5})},
            {"mask_token", at::ones({1, 4})},
            {"stray", at::ones({1})}};
}

TEST(WeightScope, ReadsAlongTheKeyPathAndKeepsAccount) {
    const WeightScope weights(smallState());
    const WeightScope first = weights["blocks"][0]["norm"];
    EXPECT_EQ(first.key("weight"), "blocks.0.norm.weight");
    EXPECT_TRUE(at::equal(first("weight", {4}), at::ones({4})));
    EXPECT_EQ(first("bias", {-1}).size(0), 4);
    weights.ignore("mask_token");

    const at::Tensor wrong = weights["blocks"][1]["norm"]("weight", {4});
    const at::Tensor absent = weights["blocks"][1]["norm"]("bias", {4, -1});
    EXPECT_EQ(wrong.sizes(), at::IntArrayRef({4}));
    EXPECT_EQ(wrong.abs().sum().item<float>(), 0.0F);
    EXPECT_EQ(absent.sizes(), at::IntArrayRef({4, 1}));

    const WeightAccount account = weights.account();
    EXPECT_THAT(account.missing, ElementsAre("blocks.1.norm.bias"));
    EXPECT_THAT(account.misshapen, ElementsAre("blocks.1.norm.weight: has 5, needs 4"));
    EXPECT_THAT(account.surplus, ElementsAre("stray"));

    const Result<void> complete = requireComplete(account, "the small model");
    ASSERT_FALSE(complete);
    EXPECT_EQ(complete.error().code, ErrorCode::Mismatch);
    EXPECT_THAT(complete.error().message, HasSubstr("the small model"));
    EXPECT_THAT(complete.error().message, HasSubstr("blocks.1.norm.bias"));
    EXPECT_THAT(complete.error().message, HasSubstr("blocks.1.norm.weight: has 5, needs 4"));
}

TEST(WeightScope, OptionalParametersAreNotMissing) {
    const WeightScope weights(smallState());
    EXPECT_FALSE(weights.optional("register_tokens", {1, 4, 4}));
    EXPECT_TRUE(weights.optional("stray", {1}));
    EXPECT_FALSE(weights.optional("mask_token", {1, 5}));
    const WeightAccount account = weights.account();
    EXPECT_THAT(account.missing, IsEmpty());
    EXPECT_THAT(account.misshapen, ElementsAre("mask_token: has 1 x 4, needs 1 x 5"));
    EXPECT_TRUE(requireComplete(WeightAccount{}, "anything"));
}

TEST(WeightScope, LongListsAreCutInMessages) {
    WeightAccount account;
    for (int i = 0; i < 10; ++i)
        account.missing.push_back("key" + std::to_string(i));
    const Result<void> complete = requireComplete(account, "a model");
    ASSERT_FALSE(complete);
    EXPECT_THAT(complete.error().message, HasSubstr("key0, key1, key2 and 7 more"));
}

TEST(WeightScope, HalfPrecisionBecomesFloatExactly) {
    // Every fp16 and every bf16 value, NaN aside, is one fp32 value.
    const at::Tensor bits = at::arange(-32768, 32768, at::TensorOptions(at::kShort));
    for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
        const at::Tensor narrow = bits.view(type);
        const at::Tensor wide = WeightScope({{"w", narrow}})("w", {65536});
        ASSERT_EQ(wide.scalar_type(), at::kFloat);
        const at::Tensor back = wide.to(type).view(at::kShort);
        const at::Tensor numbers = wide.eq(wide);
        EXPECT_TRUE(at::equal(back.masked_select(numbers), bits.masked_select(numbers)));
        const auto values = wide.accessor<float, 1>();
        // 0x3C01: 1 + 2^-10 as fp16; 0x3F81: 1 + 2^-7 as bf16.
        const bool half = type == at::kHalf;
        EXPECT_EQ(values[32768 + (half ? 0x3C01 : 0x3F81)], half ? 1.0009765625F : 1.0078125F);
    }
}

TEST(StripCommonPrefixes, RemovesWrappersSharedByEveryKey) {
    StateDict state{{"module.model.a", at::ones({1})}, {"module.model.b.c", at::ones({1})}};
    EXPECT_THAT(stripCommonPrefixes(state), ElementsAre("module.", "model."));
    EXPECT_TRUE(state.contains("a"));
    EXPECT_TRUE(state.contains("b.c"));
    EXPECT_THAT(stripCommonPrefixes(state), IsEmpty());

    StateDict mixed{{"model.a", at::ones({1})}, {"upsampler.b", at::ones({1})}};
    EXPECT_THAT(stripCommonPrefixes(mixed), IsEmpty());
    StateDict bare{{"model.", at::ones({1})}};
    EXPECT_THAT(stripCommonPrefixes(bare), IsEmpty());
    StateDict empty;
    EXPECT_THAT(stripCommonPrefixes(empty), IsEmpty());
}

} // namespace
} // namespace loftscope
