// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/interpolation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace loftscope {

namespace {

constexpr std::array kinds{Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic};

/// Cubic convolution with a = -0.75 at distances t + 1, t, 1 - t and 2 - t of the four taps; in
/// double, because the polynomials lose digits in fp32.
std::array<float, 4> cubicTaps(double t) {
    constexpr double a = -0.75;
    const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
    const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
    const auto rounded = [](double x) { return static_cast<float>(x); };
    return {rounded(far(t + 1)), rounded(near(t)), rounded(near(1 - t)), rounded(far(2 - t))};
}

class InterpolatedField final : public FeatureField {
public:
    InterpolatedField(Interpolation kind, FeatureGrid low, Extent extent)
        : kind_(kind)
        , low_(std::move(low))
        , extent_(extent) {}

    Extent extent() const override { return extent_; }
    std::int64_t channels() const override { return low_.channels(); }
    Extent gridExtent() const override { return low_.extent(); }

    at::Tensor evaluate(const Rect& rect) const override {
        const at::NoGradGuard noGrad;
        // The interpolation is separable: rows * values * columns^T, over the few grid rows and
        // columns that take part.
        const InterpolationAxis rows =
            axis(low_.extent().height, extent_.height, rect.y, rect.height);
        const InterpolationAxis columns =
            axis(low_.extent().width, extent_.width, rect.x, rect.width);
        const at::Tensor values =
            low_.values.slice(1, rows.first, rows.last).slice(2, columns.first, columns.last);
        return at::matmul(rows.weights, at::matmul(values, columns.weights.t()));
    }

    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::Tensor row =
            interpolationWeights(kind_, low_.extent().height, extent_.height, pixel.y, 1);
        const at::Tensor column =
            interpolationWeights(kind_, low_.extent().width, extent_.width, pixel.x, 1);
        return at::matmul(row.t(), column).unsqueeze(0).unsqueeze(0);
    }

private:
    InterpolationAxis axis(std::int64_t inputSize, std::int64_t outputSize, std::int64_t begin,
                           std::int64_t count) const {
        InterpolationAxis axis = interpolationAxis(kind_, inputSize, outputSize, begin, count);
        axis.weights = axis.weights.to(low_.values.device());
        return axis;
    }

    Interpolation kind_;
    FeatureGrid low_;
    Extent extent_;
};

class InterpolationUpsampler final : public Upsampler {
public:
    explicit InterpolationUpsampler(Interpolation kind)
        : kind_(kind) {}

    std::string name() const override { return std::string(nameOf(kind_)); }
    bool needsGuidance() const override { return false; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& /*context*/) const override {
        if (low.extent().area() == 0 || guidance.extent.area() == 0) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("Cannot interpolate a {} x {} grid to {} x {}: both must have "
                                    "at least one sample.",
                                    low.extent().width, low.extent().height, guidance.extent.width,
                                    guidance.extent.height));
        }
        return std::make_unique<InterpolatedField>(kind_, low, guidance.extent);
    }

private:
    Interpolation kind_;
};

} // namespace

std::string_view nameOf(Interpolation kind) {
    switch (kind) {
    case Interpolation::Nearest:
        return "nearest";
    case Interpolation::Bilinear:
        return "bilinear";
    case Interpolation::Bicubic:
        return "bicubic";
    }
    return "";
}

std::optional<Interpolation> interpolationNamed(std::string_view name) {
    for (const Interpolation kind : kinds)
        if (name == nameOf(kind)) return kind;
    return std::nullopt;
}

at::Tensor interpolationWeights(Interpolation kind, std::int64_t inputSize, std::int64_t outputSize,
                                std::int64_t begin, std::int64_t count) {
    at::Tensor weights = at::zeros({count, inputSize}, at::kFloat);
    auto* const data = weights.mutable_data_ptr<float>();
    // fp32 and with a fused multiply-add, as PyTorch's build computes source positions.
    const float scale = static_cast<float>(inputSize) / static_cast<float>(outputSize);
    const auto clamped = [&](std::int64_t i) {
        return std::clamp<std::int64_t>(i, 0, inputSize - 1);
    };
    for (std::int64_t i = 0; i < count; ++i) {
        float* const row = data + i * inputSize;
        const auto output = static_cast<float>(begin + i);
        if (kind == Interpolation::Nearest) {
            row[clamped(static_cast<std::int64_t>(std::floor(output * scale)))] = 1;
            continue;
        }
        const float source = std::fma(scale, output + 0.5F, -0.5F);
        if (kind == Interpolation::Bilinear) {
            const float position = std::max(source, 0.0F);
            const auto low = clamped(static_cast<std::int64_t>(position));
            const float t = position - static_cast<float>(low);
            row[low] += 1 - t;
            row[clamped(low + 1)] += t;
        } else {
            const float base = std::floor(source);
            const std::array<float, 4> taps = cubicTaps(static_cast<double>(source - base));
            for (std::int64_t tap = 0; tap < 4; ++tap)
                row[clamped(static_cast<std::int64_t>(base) - 1 + tap)] +=
                    taps[static_cast<std::size_t>(tap)];
        }
    }
    return weights;
}

InterpolationAxis interpolationAxis(Interpolation kind, std::int64_t inputSize,
                                    std::int64_t outputSize, std::int64_t begin,
                                    std::int64_t count) {
    const at::Tensor weights = interpolationWeights(kind, inputSize, outputSize, begin, count);
    // Every row counts: where the first sample lies exactly on an input sample, it has one tap and
    // its neighbour may reach further.
    const auto* const data = weights.const_data_ptr<float>();
    std::int64_t first = inputSize;
    std::int64_t last = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        const float* const row = data + i * inputSize;
        for (std::int64_t k = 0; k < inputSize; ++k) {
            if (row[k] == 0) continue;
            first = std::min(first, k);
            last = std::max(last, k + 1);
        }
    }
    return {weights.slice(1, first, last), first, last};
}

std::unique_ptr<Upsampler> makeInterpolation(Interpolation kind) {
    return std::make_unique<InterpolationUpsampler>(kind);
}

std::unique_ptr<FeatureField> makeGridField(const FeatureGrid& low) {
    return std::make_unique<InterpolatedField>(Interpolation::Nearest, low, low.extent());
}

} // namespace loftscope
