// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/map_array_file.h"

#include "core/base/guard.h"
#include "core/weights/tensor_sink.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

namespace loftscope {

Result<void> writeMapArray(const std::filesystem::path& path, std::int64_t channels,
                           const Extent& extent, std::span<const float> values,
                           const std::map<std::string, std::string>& metadata) {
    if (static_cast<std::int64_t>(values.size()) != channels * extent.area() || values.empty()) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("There are no values to write to '{}'.", path.string()));
    }
    return guarded(fmt::format("writing '{}'", path.string()), [&]() -> Result<void> {
        std::vector<std::int64_t> shape{extent.height, extent.width};
        if (channels > 1) shape.insert(shape.begin(), channels);
        LOFTSCOPE_TRY(TensorSink sink, TensorSink::create(path, shape, "map", metadata));
        sink.writeAll(at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat));
        return sink.finish();
    });
}

} // namespace loftscope
