// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/coordinate_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace loftscope {

std::vector<float> torchLinspace(float start, float end, std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count), start);
    if (count < 2) return values;
    const float step = (end - start) / static_cast<float>(count - 1);
    for (std::int64_t i = 0; i < count; ++i) {
        values[static_cast<std::size_t>(i)] =
            i < count / 2 ? std::fma(step, static_cast<float>(i), start)
                          : std::fma(-step, static_cast<float>(count - 1 - i), end);
    }
    return values;
}

std::vector<float> encoderFrequencies(std::int64_t count) {
    std::vector<float> values = torchLinspace(-2.0F, 10.0F, count);
    // In double and then rounded: equal to torch.exp of the fp32 values on every machine.
    for (float& value : values)
        value = static_cast<float>(std::exp(static_cast<double>(value)));
    return values;
}

at::Tensor scaleToUnitRange(const at::Tensor& picture) {
    return UnitRangePicture(picture).scaled({0, 0, picture.size(2), picture.size(1)});
}

UnitRangePicture::UnitRangePicture(const at::Tensor& picture)
    : levels_(levelsOf(picture)) {
    if (!levels_) picture_ = picture;
    low_ = picture.amin({1, 2}, true);
    range_ = (picture.amax({1, 2}, true) - low_).clamp_min(1e-4);
}

at::Tensor UnitRangePicture::scaled(std::int64_t channel, const at::Tensor& values) const {
    // A true division, as in the reference: multiplying by the reciprocal rounds differently.
    return (values - low_[channel].flatten()).div_(range_[channel].flatten()).sub_(0.5);
}

at::Tensor UnitRangePicture::scaled(const Rect& rect) const {
    const at::Tensor& all = levels_ ? levels_->index : picture_;
    at::Tensor part = all.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right());
    if (levels_) {
        std::vector<at::Tensor> channels;
        for (std::size_t c = 0; c < 3; ++c)
            channels.push_back(levels_->values[c].index_select(
                0, part.select(0, static_cast<std::int64_t>(c)).flatten().to(at::kInt)));
        part = at::stack(channels).view({3, rect.height, rect.width});
    }
    return (part - low_).div_(range_).sub_(0.5);
}

CoordinateEncoder::CoordinateEncoder(const at::Tensor& biases, bool hidden)
    : biases_(biases.reshape({2, biases.size(2), biases.size(1)}))
    , frequencies_(at::tensor(encoderFrequencies(biases.size(2))).to(biases.device()))
    , hidden_(hidden) {}

std::int64_t CoordinateEncoder::channels() const {
    const std::int64_t dims = biases_.size(2);
    return 2 * dims * biases_.size(1) + (dims == 5 ? 3 : 0);
}

CoordinateEncoder::Tables CoordinateEncoder::tables(const Extent& extent) const {
    const auto axis = [&](std::int64_t count, std::int64_t d) {
        if (hidden_) return at::zeros({2, count, frequencies_.size(0)}, biases_.options());
        const at::Tensor coordinates =
            at::tensor(torchLinspace(-1.0F, 1.0F, count)).to(biases_.device());
        const at::Tensor angles = coordinates.unsqueeze(1) * frequencies_; // count x frequencies
        return at::stack({at::sin(angles + biases_.select(0, 0).select(1, d)),
                          at::cos(angles + biases_.select(0, 1).select(1, d))});
    };
    return {axis(extent.height, 0), axis(extent.width, 1)};
}

at::Tensor CoordinateEncoder::encode(const Tables& tables, const at::Tensor& colors,
                                     const Rect& rect) const {
    const std::int64_t count = frequencies_.size(0);
    const std::int64_t dims = biases_.size(2);
    const std::vector<std::int64_t> grid{rect.height, rect.width, count, 1};
    at::Tensor pixels; // h x w x 3
    if (dims == 5) {
        pixels = colors.permute({1, 2, 0});
    }
    std::vector<at::Tensor> parts;
    for (const std::int64_t wave : {0, 1}) {
        std::vector<at::Tensor> waves{tables.row.select(0, wave)
                                          .slice(0, rect.y, rect.bottom())
                                          .view({rect.height, 1, count, 1})
                                          .expand(grid),
                                      tables.column.select(0, wave)
                                          .slice(0, rect.x, rect.right())
                                          .view({1, rect.width, count, 1})
                                          .expand(grid)};
        if (dims == 5) {
            const at::Tensor angles =
                frequencies_.view({count, 1}) * pixels.unsqueeze(2); // h x w x count x 3
            const at::Tensor shifted = angles + biases_.select(0, wave).slice(1, 2, 5);
            waves.push_back(wave == 0 ? at::sin(shifted) : at::cos(shifted));
        }
        parts.push_back(at::cat(waves, 3).view({rect.area(), count * dims}));
    }
    if (dims == 5) parts.push_back(pixels.reshape({rect.area(), 3}));
    return at::cat(parts, 1);
}

} // namespace loftscope
