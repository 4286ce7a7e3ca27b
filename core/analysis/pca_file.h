// SPDX-License-Identifier: Apache-2.0
// A PCA basis on disk, so that colours stay the same from picture to picture.
#pragma once

#include "core/analysis/pca.h"

#include <filesystem>
#include <map>
#include <string>

namespace loftscope {

/// Writes .safetensors with `mean`, `components`, `variances`, and what it was fitted on.
/// `metadata` is added.
Result<void> writePcaBasis(const std::filesystem::path& path, const PcaBasis& basis,
                           const std::map<std::string, std::string>& metadata = {});

/// Errors: those of reading, Malformed (not a basis, or inconsistent shapes).
Result<PcaBasis> readPcaBasis(const std::filesystem::path& path);

} // namespace loftscope
