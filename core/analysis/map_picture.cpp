// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/map_picture.h"

#include <array>
#include <vector>

namespace loftscope {

Image mapPicture(const at::Tensor& map, double low, double high, ColorMap colors) {
    const at::Tensor values = map.cpu().to(at::kFloat).contiguous();
    const auto* data = values.const_data_ptr<float>();
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(values.numel()) * 3);
    for (std::int64_t i = 0; i < values.numel(); ++i) {
        const double t = high > low ? (static_cast<double>(data[i]) - low) / (high - low) : 0.5;
        const std::array<std::uint8_t, 3> color = colorAt(colors, static_cast<float>(t));
        pixels.insert(pixels.end(), color.begin(), color.end());
    }
    return Image({map.size(0), map.size(1)}, std::move(pixels));
}

} // namespace loftscope
