// SPDX-License-Identifier: Apache-2.0
// Encoders of residual blocks with group norms, computed rectangle by rectangle: all their layers
// are 1 x 1, so that a pixel needs of the others only the norms' statistics.
#pragma once

#include "core/weights/layers.h"

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

namespace loftscope {

inline constexpr std::int64_t normGroups = 8;

/// Parameters of a group norm; both undefined where it has none.
struct GroupNorm {
    at::Tensor weight;
    at::Tensor bias;
};

/// Norm, SiLU, 1 x 1 convolution, twice, added to what came in.
struct ResBlock {
    GroupNorm norm1;
    Linear conv1;
    GroupNorm norm2;
    Linear conv2;
};

using ResBlocks = std::array<ResBlock, 2>; ///< of every encoder here
inline constexpr std::size_t normsOfBlocks = 4;

/// In the order in which rows pass them.
const GroupNorm& normOf(const ResBlocks& blocks, std::size_t norm);

/// A group norm whose statistics are known: y = x * scale + shift per channel.
struct ChannelAffine {
    at::Tensor scale;
    at::Tensor shift;
    at::Tensor operator()(const at::Tensor& x) const;
};
using FittedNorms = std::vector<ChannelAffine>;

/// Mean and variance of each group over all pixels, collected strip by strip.
class GroupMoments {
public:
    /// `rows`: P x C.
    void add(const at::Tensor& rows);
    ChannelAffine fitted(const GroupNorm& norm) const;

private:
    double count_ = 0;
    std::int64_t channels_ = 0;
    c10::Device device_ = c10::kCPU;
    at::Tensor mean_;
    at::Tensor squares_;
};

/// Rows on their way through an encoder's blocks: `hidden` waits for the next norm.
struct Passage {
    at::Tensor residual;
    at::Tensor hidden;
};

/// Through norm number `norm`, its SiLU and the convolution behind it.
Passage advanced(const ResBlocks& blocks, std::size_t norm, const ChannelAffine& affine,
                 const Passage& passage);

/// Rows (P x C) through blocks whose norms are fitted already.
at::Tensor throughBlocks(const ResBlocks& blocks, const FittedNorms& norms, const at::Tensor& rows);
/// The blocks over a map that is there as a whole: N x C.
at::Tensor throughBlocks(const ResBlocks& blocks, const at::Tensor& rows);

} // namespace loftscope
