// SPDX-License-Identifier: Apache-2.0
// LoftUp from its second convolution on, a few rows of pixels at a time: hand-written bf16 for
// processors that multiply it (core/kernel). The same equations in plain LibTorch are those of
// LoftUpField, which tests compare with.
#pragma once

#include "core/base/geometry.h"
#include "core/kernel/packed_matrix.h"
#include "core/kernel/row_attention.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace loftscope {

struct LoftUpWeights;

/// Weights as the kernels read them. A LayerNorm's weight and bias, and the scale of the scores,
/// are part of the product that follows.
struct PackedLoftUp {
    struct Block {
        PackedMatrix query; ///< a head's outputs start at an even column, see `headStride`
        PackedMatrix out;
        PackedMatrix expand;
        PackedMatrix contract;
    };

    std::int64_t dim = 0;
    std::int64_t hidden = 0;
    std::int64_t channels = 0;
    std::int64_t heads = 0;
    std::int64_t headStride = 0;
    double normEps = 0;
    double finalNormEps = 0;
    PackedMatrix convolution;
    std::vector<Block> blocks;
    PackedMatrix finalConv;
    at::Tensor finalNormWeight; ///< padded to a multiple of 16
    at::Tensor finalNormBias;
};

/// `weights` still in fp32.
PackedLoftUp packLoftUp(const LoftUpWeights& weights);

/// Keys and values of a block, one per head.
using PackedHeads = std::vector<PackedHead>;

/// What the second convolution looks at for `rect`. It computes squares of 2 x 2 pixels, which
/// begin at even rows and columns of the picture so that a pixel's result does not depend on the
/// rectangle. May exceed the picture.
Rect convolvedAround(const Rect& rect);

/// The first convolution's output in bf16: the pixels of `frame`, each D values padded to a
/// multiple of 16. `rows`: the pixels of `inside`, a part of the frame; the rest becomes 0.
at::Tensor framed(const at::Tensor& rows, const Rect& inside, const Rect& frame);

/// Features of `rect`: C x h x w, fp32. `conv1`: of `convolvedAround(rect)`, 0 beyond the picture.
/// `blocks`: one per block.
at::Tensor evaluatePacked(const PackedLoftUp& weights, const std::vector<PackedHeads>& blocks,
                          const at::Tensor& conv1, const Rect& rect);

/// The layers behind the second convolution: n x D query tokens to n x C features, fp32.
at::Tensor throughPackedLayers(const PackedLoftUp& weights, const std::vector<PackedHeads>& blocks,
                               const at::Tensor& tokens);

} // namespace loftscope
