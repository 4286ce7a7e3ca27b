// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/feature_field.h"

#include <ATen/ops/stack.h>

#include <vector>

namespace loftscope {

at::Tensor FeatureField::evaluateEvery(const Rect& rect, std::int64_t stride) const {
    if (stride == 1) return evaluate(rect);
    std::vector<at::Tensor> rows;
    for (std::int64_t y = rect.y; y < rect.bottom(); y += stride)
        rows.push_back(evaluate({rect.x, y, rect.width, 1})
                           .select(1, 0)
                           .slice(1, 0, rect.width, stride)
                           .clone());
    return at::stack(rows, 1);
}

} // namespace loftscope
