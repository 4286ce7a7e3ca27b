// SPDX-License-Identifier: Apache-2.0
#include "core/analysis/pca_file.h"

#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"

#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <cstdlib>

namespace loftscope {

Result<void> writePcaBasis(const std::filesystem::path& path, const PcaBasis& basis,
                           const std::map<std::string, std::string>& metadata) {
    std::map<std::string, std::string> all = metadata;
    all["kind"] = "loftscope PCA basis";
    all["fitted_on"] = basis.fittedOn;
    all["total_variance"] = fmt::format("{}", basis.totalVariance);
    return writeSafetensors(
        path,
        {{"mean", basis.mean}, {"components", basis.components}, {"variances", basis.variances}},
        all);
}

Result<PcaBasis> readPcaBasis(const std::filesystem::path& path) {
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path));
    PcaBasis basis;
    for (const auto& [key, target] :
         {std::pair{"mean", &basis.mean}, std::pair{"components", &basis.components},
          std::pair{"variances", &basis.variances}}) {
        const auto found = file.tensors.find(key);
        if (found == file.tensors.end()) {
            return fail(
                ErrorCode::Malformed,
                fmt::format("'{}' is not a PCA basis: it has no '{}'; write one with --basis-out.",
                            path.string(), key));
        }
        *target = found->second.to(at::kFloat).contiguous();
        if (!at::isfinite(*target).all().item<bool>())
            return fail(
                ErrorCode::Malformed,
                fmt::format("The PCA basis '{}' contains NaN or infinite values.", path.string()));
    }
    const bool consistent =
        basis.components.dim() == 2 && basis.mean.dim() == 1 && basis.variances.dim() == 1 &&
        basis.components.size(1) == basis.mean.size(0) &&
        basis.components.size(0) == basis.variances.size(0) && basis.components.numel() > 0;
    if (!consistent)
        return fail(
            ErrorCode::Malformed,
            fmt::format("The shapes in the PCA basis '{}' do not fit each other.", path.string()));
    if (const auto found = file.metadata.find("fitted_on"); found != file.metadata.end())
        basis.fittedOn = found->second;
    if (const auto found = file.metadata.find("total_variance"); found != file.metadata.end())
        basis.totalVariance = std::strtod(found->second.c_str(), nullptr);
    return basis;
}

} // namespace loftscope
