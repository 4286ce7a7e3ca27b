// SPDX-License-Identifier: Apache-2.0
// A file under construction: written beside its destination and renamed when it is whole, so that
// nobody ever sees half a result and a failure leaves what was there before.
#pragma once

#include "core/base/error.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace loftscope {

/// `NAME.part`, open for writing. Removes itself unless `commit` succeeded.
class PartFile {
public:
    /// Errors: InvalidArgument (the destination is a folder), WriteFailed (no such folder, no
    /// permission, or another program is writing the same file).
    static Result<PartFile> create(const std::filesystem::path& destination);
    PartFile(PartFile&& other) noexcept;
    PartFile& operator=(PartFile&& other) noexcept;
    ~PartFile();

    int descriptor() const { return descriptor_; }
    /// Gives the file `size` bytes and reserves their place on the disk. Errors: WriteFailed (full
    /// disk, quota or size limit).
    Result<void> reserve(std::int64_t size);
    /// Writes at the current position. Errors: WriteFailed.
    Result<void> append(std::span<const std::byte> bytes);
    /// Writes at a place of the file. Errors: WriteFailed.
    Result<void> writeAt(std::int64_t position, std::span<const std::byte> bytes);
    /// Flushes to the disk, closes and renames; call once, last. Errors: WriteFailed.
    Result<void> commit();

private:
    PartFile(int descriptor, std::filesystem::path destination, std::filesystem::path part);
    void discard();
    std::unexpected<Error> failure(int errorNumber) const;

    int descriptor_ = -1;
    std::filesystem::path destination_;
    std::filesystem::path part_;
};

} // namespace loftscope
