// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/similarity.h"

#include "core/base/guard.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <fmt/format.h>

namespace loftscope {

at::Tensor cosineMap(const at::Tensor& query, const at::Tensor& block) {
    const at::NoGradGuard noGrad;
    const at::Tensor columns = block.flatten(1);
    const at::Tensor norms = query.norm() * columns.norm(2, 0);
    const at::Tensor cosines = at::matmul(query, columns) / norms.clamp_min(1e-12);
    return cosines.clamp(-1, 1).view({block.size(1), block.size(2)});
}

Result<at::Tensor> similarityMap(const FeatureField& field, const Pixel& pixel, std::int64_t tile,
                                 const RunContext& context) {
    const Extent extent = field.extent();
    if (!contains(extent, pixel)) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("Pixel ({}, {}) is outside the {} x {} map.", pixel.x, pixel.y,
                                extent.width, extent.height));
    }
    return guarded("computing similarities", [&] {
        const at::Tensor query = field.evaluate({pixel.x, pixel.y, 1, 1}).flatten();
        at::Tensor map = at::empty({extent.height, extent.width}, at::kFloat);
        forEachTile(field, wholeOf(extent), tile, "similarity", context,
                    [&](const Rect& rect, const at::Tensor& block) {
                        map.slice(0, rect.y, rect.bottom())
                            .slice(1, rect.x, rect.right())
                            .copy_(cosineMap(query, block));
                    });
        return map;
    });
}

} // namespace loftscope
