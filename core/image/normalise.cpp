// SPDX-License-Identifier: Apache-2.0
#include "core/image/normalise.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cmath>

namespace loftscope {

at::Tensor normalisedTensor(const Image& image, const Normalisation& normalisation) {
    at::Tensor tensor = at::empty({1, 3, image.height(), image.width()}, at::kFloat);
    const auto area = static_cast<std::size_t>(image.extent().area());
    const std::uint8_t* pixels = image.pixels().data();
    for (std::size_t c = 0; c < 3; ++c) {
        std::array<float, 256> valueOf{};
        for (std::size_t level = 0; level < valueOf.size(); ++level)
            valueOf[level] =
                (static_cast<float>(level) / 255.0F - normalisation.mean[c]) / normalisation.std[c];
        float* plane = tensor.data_ptr<float>() + c * area;
        for (std::size_t i = 0; i < area; ++i)
            plane[i] = valueOf[pixels[3 * i + c]];
    }
    return tensor;
}

Image imageFromTensor(const at::Tensor& chw01) {
    at::Tensor planes = chw01.dim() == 4 ? chw01.squeeze(0) : chw01;
    TORCH_CHECK(planes.dim() == 3 && planes.size(0) == 3, "a picture needs the shape 3 x H x W");
    planes = planes.to(at::kCPU, at::kFloat).contiguous();
    const Extent extent{planes.size(1), planes.size(2)};
    const auto area = static_cast<std::size_t>(extent.area());
    std::vector<std::uint8_t> pixels(area * 3);
    for (std::size_t c = 0; c < 3; ++c) {
        const float* plane = planes.const_data_ptr<float>() + c * area;
        for (std::size_t i = 0; i < area; ++i) {
            // Written so that NaN falls to 0.
            const float value = plane[i] > 0.0F ? std::fmin(plane[i], 1.0F) : 0.0F;
            pixels[3 * i + c] = static_cast<std::uint8_t>(std::lround(value * 255.0F));
        }
    }
    return {extent, std::move(pixels)};
}

} // namespace loftscope
