// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/attention_statistics.h"

#include <ATen/TensorOperators.h>

#include <cmath>

namespace loftscope {

AttentionStatistics attentionStatistics(const at::Tensor& map) {
    AttentionStatistics statistics;
    const at::Tensor weights = map.flatten().cpu().to(at::kDouble);
    const auto index = weights.argmax().item<std::int64_t>();
    statistics.peak = weights[index].item<double>();
    statistics.peakToken = {index % map.size(1), index / map.size(1)};
    at::Tensor shares = weights.clamp_min(0);
    const double total = shares.sum().item<double>();
    if (total > 0) {
        shares = shares / total;
        statistics.entropyBits = -(shares * shares.clamp_min(1e-300).log2()).sum().item<double>();
    }
    statistics.effectiveTokens = std::exp2(statistics.entropyBits);
    return statistics;
}

} // namespace loftscope
