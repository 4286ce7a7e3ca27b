// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes that come from files and may be hostile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace loftscope {

/// More dimensions than any array has; NumPy's own limit.
inline constexpr std::size_t maxDimensions = 64;

/// Number of elements of an array of `shape`, or nothing if an extent is negative, there are too
/// many of them, or their product (with zeros taken as ones, as strides are computed) leaves 62
/// bits.
std::optional<std::int64_t> elementCount(std::span<const std::int64_t> shape);

/// One past the last element that a strided view touches, counted from the start of its storage;
/// nothing if a number is negative or leaves 62 bits. An empty view touches none: 0.
std::optional<std::int64_t> viewEnd(std::int64_t offset, std::span<const std::int64_t> shape,
                                    std::span<const std::int64_t> strides);

} // namespace loftscope
