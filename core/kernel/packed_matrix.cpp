// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/packed_matrix.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

namespace loftscope {

namespace {

/// Three registers of outputs by eight rows fill the registers; two by eight come close, one does
/// not.
std::vector<std::int64_t> panelWidths(std::int64_t registers) {
    std::vector<std::int64_t> widths;
    while (registers > 4 || registers == 3) {
        widths.push_back(3);
        registers -= 3;
    }
    if (registers == 4) widths.insert(widths.end(), {2, 2});
    if (registers == 1 || registers == 2) widths.push_back(registers);
    return widths;
}

} // namespace

PackedMatrix packMatrix(const at::Tensor& weight, const at::Tensor& bias) {
    PackedMatrix packed;
    const std::int64_t outputs = weight.size(0);
    const std::int64_t inputs = weight.size(1);
    packed.taps = weight.numel() / (outputs * inputs);
    packed.inner = paddedToPairs(inputs);
    packed.columns = paddedTo16(outputs);

    // taps x inner x columns
    at::Tensor padded = at::zeros({packed.taps, packed.inner, packed.columns});
    padded.slice(1, 0, inputs)
        .slice(2, 0, outputs)
        .copy_(weight.reshape({outputs, inputs, packed.taps}).permute({2, 1, 0}));
    const at::Tensor pairs =
        padded.view({packed.taps, packed.inner / 2, 2, packed.columns}).transpose(2, 3);
    std::vector<at::Tensor> panels;
    std::int64_t first = 0;
    std::int64_t offset = 0;
    for (const std::int64_t registers : panelWidths(packed.columns / vectorLength)) {
        const std::int64_t width = registers * vectorLength;
        panels.push_back(pairs.slice(2, first, first + width).flatten());
        packed.panels.push_back({first, registers, offset});
        first += width;
        offset += panels.back().numel();
    }
    packed.values = at::cat(panels).to(at::kBFloat16);
    packed.bias = at::zeros({packed.columns});
    if (bias.defined()) packed.bias.slice(0, 0, outputs).copy_(bias);
    return packed;
}

} // namespace loftscope
