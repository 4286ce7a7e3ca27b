// SPDX-License-Identifier: Apache-2.0
// Bytes as text of 64 letters (RFC 4648), for JSON and HTML.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

std::string base64(std::span<const std::byte> bytes);
/// The inverse; nothing of what is not such a text.
std::optional<std::vector<std::byte>> fromBase64(std::string_view text);

} // namespace loftscope
