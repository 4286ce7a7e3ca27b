// SPDX-License-Identifier: Apache-2.0
#include "core/weights/tensor_extents.h"

#include <algorithm>

namespace loftscope {

namespace {

constexpr std::int64_t largest = std::int64_t{1} << 62;

} // namespace

std::optional<std::int64_t> elementCount(std::span<const std::int64_t> shape) {
    if (shape.size() > maxDimensions) return std::nullopt;
    std::int64_t count = 1;
    bool empty = false;
    for (const std::int64_t extent : shape) {
        if (extent < 0) return std::nullopt;
        empty = empty || extent == 0;
        if (__builtin_mul_overflow(count, std::max<std::int64_t>(extent, 1), &count) ||
            count > largest)
            return std::nullopt;
    }
    return empty ? 0 : count;
}

std::optional<std::int64_t> viewEnd(std::int64_t offset, std::span<const std::int64_t> shape,
                                    std::span<const std::int64_t> strides) {
    const std::optional<std::int64_t> count = elementCount(shape);
    if (!count || offset < 0 || offset > largest || strides.size() != shape.size())
        return std::nullopt;
    std::int64_t last = offset;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        std::int64_t reach = 0;
        if (strides[d] < 0 ||
            __builtin_mul_overflow(std::max<std::int64_t>(shape[d] - 1, 0), strides[d], &reach) ||
            __builtin_add_overflow(last, reach, &last) || last > largest)
            return std::nullopt;
    }
    return *count == 0 ? 0 : last + 1;
}

} // namespace loftscope
