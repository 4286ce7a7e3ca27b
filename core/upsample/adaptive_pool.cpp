// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/adaptive_pool.h"

#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace loftscope {

PoolSpan poolSpan(std::int64_t inputSize, std::int64_t outputSize, std::int64_t index) {
    return {index * inputSize / outputSize,
            ((index + 1) * inputSize + outputSize - 1) / outputSize};
}

at::Tensor poolWeights(std::int64_t inputSize, std::int64_t outputSize, const PoolSpan& input,
                       const PoolSpan& output) {
    const std::int64_t columns = input.end - input.begin;
    at::Tensor weights = at::zeros({output.end - output.begin, columns}, at::kFloat);
    auto* const data = weights.mutable_data_ptr<float>();
    for (std::int64_t i = output.begin; i < output.end; ++i) {
        const PoolSpan span = poolSpan(inputSize, outputSize, i);
        const float share = 1.0F / static_cast<float>(span.end - span.begin);
        for (std::int64_t k = std::max(span.begin, input.begin); k < std::min(span.end, input.end);
             ++k)
            data[(i - output.begin) * columns + k - input.begin] = share;
    }
    return weights;
}

at::Tensor pooledRows(const at::Tensor& rows, const Rect& rect, const Extent& from,
                      const Extent& to) {
    const std::int64_t channels = rows.size(1);
    const at::Tensor down =
        poolWeights(from.height, to.height, {rect.y, rect.bottom()}, {0, to.height})
            .to(rows.device());
    const at::Tensor across =
        poolWeights(from.width, to.width, {rect.x, rect.right()}, {0, to.width}).to(rows.device());
    const at::Tensor lines = at::matmul(down, rows.view({rect.height, rect.width * channels}));
    return at::matmul(across, lines.view({to.height, rect.width, channels}));
}

Rect pooledFrom(const Rect& rect, const Extent& from, const Extent& to) {
    const auto span = [](std::int64_t begin, std::int64_t end, std::int64_t input,
                         std::int64_t output) {
        return PoolSpan{poolSpan(input, output, begin).begin, poolSpan(input, output, end - 1).end};
    };
    const PoolSpan rows = span(rect.y, rect.bottom(), from.height, to.height);
    const PoolSpan columns = span(rect.x, rect.right(), from.width, to.width);
    return {columns.begin, rows.begin, columns.end - columns.begin, rows.end - rows.begin};
}

at::Tensor pooledInto(const at::Tensor& rows, const Rect& source, const Rect& rect,
                      const Extent& from, const Extent& to) {
    if (from == to) return rows;
    const std::int64_t channels = rows.size(1);
    const at::Tensor down =
        poolWeights(from.height, to.height, {source.y, source.bottom()}, {rect.y, rect.bottom()})
            .to(rows.device());
    const at::Tensor across =
        poolWeights(from.width, to.width, {source.x, source.right()}, {rect.x, rect.right()})
            .to(rows.device());
    const at::Tensor lines = at::matmul(down, rows.view({source.height, source.width * channels}));
    return at::matmul(across, lines.view({rect.height, source.width, channels}))
        .view({rect.area(), channels});
}

} // namespace loftscope
