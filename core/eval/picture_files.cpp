// SPDX-License-Identifier: Apache-2.0
#include "core/eval/picture_files.h"

#include "core/image/encode.h"

#include <fmt/format.h>

#include <algorithm>

namespace loftscope {

Result<std::vector<std::filesystem::path>> picturesBelow(const std::filesystem::path& folder) {
    namespace fs = std::filesystem;
    std::error_code error;
    std::vector<fs::path> pictures;
    fs::recursive_directory_iterator entries(folder, error);
    if (error)
        return fail(
            ErrorCode::NotFound,
            fmt::format("The folder '{}' cannot be read: check its path.", folder.string()));
    for (; entries != fs::recursive_directory_iterator(); entries.increment(error)) {
        if (error) break;
        if (namesPicture(entries->path()) && entries->is_regular_file(error))
            pictures.push_back(entries->path());
    }
    if (pictures.empty())
        return fail(ErrorCode::NotFound,
                    fmt::format("There is no picture in the folder '{}'.", folder.string()));
    std::ranges::sort(pictures);
    return pictures;
}

} // namespace loftscope
