// SPDX-License-Identifier: Apache-2.0
#include "core/train/target_cache.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace loftscope {

namespace {

struct Header {
    std::array<char, 8> magic{'L', 'S', 'T', 'A', 'R', 'G', 'E', 'T'};
    std::uint64_t identity = 0;
};

struct Record {
    std::int64_t photo = 0;
    std::int64_t target = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t dims = 0;
    CellGrid cells;
    std::int64_t bytes() const { return height * width * dims * 2; }
    bool plausible() const {
        constexpr std::int64_t most = 1 << 16;
        return photo >= 0 && target >= 0 && height > 0 && width > 0 && dims > 0 && height < most &&
               width < most && dims < most;
    }
};
static_assert(std::is_trivially_copyable_v<Record>);

bool readAt(int descriptor, void* into, std::int64_t size, std::int64_t offset) {
    auto* at = static_cast<char*>(into);
    while (size > 0) {
        const ssize_t count = pread(descriptor, at, static_cast<std::size_t>(size), offset);
        if (count <= 0) return false;
        at += count;
        offset += count;
        size -= count;
    }
    return true;
}

bool writeAt(int descriptor, const void* from, std::int64_t size, std::int64_t offset) {
    const auto* at = static_cast<const char*>(from);
    while (size > 0) {
        const ssize_t count = pwrite(descriptor, at, static_cast<std::size_t>(size), offset);
        if (count <= 0) return false;
        at += count;
        offset += count;
        size -= count;
    }
    return true;
}

} // namespace

Result<TargetCache> TargetCache::open(const std::filesystem::path& path, std::uint64_t identity,
                                      std::int64_t limit) {
    const auto failed = [&] {
        return fail(ErrorCode::WriteFailed, fmt::format("'{}' cannot be written: {}.",
                                                        path.string(), std::strerror(errno)));
    };
    TargetCache cache;
    cache.limit_ = limit;
    cache.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (cache.descriptor_ < 0) return failed();
    struct stat status {};
    if (fstat(cache.descriptor_, &status) != 0) return failed();

    Header header;
    const Header wanted{.identity = identity};
    cache.end_ = sizeof(Header);
    if (readAt(cache.descriptor_, &header, sizeof(Header), 0) && header.magic == wanted.magic &&
        header.identity == identity) {
        Record record;
        while (readAt(cache.descriptor_, &record, sizeof(Record), cache.end_) &&
               record.plausible()) {
            const std::int64_t next =
                cache.end_ + static_cast<std::int64_t>(sizeof(Record)) + record.bytes();
            if (next > status.st_size) break;
            cache.offsets_[{record.photo, record.target}] = cache.end_;
            cache.end_ = next;
        }
    } else if (!writeAt(cache.descriptor_, &wanted, sizeof(Header), 0)) {
        return failed();
    }
    if (ftruncate(cache.descriptor_, cache.end_) != 0) return failed();
    return cache;
}

TargetCache::TargetCache(TargetCache&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1))
    , end_(other.end_)
    , limit_(other.limit_)
    , offsets_(std::move(other.offsets_)) {}

TargetCache& TargetCache::operator=(TargetCache&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(end_, other.end_);
    std::swap(limit_, other.limit_);
    std::swap(offsets_, other.offsets_);
    return *this;
}

TargetCache::~TargetCache() {
    if (descriptor_ >= 0) close(descriptor_);
}

bool TargetCache::holds(std::int64_t photo, std::int64_t target) const {
    return offsets_.contains({photo, target});
}

std::optional<TargetMap> TargetCache::find(std::int64_t photo, std::int64_t target) const {
    const auto found = offsets_.find({photo, target});
    if (found == offsets_.end()) return std::nullopt;
    Record record;
    if (!readAt(descriptor_, &record, sizeof(Record), found->second)) return std::nullopt;
    const at::Tensor halves = at::empty({record.height, record.width, record.dims}, at::kHalf);
    if (!readAt(descriptor_, halves.mutable_data_ptr(), record.bytes(),
                found->second + static_cast<std::int64_t>(sizeof(Record))))
        return std::nullopt;
    return TargetMap{halves.to(at::kFloat), record.cells};
}

void TargetCache::add(std::int64_t photo, std::int64_t target, const TargetMap& map) {
    const at::Tensor halves = map.values.to(at::kHalf).contiguous();
    const Record record{photo, target, halves.size(0), halves.size(1), halves.size(2), map.cells};
    const std::int64_t next = end_ + static_cast<std::int64_t>(sizeof(Record)) + record.bytes();
    if (next > limit_) return;
    // The values first: a record that is there is whole.
    if (!writeAt(descriptor_, halves.const_data_ptr(), record.bytes(),
                 end_ + static_cast<std::int64_t>(sizeof(Record))) ||
        !writeAt(descriptor_, &record, sizeof(Record), end_)) {
        limit_ = 0;
        return;
    }
    offsets_[{photo, target}] = end_;
    end_ = next;
}

at::Tensor asKept(const at::Tensor& values) {
    return values.to(at::kHalf).to(at::kFloat);
}

} // namespace loftscope
