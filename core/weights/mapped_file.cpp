// SPDX-License-Identifier: Apache-2.0
#include "core/weights/mapped_file.h"

#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace loftscope {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
    const auto failed = [&path](ErrorCode code, std::string_view reason) {
        return fail(code, fmt::format("Cannot read '{}': {}.", path.string(), reason));
    };
    // Not blocking, so that a pipe without a writer is refused below instead of waited for.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return failed(ErrorCode::NotFound, errno == ENOENT
                                               ? std::string("there is no such file")
                                               : std::generic_category().message(errno));
    }
    struct stat status {};
    const int statFailed = ::fstat(descriptor, &status);
    if (statFailed != 0 || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        return failed(ErrorCode::InvalidArgument, "it is not a file but a folder or a device");
    }
    if (status.st_size == 0) {
        ::close(descriptor);
        return failed(ErrorCode::Malformed, "the file is empty; fetch it again");
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    // Writable because a tensor may be written to; without reserving memory for that.
    void* address =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
    const int reason = errno;
    ::close(descriptor);
    if (address == MAP_FAILED)
        return failed(ErrorCode::OutOfMemory, std::generic_category().message(reason));
    return std::shared_ptr<const MappedFile>(
        new MappedFile(static_cast<std::byte*>(address), size));
}

MappedFile::~MappedFile() {
    ::munmap(data_, size_);
}

at::Tensor tensorOver(const std::shared_ptr<const MappedFile>& file, std::size_t offset,
                      at::IntArrayRef shape, at::IntArrayRef strides, at::ScalarType type) {
    auto* data = const_cast<std::byte*>(file->bytes().data()) + offset;
    if (type == at::kBool) return tensorOver(file, offset, shape, strides, at::kByte).ne(0);
    const std::size_t itemSize = c10::elementSize(type);
    if (reinterpret_cast<std::uintptr_t>(data) % itemSize == 0) {
        return at::from_blob(
            data, shape, strides, [file](void*) {}, at::TensorOptions(type));
    }
    at::Tensor copy = at::empty_strided(shape, strides, at::TensorOptions(type));
    if (copy.numel() > 0) {
        // Both orders that files know fill their storage without gaps.
        std::memcpy(copy.data_ptr(), data, static_cast<std::size_t>(copy.numel()) * itemSize);
    }
    return copy;
}

at::Tensor tensorOver(const std::shared_ptr<const MappedFile>& file, std::size_t offset,
                      at::IntArrayRef shape, at::ScalarType type) {
    std::vector<std::int64_t> strides(shape.size(), 1);
    for (std::size_t d = shape.size(); d-- > 1;)
        strides[d - 1] = strides[d] * std::max<std::int64_t>(shape[d], 1);
    return tensorOver(file, offset, shape, strides, type);
}

} // namespace loftscope
