// SPDX-License-Identifier: Apache-2.0
#include "core/train/training_preview.h"

#include "core/analysis/pca.h"
#include "core/train/normalised_pictures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <c10/core/GradMode.h>

#include <stdexcept>

namespace loftscope {

namespace {

PcaBasis basisOf(const at::Tensor& map) {
    Moments moments(map.size(0));
    moments.add(map);
    return basisFromMoments(moments.mean(), moments.secondMoment(), 3);
}

/// Scores between their 1st and 99th percentile as colours.
at::Tensor colored(const PcaBasis& basis, const at::Tensor& map, const at::Tensor& ranged) {
    const at::Tensor sorted = std::get<0>(projectBlock(basis, ranged).flatten(1).sort(1));
    const std::int64_t last = sorted.size(1) - 1;
    const at::Tensor low = sorted.select(1, last / 100).view({3, 1, 1});
    const at::Tensor high = sorted.select(1, last - last / 100).view({3, 1, 1});
    return ((projectBlock(basis, map) - low) / (high - low).clamp_min(1e-6)).clamp(0, 1);
}

at::Tensor normalisedFor(const Normalisation& norm, const at::Tensor& picture, c10::Device device) {
    return normalisedPictures(picture.unsqueeze(0).to(device), norm);
}

} // namespace

at::Tensor previewRow(const Backbone& backbone, const TrainableLoftUp& model,
                      const at::Tensor& picture, c10::Device device) {
    const c10::NoGradGuard noGrad;
    const at::Tensor guidance = normalisedFor(backbone.normalisation(), picture, device);
    const auto output = backbone.run(guidance, {}, {});
    if (!output) throw std::runtime_error(output.error().message);
    const at::Tensor low = model.channelNorm(output->tokens.values.to(device).unsqueeze(0));
    const at::Tensor high = model.forward(low, guidance, {})[0].to(at::kCPU);

    const std::vector<std::int64_t> size{picture.size(1), picture.size(2)};
    const at::Tensor grid = low[0].to(at::kCPU);
    const PcaBasis lowBasis = basisOf(grid);
    const at::Tensor nearest = at::upsample_nearest2d(low.to(at::kCPU), size)[0];
    const at::Tensor bilinear = at::upsample_bilinear2d(low.to(at::kCPU), size, false)[0];
    return at::cat({picture, colored(lowBasis, nearest, grid), colored(lowBasis, bilinear, grid),
                    colored(basisOf(high), high, high)},
                   2);
}

at::Tensor previewRow(const BackboneTrainer& trainer, const at::Tensor& picture,
                      c10::Device device) {
    const c10::NoGradGuard noGrad;
    const std::vector<std::int64_t> size{picture.size(1), picture.size(2)};
    const VitSpec& spec = trainer.average().spec();
    const at::Tensor grid = trainer.average()
                                .forward(normalisedFor(Normalisation{}, picture, device))[0]
                                .t()
                                .reshape({spec.width, size[0] / spec.patch, size[1] / spec.patch})
                                .to(at::kCPU);
    const PcaBasis basis = basisOf(grid);
    const auto nearest = [&](const at::Tensor& map) {
        return at::upsample_nearest2d(map.unsqueeze(0), size)[0];
    };
    std::vector<at::Tensor> panes{
        picture, colored(basis, nearest(grid), grid),
        colored(basis, at::upsample_bilinear2d(grid.unsqueeze(0), size, false)[0], grid)};
    for (std::size_t t = 0; t < trainer.targets().size(); ++t) {
        const at::Tensor map = trainer.targetOf(picture, t).values.permute({2, 0, 1}).contiguous();
        panes.push_back(colored(basisOf(map), nearest(map), map));
    }
    return at::cat(panes, 2);
}

} // namespace loftscope
