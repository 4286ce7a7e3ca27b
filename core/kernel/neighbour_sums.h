// SPDX-License-Identifier: Apache-2.0
// Sums over the 3 x 3 neighbours of a pixel, each neighbour a weighted sum of rows of tables: the
// inner loop of LoftUp's first convolution by table.
#pragma once

#include <c10/util/BFloat16.h>

#include <array>
#include <cstdint>
#include <span>

namespace loftscope {

/// Most channels that are summed at once.
inline constexpr std::int64_t mostNeighbourChannels = 64;

/// What a pixel gives to its neighbours. Every row of a table holds 9 x `stride` values: those for
/// the neighbour to which the pixel is tap 0, 1, ... 8.
struct GivingPixel {
    std::array<const float*, 3> colors{}; ///< rows of the tables of red, green and blue
    float weight = 0;                     ///< 0 beyond the picture
};

/// One row of pixels with the rows above and below.
struct NeighbourRow {
    std::array<const float*, 3> rows{};                ///< of the table of picture rows
    std::span<const float* const> columns;             ///< width + 2, of the table of columns
    std::array<std::span<const GivingPixel>, 3> given; ///< width + 2 each
    std::span<const float* const> start;               ///< width: what each sum begins with
};

/// Where the results of a row go: `width` pixels, `channels` values each.
struct NeighbourTarget {
    std::int64_t channels = 0;
    float* full = nullptr;         ///< either fp32, pixels `channels` values apart,
    c10::BFloat16* half = nullptr; ///< or bf16, pixels `stride` values apart and padded with 0
};

/// max(0, start + sum over neighbours of weight * (row + column + red + green + blue)) for the
/// channels from `first` to `first + count`, both multiples of 16 (`count` at most 64). `stride`:
/// the channels of the tables, padded to a multiple of 16 with 0.
void sumNeighbours(const NeighbourRow& row, std::int64_t stride, std::int64_t first,
                   std::int64_t count, const NeighbourTarget& target);

} // namespace loftscope
