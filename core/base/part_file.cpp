// SPDX-License-Identifier: Apache-2.0
#include "core/base/part_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t largestPiece = std::size_t{1} << 30U; // write(2) takes at most 2 GiB

std::string reasonOf(int errorNumber) {
    switch (errorNumber) {
    case ENOSPC:
    case EDQUOT:
        return "the disk is full; free some space or write elsewhere";
    case EFBIG:
        return "the file would be larger than the system allows; write a smaller one";
    case EWOULDBLOCK:
        return "another program is writing it; wait for that or choose another name";
    case EACCES:
    case EPERM:
    case EROFS:
        return "there is no permission to write there; choose another folder";
    default:
        return std::generic_category().message(errorNumber);
    }
}

} // namespace

PartFile::PartFile(int descriptor, fs::path destination, fs::path part)
    : descriptor_(descriptor)
    , destination_(std::move(destination))
    , part_(std::move(part)) {}

PartFile::PartFile(PartFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1))
    , destination_(std::move(other.destination_))
    , part_(std::move(other.part_)) {}

PartFile& PartFile::operator=(PartFile&& other) noexcept {
    if (this != &other) {
        discard();
        descriptor_ = std::exchange(other.descriptor_, -1);
        destination_ = std::move(other.destination_);
        part_ = std::move(other.part_);
    }
    return *this;
}

PartFile::~PartFile() {
    discard();
}

void PartFile::discard() {
    if (descriptor_ < 0) return;
    // While the lock is still held, so that only our own file can be the one that goes.
    ::unlink(part_.c_str());
    ::close(std::exchange(descriptor_, -1));
}

std::unexpected<Error> PartFile::failure(int errorNumber) const {
    return fail(ErrorCode::WriteFailed, fmt::format("Cannot write '{}': {}.", destination_.string(),
                                                    reasonOf(errorNumber)));
}

Result<PartFile> PartFile::create(const fs::path& destination) {
    std::error_code ignored;
    if (destination.filename().empty() || fs::is_directory(destination, ignored)) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("Cannot write '{}': it is a folder; name a file.", destination.string()));
    }
    const fs::path folder = destination.parent_path();
    if (!folder.empty() && !fs::is_directory(folder, ignored)) {
        return fail(ErrorCode::WriteFailed,
                    fmt::format("Cannot write '{}': there is no folder '{}'; create it first.",
                                destination.string(), folder.string()));
    }
    fs::path part = destination;
    part += ".part";
    // Not truncated yet: it may belong to another program that is still writing.
    const int descriptor = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    PartFile file(descriptor, destination, part);
    if (descriptor < 0) return file.failure(errno);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        const int reason = errno;
        ::close(std::exchange(file.descriptor_, -1));
        return file.failure(reason);
    }
    if (::ftruncate(descriptor, 0) != 0) return file.failure(errno);
    return file;
}

Result<void> PartFile::reserve(std::int64_t size) {
    if (size == 0) return {};
    const int reason = ::posix_fallocate(descriptor_, 0, size);
    if (reason != 0) return failure(reason);
    return {};
}

Result<void> PartFile::append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written =
            ::write(descriptor_, bytes.data(), std::min(bytes.size(), largestPiece));
        if (written < 0) {
            if (errno == EINTR) continue;
            return failure(errno);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> PartFile::writeAt(std::int64_t position, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written =
            ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), largestPiece), position);
        if (written < 0) {
            if (errno == EINTR) continue;
            return failure(errno);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        position += written;
    }
    return {};
}

Result<void> PartFile::commit() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL) return failure(errno);
    if (::rename(part_.c_str(), destination_.c_str()) != 0) return failure(errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) return failure(errno);
    return {};
}

} // namespace loftscope
