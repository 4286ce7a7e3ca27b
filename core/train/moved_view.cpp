// SPDX-License-Identifier: Apache-2.0
#include "core/train/moved_view.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/affine_grid_generator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/grid_sampler.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <cstdint>

namespace loftscope {

namespace {

enum class Sampling : std::int64_t { Bilinear = 0, Nearest = 1 }; // LibTorch's numbers
constexpr std::int64_t mirrored = 2;

at::Tensor sampled(const at::Tensor& planes, const at::Tensor& places, Sampling sampling) {
    return at::grid_sampler(planes.unsqueeze(0), places, static_cast<std::int64_t>(sampling),
                            mirrored, false)[0];
}

/// 1 x H x W x 2: the place in `planes` (C x H x W) that each pixel of the view shows.
at::Tensor placesOf(const at::Tensor& planes, const Motion& motion) {
    const auto height = static_cast<double>(planes.size(1));
    const auto width = static_cast<double>(planes.size(2));
    const double cosine = std::cos(motion.angle) / motion.zoom;
    const double sine = std::sin(motion.angle) / motion.zoom;
    // Coordinates of the grid run from -1 to 1 along either side: turning has to undo their aspect.
    const at::Tensor place = at::tensor({cosine, -sine * height / width, motion.shiftX,
                                         sine * width / height, cosine, motion.shiftY})
                                 .view({1, 2, 3})
                                 .to(planes.options());
    return at::affine_grid_generator(place, {1, 1, planes.size(1), planes.size(2)}, false);
}

/// `planes`: C x H x W.
at::Tensor moved(const at::Tensor& planes, const MovedView& view, Sampling sampling) {
    at::Tensor places = placesOf(planes, view.motion);
    if (view.mask.defined()) {
        const at::Tensor front = placesOf(planes, view.maskMotion);
        const at::Tensor covered =
            sampled(view.mask.to(planes.options()).unsqueeze(0), front, Sampling::Nearest);
        places = at::where(covered.gt(0.5).unsqueeze(3), front, places);
    }
    return sampled(planes, places, sampling);
}

Motion sampleMotion(const MovedViewRange& range, CounterRandom& random) {
    const auto around = [&random](double by) { return random.uniform(-by, by); };
    Motion motion;
    motion.zoom = std::exp(around(range.zoom));
    motion.angle = around(range.angle);
    motion.shiftX = around(range.shift);
    motion.shiftY = around(range.shift);
    return motion;
}

} // namespace

MovedView sampleMovedView(const MovedViewRange& range, CounterRandom& random) {
    const auto factor = [&] { return random.uniform(1 - range.color, 1 + range.color); };
    MovedView view;
    view.motion = sampleMotion(range, random);
    view.brightness = factor();
    view.contrast = factor();
    view.saturation = factor();
    view.noise = random.uniform(0, range.noise);
    return view;
}

void sampleMovingMask(MovedView& view, const at::Tensor& labels, const MovedViewRange& range,
                      CounterRandom& random) {
    constexpr int draws = 8;
    constexpr double smallest = 0.01;
    constexpr double largest = 0.4;
    const at::Tensor pixels = labels.flatten();
    for (int draw = 0; draw < draws; ++draw) {
        const auto label = pixels[random.below(pixels.size(0))].item<std::int64_t>();
        if (label < 0) continue;
        const at::Tensor mask = labels.eq(label);
        const double share = static_cast<double>(mask.sum().item<std::int64_t>()) /
                             static_cast<double>(mask.numel());
        if (share < smallest || share > largest) continue;
        view.mask = mask;
        view.maskMotion = sampleMotion(range, random);
        return;
    }
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
