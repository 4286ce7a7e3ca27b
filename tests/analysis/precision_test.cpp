// SPDX-License-Identifier: Apache-2.0
// Precisions, and TF32 for one upsampler alone.
#include "core/upsample/precision.h"
#include "core/upsample/tf32_upsampler.h"

#include <ATen/Context.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace loftscope {
namespace {

bool tf32Allowed() {
    return at::globalContext().allowTF32CuBLAS() && at::globalContext().allowTF32CuDNN();
}

class AskingField final : public FeatureField {
public:
    Extent extent() const override { return {1, 1}; }
    std::int64_t channels() const override { return 1; }
    Extent gridExtent() const override { return {1, 1}; }
    at::Tensor evaluate(const Rect& rect) const override {
        EXPECT_TRUE(tf32Allowed());
        if (rect.width > 1) throw std::runtime_error("out of memory");
        return at::zeros({1, 1, 1});
    }
    at::Tensor evaluateEvery(const Rect& rect, std::int64_t) const override {
        return evaluate(rect);
    }
    std::optional<at::Tensor> attend(const Pixel&) const override {
        EXPECT_TRUE(tf32Allowed());
        return std::nullopt;
    }
};

class AskingUpsampler final : public Upsampler {
public:
    std::string name() const override { return "asking"; }
    bool needsGuidance() const override { return true; }
    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid&, const Guidance&,
                                               const RunContext&) const override {
        EXPECT_TRUE(tf32Allowed());
        return std::make_unique<AskingField>();
    }
};

TEST(Tf32, IsAllowedWhileItsUpsamplerWorksAndNeverElse) {
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setAllowTF32CuDNN(false);
    const auto upsampler = makeTf32Upsampler(std::make_unique<AskingUpsampler>());
    EXPECT_EQ(upsampler->name(), "asking");
    EXPECT_TRUE(upsampler->needsGuidance());
    const auto field = upsampler->bind({}, {});
    ASSERT_TRUE(field);
    EXPECT_FALSE(tf32Allowed());
    (*field)->evaluate({0, 0, 1, 1});
    (*field)->evaluateEvery({0, 0, 1, 1}, 2);
    (*field)->attend({0, 0});
    EXPECT_THROW((*field)->evaluate({0, 0, 2, 1}), std::runtime_error);
    EXPECT_FALSE(tf32Allowed());
    {
        const Tf32Scope other; // another thread's tile, say
        (*field)->evaluate({0, 0, 1, 1});
        EXPECT_TRUE(tf32Allowed());
    }
    EXPECT_FALSE(tf32Allowed());
}

TEST(Precisions, HaveNamesAndTypes) {
    for (const std::string& name : precisionNames())
        EXPECT_EQ(nameOf(precisionNamed(name).value()), name);
    EXPECT_FALSE(precisionNamed("fp8"));
    EXPECT_EQ(scalarTypeOf(Precision::Tf32), c10::ScalarType::Float);
    EXPECT_EQ(scalarTypeOf(Precision::Fp16), c10::ScalarType::Half);
    EXPECT_TRUE(needsGpu(Precision::Tf32));
    EXPECT_FALSE(needsGpu(Precision::Bf16));
}

} // namespace
} // namespace loftscope
