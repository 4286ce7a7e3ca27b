// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/tf32_upsampler.h"

#include <ATen/Context.h>

#include <mutex>
#include <utility>

namespace loftscope {

namespace {

void countScopes(int change) {
    static std::mutex mutex;
    static int scopes = 0;
    const std::lock_guard lock(mutex);
    scopes += change;
    at::globalContext().setAllowTF32CuBLAS(scopes > 0);
    at::globalContext().setAllowTF32CuDNN(scopes > 0);
}

class Tf32Field final : public FeatureField {
public:
    explicit Tf32Field(std::unique_ptr<FeatureField> field)
        : field_(std::move(field)) {}

    Extent extent() const override { return field_->extent(); }
    std::int64_t channels() const override { return field_->channels(); }
    Extent gridExtent() const override { return field_->gridExtent(); }
    at::Tensor evaluate(const Rect& rect) const override {
        const Tf32Scope scope;
        return field_->evaluate(rect);
    }
    at::Tensor evaluateEvery(const Rect& rect, std::int64_t stride) const override {
        const Tf32Scope scope;
        return field_->evaluateEvery(rect, stride);
    }
    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const Tf32Scope scope;
        return field_->attend(pixel);
    }

private:
    std::unique_ptr<FeatureField> field_;
};

class Tf32Upsampler final : public Upsampler {
public:
    explicit Tf32Upsampler(std::unique_ptr<Upsampler> upsampler)
        : upsampler_(std::move(upsampler)) {}

    std::string name() const override { return upsampler_->name(); }
    bool needsGuidance() const override { return upsampler_->needsGuidance(); }
    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& context) const override {
        const Tf32Scope scope;
        LOFTSCOPE_TRY(auto field, upsampler_->bind(low, guidance, context));
        return std::make_unique<Tf32Field>(std::move(field));
    }

private:
    std::unique_ptr<Upsampler> upsampler_;
};

} // namespace

Tf32Scope::Tf32Scope() {
    countScopes(1);
}

Tf32Scope::~Tf32Scope() {
    countScopes(-1);
}

std::unique_ptr<Upsampler> makeTf32Upsampler(std::unique_ptr<Upsampler> upsampler) {
    return std::make_unique<Tf32Upsampler>(std::move(upsampler));
}

} // namespace loftscope
