// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/picture_levels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <bit>
#include <cstdint>
#include <vector>

namespace loftscope {

namespace {

constexpr std::size_t mostLevels = 256;

/// Numbers the values of a channel in the order in which they come: a small open hash table, since
/// this is done for every pixel of large photos.
class LevelTable {
public:
    /// The number of `value`; nothing for a new one where there are 256 already.
    std::optional<std::uint8_t> numberOf(float value) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        for (std::uint32_t slot = bits * 2654435761U >> shift;; slot = (slot + 1) % slots) {
            Entry& entry = entries_[slot];
            if (entry.used && entry.bits == bits) return entry.number;
            if (entry.used) continue;
            if (values_.size() == mostLevels) return std::nullopt;
            entry = {bits, static_cast<std::uint8_t>(values_.size()), true};
            values_.push_back(value);
            return entry.number;
        }
    }
    const std::vector<float>& values() const { return values_; }

private:
    static constexpr std::uint32_t shift = 22;
    static constexpr std::uint32_t slots = 1U << (32 - shift);
    struct Entry {
        std::uint32_t bits = 0;
        std::uint8_t number = 0;
        bool used = false;
    };
    std::array<Entry, slots> entries_{};
    std::vector<float> values_;
};

} // namespace

std::optional<PictureLevels> levelsOf(const at::Tensor& picture) {
    if (!picture.is_cpu()) return std::nullopt;
    PictureLevels levels{at::empty(picture.sizes(), at::kByte), {}};
    for (std::int64_t c = 0; c < 3; ++c) {
        const at::Tensor channel = picture.select(0, c).contiguous();
        const auto* pixels = channel.const_data_ptr<float>();
        auto* index = levels.index.select(0, c).mutable_data_ptr<std::uint8_t>();
        LevelTable table;
        for (std::int64_t i = 0; i < channel.numel(); ++i) {
            const auto number = table.numberOf(pixels[i]);
            if (!number) return std::nullopt;
            index[i] = *number;
        }
        levels.values[static_cast<std::size_t>(c)] = at::tensor(table.values());
    }
    return levels;
}

} // namespace loftscope
