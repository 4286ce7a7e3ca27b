// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"

#include "core/base/part_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

namespace loftscope {

namespace {

namespace fs = std::filesystem;

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::string reason(int error) {
    return std::generic_category().message(error);
}

} // namespace

Result<std::vector<std::byte>> readFile(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        return fail(ErrorCode::NotFound,
                    fmt::format("There is no file '{}': check the path.", path.string()));
    if (status.type() == fs::file_type::directory)
        return fail(ErrorCode::NotFound,
                    fmt::format("'{}' is a folder: name a file in it.", path.string()));
    if (!error && status.type() != fs::file_type::regular)
        return fail(ErrorCode::NotFound,
                    fmt::format("'{}' is not a regular file: name one on disk.", path.string()));
    const File file(std::fopen(path.c_str(), "rb"));
    if (!file)
        return fail(ErrorCode::NotFound,
                    fmt::format("Cannot open '{}' ({}): check the path and its access rights.",
                                path.string(), reason(errno)));
    std::vector<std::byte> bytes;
    if (const auto size = fs::file_size(path, error); !error) bytes.reserve(size);
    constexpr std::size_t piece = std::size_t{1} << 20U;
    for (std::size_t got = piece; got == piece;) {
        const std::size_t before = bytes.size();
        bytes.resize(before + piece);
        got = std::fread(bytes.data() + before, 1, piece, file.get());
        bytes.resize(before + got);
    }
    if (std::ferror(file.get()) != 0)
        return fail(ErrorCode::Malformed,
                    fmt::format("Reading '{}' failed ({}): check the disk it is on.", path.string(),
                                reason(errno)));
    return bytes;
}

Result<void> writeFile(const fs::path& path, std::span<const std::byte> bytes) {
    LOFTSCOPE_TRY(PartFile file, PartFile::create(path));
    LOFTSCOPE_CHECK(file.append(bytes));
    return file.commit();
}

} // namespace loftscope
