// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/group_norm_blocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/var_mean.h>

namespace loftscope {

namespace {

constexpr double groupNormEps = 1e-5;

} // namespace

const GroupNorm& normOf(const ResBlocks& blocks, std::size_t norm) {
    return norm % 2 == 0 ? blocks[norm / 2].norm1 : blocks[norm / 2].norm2;
}

at::Tensor ChannelAffine::operator()(const at::Tensor& x) const {
    return x * scale + shift;
}

void GroupMoments::add(const at::Tensor& rows) {
    channels_ = rows.size(1);
    device_ = rows.device();
    const at::Tensor groups = rows.view({rows.size(0), normGroups, rows.size(1) / normGroups});
    const auto [variance, mean] = at::var_mean(groups, at::IntArrayRef{0, 2}, false);
    const at::Tensor stripMean = mean.to(at::kCPU, at::kDouble);
    const at::Tensor stripVariance = variance.to(at::kCPU, at::kDouble);
    const auto count = static_cast<double>(rows.numel() / normGroups);
    if (count_ == 0) {
        mean_ = stripMean;
        squares_ = stripVariance * count;
    } else {
        // Chan's update: nothing cancels however far the mean is from zero.
        const at::Tensor step = stripMean - mean_;
        const double total = count_ + count;
        squares_ = squares_ + stripVariance * count + step.square() * (count_ * count / total);
        mean_ = mean_ + step * (count / total);
    }
    count_ += count;
}

ChannelAffine GroupMoments::fitted(const GroupNorm& norm) const {
    const auto perChannel = [&](const at::Tensor& groups) {
        return groups.repeat_interleave(channels_ / normGroups).to(device_);
    };
    at::Tensor scale = perChannel(at::rsqrt(squares_ / count_ + groupNormEps));
    if (norm.weight.defined()) scale = norm.weight.to(at::kDouble) * scale;
    at::Tensor shift = -perChannel(mean_) * scale;
    if (norm.bias.defined()) shift = norm.bias.to(at::kDouble) + shift;
    return {scale.to(at::kFloat), shift.to(at::kFloat)};
}

Passage advanced(const ResBlocks& blocks, std::size_t norm, const ChannelAffine& affine,
                 const Passage& passage) {
    const ResBlock& block = blocks[norm / 2];
    const at::Tensor active = at::silu(affine(passage.hidden));
    if (norm % 2 == 0) return {passage.residual, block.conv1(active)};
    const at::Tensor sum = passage.residual + block.conv2(active);
    return {sum, sum};
}

at::Tensor throughBlocks(const ResBlocks& blocks, const FittedNorms& norms,
                         const at::Tensor& rows) {
    Passage passage{rows, rows};
    for (std::size_t norm = 0; norm < normsOfBlocks; ++norm)
        passage = advanced(blocks, norm, norms[norm], passage);
    return passage.hidden;
}

at::Tensor throughBlocks(const ResBlocks& blocks, const at::Tensor& rows) {
    Passage passage{rows, rows};
    for (std::size_t norm = 0; norm < normsOfBlocks; ++norm) {
        GroupMoments moments;
        moments.add(passage.hidden);
        passage = advanced(blocks, norm, moments.fitted(normOf(blocks, norm)), passage);
    }
    return passage.hidden;
}

} // namespace loftscope
