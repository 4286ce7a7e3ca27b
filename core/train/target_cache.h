// SPDX-License-Identifier: Apache-2.0
// Target maps of whole photos on disk, so that every photo is shown to the teachers once in a run,
// not once per crop and not again after a resumption.
#pragma once

#include "core/base/error.h"
#include "core/train/teacher_targets.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

namespace loftscope {

/// A file that only grows: a header, then one record per map, in fp16. What a killed run left half
/// written at its end is cut off. Reading is safe from several threads, adding from one.
class TargetCache {
public:
    /// Opens or makes the file. `identity` stands for all that the maps depend on: a file of
    /// another one is begun anew. Above `limit` bytes nothing more is added. Errors: WriteFailed.
    static Result<TargetCache> open(const std::filesystem::path& path, std::uint64_t identity,
                                    std::int64_t limit);
    TargetCache(TargetCache&& other) noexcept;
    TargetCache& operator=(TargetCache&& other) noexcept;
    ~TargetCache();

    bool holds(std::int64_t photo, std::int64_t target) const;
    std::optional<TargetMap> find(std::int64_t photo, std::int64_t target) const;
    /// A full disk is no error: the cache just stops growing.
    void add(std::int64_t photo, std::int64_t target, const TargetMap& map);

private:
    TargetCache() = default;
    int descriptor_ = -1;
    std::int64_t end_ = 0;
    std::int64_t limit_ = 0;
    std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> offsets_;
};

/// What `values` become by being kept: rounded to fp16. Used whether or not they are kept, so that
/// the numbers of a run do not depend on the cache.
at::Tensor asKept(const at::Tensor& values);

} // namespace loftscope
