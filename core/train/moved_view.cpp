// SPDX-License-Identifier: Apache-2.0
#include "core/train/moved_view.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/affine_grid_generator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/grid_sampler.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <cstdint>

namespace loftscope {

namespace {

enum class Sampling : std::int64_t { Bilinear = 0, Nearest = 1 }; // LibTorch's numbers
constexpr std::int64_t mirrored = 2;

/// `planes`: C x H x W.
at::Tensor moved(const at::Tensor& planes, const MovedView& view, Sampling sampling) {
    const auto height = static_cast<double>(planes.size(1));
    const auto width = static_cast<double>(planes.size(2));
    const double cosine = std::cos(view.angle) / view.zoom;
    const double sine = std::sin(view.angle) / view.zoom;
    // Coordinates of the grid run from -1 to 1 along either side: turning has to undo their aspect.
    const at::Tensor place = at::tensor({cosine, -sine * height / width, view.shiftX,
                                         sine * width / height, cosine, view.shiftY})
                                 .view({1, 2, 3})
                                 .to(planes.options());
    const at::Tensor grid =
        at::affine_grid_generator(place, {1, 1, planes.size(1), planes.size(2)}, false);
    return at::grid_sampler(planes.unsqueeze(0), grid, static_cast<std::int64_t>(sampling),
                            mirrored, false)[0];
}

} // namespace

MovedView sampleMovedView(const MovedViewRange& range, CounterRandom& random) {
    const auto around = [&random](double middle, double by) {
        return random.uniform(middle - by, middle + by);
    };
    MovedView view;
    view.zoom = std::exp(around(0, range.zoom));
    view.angle = around(0, range.angle);
    view.shiftX = around(0, range.shift);
    view.shiftY = around(0, range.shift);
    view.brightness = around(1, range.color);
    view.contrast = around(1, range.color);
    view.saturation = around(1, range.color);
    view.noise = random.uniform(0, range.noise);
    return view;
}

at::Tensor movedPicture(const at::Tensor& picture, const MovedView& view, CounterRandom random) {
    const at::Tensor seen = moved(picture, view, Sampling::Bilinear);
    const at::Tensor grey = seen.mean(0, true);
    const at::Tensor saturated = grey + (seen - grey) * view.saturation;
    const at::Tensor mean = saturated.mean();
    const at::Tensor lit = ((saturated - mean) * view.contrast + mean) * view.brightness;
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.next());
    const at::Tensor noise = at::empty(lit.sizes()).normal_(0, 1, generator).to(lit.device());
    return (lit + noise * view.noise).clamp(0, 1);
}

at::Tensor movedLabels(const at::Tensor& labels, const MovedView& view) {
    // Every label below 2^53 survives fp64.
    const at::Tensor planes = labels.to(at::kDouble).unsqueeze(0);
    return moved(planes, view, Sampling::Nearest)[0].round().to(at::kLong);
}

} // namespace loftscope
