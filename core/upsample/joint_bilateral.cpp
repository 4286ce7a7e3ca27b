// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/joint_bilateral.h"

#include "core/base/guard.h"
#include "core/upsample/coordinate_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <vector>

namespace loftscope {

namespace {

class JointBilateralField final : public FeatureField {
public:
    JointBilateralField(const JointBilateralOptions& options, const FeatureGrid& low,
                        const Guidance& guidance)
        : options_(options)
        , low_(low)
        , extent_(guidance.extent) {
        const at::NoGradGuard noGrad;
        colors_ = scaleToUnitRange(guidance.picture.to(low.values.device()));
        lowColors_ = at::adaptive_avg_pool2d(colors_, {low.extent().height, low.extent().width});
    }

    Extent extent() const override { return extent_; }
    std::int64_t channels() const override { return low_.channels(); }
    Extent gridExtent() const override { return low_.extent(); }

    at::Tensor evaluate(const Rect& rect) const override {
        const at::NoGradGuard noGrad;
        const at::Tensor features = low_.values.flatten(1);
        at::Tensor sum = at::zeros({channels(), rect.area()}, features.options());
        for (const Tap& tap : taps(rect))
            sum += features.index_select(1, tap.token) * tap.weight;
        return sum.view({channels(), rect.height, rect.width});
    }

    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        const at::NoGradGuard noGrad;
        at::Tensor map = at::zeros({gridExtent().area()}, low_.values.options());
        for (const Tap& tap : taps({pixel.x, pixel.y, 1, 1}))
            map.index_add_(0, tap.token, tap.weight);
        return map.view({1, 1, gridExtent().height, gridExtent().width});
    }

private:
    /// One offset of the window, for every pixel of a rectangle.
    struct Tap {
        at::Tensor token;  ///< P: index of the low-resolution token
        at::Tensor weight; ///< P: normalised over the window
    };

    /// Where pixel centres lie in units of cells (cell centres at whole numbers), P = h * w.
    at::Tensor cellCoordinates(std::int64_t begin, std::int64_t count, std::int64_t cells,
                               std::int64_t pixels) const {
        const at::Tensor centres = at::arange(begin, begin + count, low_.values.options()) + 0.5;
        return centres * (static_cast<double>(cells) / static_cast<double>(pixels)) - 0.5;
    }

    std::vector<Tap> taps(const Rect& rect) const {
        const Extent grid = gridExtent();
        const std::vector<std::int64_t> shape{rect.height, rect.width};
        const at::Tensor y = cellCoordinates(rect.y, rect.height, grid.height, extent_.height)
                                 .unsqueeze(1)
                                 .expand(shape)
                                 .flatten();
        const at::Tensor x = cellCoordinates(rect.x, rect.width, grid.width, extent_.width)
                                 .unsqueeze(0)
                                 .expand(shape)
                                 .flatten();
        const at::Tensor color = colors_.slice(1, rect.y, rect.bottom())
                                     .slice(2, rect.x, rect.right())
                                     .flatten(1);          // 3 x P
        const at::Tensor lowColor = lowColors_.flatten(1); // 3 x N

        std::vector<Tap> window;
        std::vector<at::Tensor> logits;
        for (std::int64_t dy = -options_.radius; dy <= options_.radius; ++dy) {
            for (std::int64_t dx = -options_.radius; dx <= options_.radius; ++dx) {
                const at::Tensor row = y.round() + static_cast<double>(dy);
                const at::Tensor column = x.round() + static_cast<double>(dx);
                const at::Tensor inside = (row >= 0)
                                              .logical_and(row < grid.height)
                                              .logical_and(column >= 0)
                                              .logical_and(column < grid.width);
                const at::Tensor token =
                    (row.clamp(0, grid.height - 1) * static_cast<double>(grid.width) +
                     column.clamp(0, grid.width - 1))
                        .to(at::kLong);
                const at::Tensor distance = ((row - y).square() + (column - x).square()) /
                                            (2 * options_.sigmaSpatial * options_.sigmaSpatial);
                const at::Tensor contrast =
                    (color - lowColor.index_select(1, token)).square().sum(0) /
                    (2 * options_.sigmaRange * options_.sigmaRange);
                window.push_back({token, {}});
                logits.push_back((-(distance + contrast)).masked_fill(inside.logical_not(), -1e30));
            }
        }
        // A softmax of the exponents: where every colour is far off, the nearest one counts instead
        // of 0 / 0.
        const at::Tensor weights = at::stack(logits).softmax(0);
        for (std::size_t i = 0; i < window.size(); ++i)
            window[i].weight = weights[static_cast<std::int64_t>(i)];
        return window;
    }

    JointBilateralOptions options_;
    FeatureGrid low_;
    Extent extent_;
    at::Tensor colors_;    ///< 3 x H x W, each channel over a range of 1
    at::Tensor lowColors_; ///< 3 x h x w, their means per cell
};

class JointBilateralUpsampler final : public Upsampler {
public:
    explicit JointBilateralUpsampler(const JointBilateralOptions& options)
        : options_(options) {}

    std::string name() const override { return "JBU"; }
    bool needsGuidance() const override { return true; }

    Result<std::unique_ptr<FeatureField>> bind(const FeatureGrid& low, const Guidance& guidance,
                                               const RunContext& /*context*/) const override {
        if (low.extent().area() == 0 || guidance.extent.area() == 0 || !guidance.picture.defined())
            return fail(ErrorCode::InvalidArgument, "Joint bilateral upsampling needs features and "
                                                    "a guidance picture that are not empty.");
        return guarded("binding joint bilateral upsampling to the picture",
                       [&]() -> std::unique_ptr<FeatureField> {
                           return std::make_unique<JointBilateralField>(options_, low, guidance);
                       });
    }

private:
    JointBilateralOptions options_;
};

} // namespace

std::unique_ptr<Upsampler> makeJointBilateral(const JointBilateralOptions& options) {
    return std::make_unique<JointBilateralUpsampler>(options);
}

} // namespace loftscope
