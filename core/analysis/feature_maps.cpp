// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/feature_maps.h"

#include "core/analysis/similarity.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

namespace loftscope {

namespace {

at::Tensor mapOf(const FeatureField& field, const FieldWalk& walk,
                 const std::function<at::Tensor(const Rect&, const at::Tensor&)>& valuesOf) {
    at::Tensor map = at::empty({field.extent().height, field.extent().width}, at::kFloat);
    walk(field, [&](const Rect& rect, const at::Tensor& block) {
        map.slice(0, rect.y, rect.bottom())
            .slice(1, rect.x, rect.right())
            .copy_(valuesOf(rect, block));
    });
    return map;
}

} // namespace

at::Tensor normMap(const FeatureField& field, const FieldWalk& walk) {
    return mapOf(field, walk,
                 [](const Rect&, const at::Tensor& block) { return block.norm(2, 0); });
}

at::Tensor directionMap(const FeatureField& field, const at::Tensor& direction,
                        const std::function<at::Tensor(const at::Tensor&)>& seen,
                        const FieldWalk& walk) {
    return mapOf(field, walk, [&](const Rect&, const at::Tensor& block) {
        return cosineMap(direction, seen(block));
    });
}

Result<at::Tensor> cosineDistanceMap(const FeatureField& field, const FeatureField& other,
                                     const FieldWalk& walk) {
    if (field.extent() != other.extent() || field.channels() != other.channels()) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("Features of {} x {} x {} and {} x {} x {} cannot be compared "
                                "pixel by pixel: they must have equal sizes.",
                                field.channels(), field.extent().height, field.extent().width,
                                other.channels(), other.extent().height, other.extent().width));
    }
    return mapOf(field, walk, [&](const Rect& rect, const at::Tensor& block) {
        const at::Tensor there = other.evaluate(rect);
        const at::Tensor norms = (block.norm(2, 0) * there.norm(2, 0)).clamp_min(1e-12);
        return 1 - ((block * there).sum(0) / norms).clamp(-1, 1);
    });
}

} // namespace loftscope
