// SPDX-License-Identifier: Apache-2.0
// What the features are computed with; a change means computing anew.
#pragma once

#include <cstdint>
#include <string>

namespace loftscope {

struct ComputeSettings {
    std::int64_t inputSize = 224;   ///< short side of the backbone's input, pixels
    std::int64_t outputSize = 0;    ///< short side of upsampled maps, pixels; 0: the input's size
    std::string device = "cpu";     ///< "cpu", "cuda:0"
    std::string precision = "fp32"; ///< of upsamplers with weights: "fp32", "tf32", "bf16", "fp16"
    friend bool operator==(const ComputeSettings&, const ComputeSettings&) = default;
};

constexpr std::int64_t largestSize = 4096; ///< of either, short side

} // namespace loftscope
