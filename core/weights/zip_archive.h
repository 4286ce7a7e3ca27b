// SPDX-License-Identifier: Apache-2.0
// Reading entries of a zip archive with their checksums checked.
#pragma once

#include "core/base/error.h"
#include "core/weights/mapped_file.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace loftscope {

/// A zip archive over a mapped file. Its entries' sizes are plausible: together they do not unpack
/// to many times the file's own size.
class ZipArchive {
public:
    /// Size in bytes of every entry, by its full name; folders are left out.
    using Entries = std::map<std::string, std::uint64_t, std::less<>>;

    /// Errors: Malformed (no archive, truncated, two entries of one name, absurd sizes), as half a
    /// sentence.
    static Result<ZipArchive> open(std::shared_ptr<const MappedFile> file);
    ZipArchive(ZipArchive&&) noexcept;
    ZipArchive& operator=(ZipArchive&&) noexcept;
    ~ZipArchive();

    const Entries& entries() const;
    /// Fills `into`, whose size must be the entry's. Errors, as half a sentence: NotFound,
    /// Malformed (wrong checksum or size), Unsupported (compression, encryption).
    Result<void> read(std::string_view name, std::span<std::byte> into) const;
    /// The whole entry, which may have at most `largest` bytes. Errors as above.
    Result<std::string> readText(std::string_view name, std::uint64_t largest) const;

private:
    struct State;
    explicit ZipArchive(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace loftscope
