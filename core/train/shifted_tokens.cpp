// SPDX-License-Identifier: Apache-2.0
#include "core/train/shifted_tokens.h"

#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <vector>

namespace loftscope {

Result<void> checkTokenShifts(std::int64_t shifts, std::int64_t patch) {
    if (shifts >= 1 && patch % shifts == 0 && patch * (shifts - 1) % (2 * shifts) == 0) return {};
    return fail(ErrorCode::InvalidArgument,
                fmt::format("A target of {} shifts does not work: a patch of {} pixels cannot be "
                            "moved by such parts in whole pixels.",
                            shifts, patch));
}

at::Tensor shiftedTokens(const at::Tensor& pictures, std::int64_t patch, std::int64_t shifts,
                         const std::function<at::Tensor(const at::Tensor&)>& tokens) {
    if (shifts == 1) return tokens(pictures);
    const std::int64_t height = pictures.size(2);
    const std::int64_t width = pictures.size(3);
    const std::int64_t step = patch / shifts;
    const std::int64_t margin = patch * (shifts - 1) / (2 * shifts);
    const at::Tensor padded = at::reflection_pad2d(pictures, {margin, margin, margin, margin});
    std::vector<at::Tensor> rows;
    for (std::int64_t y = 0; y < shifts; ++y) {
        std::vector<at::Tensor> columns;
        for (std::int64_t x = 0; x < shifts; ++x)
            columns.push_back(
                tokens(padded.narrow(2, y * step, height).narrow(3, x * step, width)));
        rows.push_back(at::stack(columns, 4)); // B x C x h x w x k
    }
    const at::Tensor all = at::stack(rows, 3); // B x C x h x k x w x k
    return all.reshape({all.size(0), all.size(1), all.size(2) * shifts, all.size(4) * shifts});
}

} // namespace loftscope
