// SPDX-License-Identifier: Apache-2.0
// A whole file in memory without reading it: pages come in when they are touched.
#pragma once

#include "core/base/error.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace loftscope {

/// A private (copy on write) mapping of a file; writing to it never reaches the file. The file must
/// not be shortened by somebody else while it is in use.
class MappedFile {
public:
    /// Errors: NotFound, InvalidArgument (not a regular file), Malformed (empty), OutOfMemory.
    static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return {data_, size_}; }

private:
    MappedFile(std::byte* data, std::size_t size)
        : data_(data)
        , size_(size) {}
    std::byte* data_;
    std::size_t size_;
};

/// A tensor over the bytes at `offset` of `file`, which it keeps mapped. The caller has checked
/// that shape and strides stay inside. Copies where the bytes are not aligned for `type`, and for
/// bool, whose bytes must be 0 or 1.
at::Tensor tensorOver(const std::shared_ptr<const MappedFile>& file, std::size_t offset,
                      at::IntArrayRef shape, at::IntArrayRef strides, at::ScalarType type);
/// The same in row-major order.
at::Tensor tensorOver(const std::shared_ptr<const MappedFile>& file, std::size_t offset,
                      at::IntArrayRef shape, at::ScalarType type);

} // namespace loftscope
