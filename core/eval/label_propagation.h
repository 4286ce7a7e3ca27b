// SPDX-License-Identifier: Apache-2.0
// Carrying a mask through a clip by the similarity of features alone (as DINO's and LoftUp's
// evaluation on DAVIS does).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>

namespace loftscope {

struct PropagationOptions {
    std::int64_t lastFrames = 7; ///< that give their labels on, besides the first
    std::int64_t radius = 12; ///< of the square window where a pixel looks for its like; in pixels
                              ///< of the features
    std::int64_t topK = 5;    ///< most similar pixels that vote, over all frames together
    double temperature = 0.1; ///< votes weigh exp(cosine / temperature)
};

class LabelPropagation {
public:
    /// First frame: C x h x w features on the CPU and K x h x w label scores, fp32.
    LabelPropagation(const PropagationOptions& options, const at::Tensor& features,
                     const at::Tensor& scores);

    /// Label scores of the next frame, K x h x w: for every pixel the mean of the labels of the
    /// `topK` most similar pixels of the first and the last frames. Throws as LibTorch does.
    at::Tensor next(const at::Tensor& features);

private:
    struct Frame {
        at::Tensor features; ///< h x w x C, unit length
        at::Tensor scores;   ///< h x w x K
    };

    PropagationOptions options_;
    Frame first_;
    std::deque<Frame> last_;
};

} // namespace loftscope
