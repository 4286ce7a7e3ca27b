// SPDX-License-Identifier: Apache-2.0
#include "core/base/metadata_file.h"

#include "core/base/file.h"

#include <nlohmann/json.hpp>

#include <span>

namespace loftscope {

Result<void> writeMetadataFile(const std::filesystem::path& path,
                               const std::map<std::string, std::string>& metadata) {
    std::filesystem::path beside = path;
    beside += ".json";
    const std::string text =
        nlohmann::json(metadata).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
        "\n";
    return writeFile(beside, std::as_bytes(std::span(text.data(), text.size())));
}

} // namespace loftscope
