// SPDX-License-Identifier: Apache-2.0
#include "core/weights/npy.h"

#include "core/weights/tensor_extents.h"

#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace loftscope {

namespace {

constexpr std::string_view magic{"\x93NUMPY", 6};
/// Above NumPy's own limit (10,000), far below what could hurt.
constexpr std::size_t maxHeader = std::size_t{1} << 20U;

/// NumPy's codes for what can be a tensor.
constexpr std::array<std::pair<std::string_view, at::ScalarType>, 12> npyTypes{{
    {"<f4", at::kFloat},
    {"<f2", at::kHalf},
    {"<f8", at::kDouble},
    {"<i8", at::kLong},
    {"<i4", at::kInt},
    {"<i2", at::kShort},
    {"|i1", at::kChar},
    {"|u1", at::kByte},
    {"<u2", at::kUInt16},
    {"<u4", at::kUInt32},
    {"<u8", at::kUInt64},
    {"|b1", at::kBool},
}};

/// What the header, a Python dictionary of three literals, says.
struct Header {
    std::string descr;
    bool fortranOrder = false;
    std::vector<std::int64_t> shape;
};

/// Reads exactly such a dictionary; the keys may come in any order.
class HeaderParser {
public:
    explicit HeaderParser(std::string_view text)
        : rest_(text) {}

    std::optional<Header> parse() {
        Header header;
        unsigned seen = 0;
        if (!accept('{')) return std::nullopt;
        while (!accept('}')) {
            const std::optional<std::string> key = quoted();
            if (!key || !accept(':')) return std::nullopt;
            if (*key == "descr") {
                // A structure's or an object array's description is not a plain string.
                std::optional<std::string> descr = quoted();
                if (!descr) descr = bracketed();
                if (!descr) return std::nullopt;
                header.descr = *descr;
                seen |= 1U;
            } else if (*key == "fortran_order") {
                if (acceptWord("True")) {
                    header.fortranOrder = true;
                } else if (!acceptWord("False")) {
                    return std::nullopt;
                }
                seen |= 2U;
            } else if (*key == "shape") {
                std::optional<std::vector<std::int64_t>> shape = tuple();
                if (!shape) return std::nullopt;
                header.shape = *std::move(shape);
                seen |= 4U;
            } else {
                return std::nullopt;
            }
            if (!accept(',') && !peek('}')) return std::nullopt;
        }
        skipSpace();
        if (seen != 7U || !rest_.empty()) return std::nullopt;
        return header;
    }

private:
    void skipSpace() {
        const std::size_t start = rest_.find_first_not_of(" \t\r\n");
        rest_.remove_prefix(std::min(start, rest_.size()));
    }
    bool peek(char wanted) {
        skipSpace();
        return !rest_.empty() && rest_.front() == wanted;
    }
    bool accept(char wanted) {
        if (!peek(wanted)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool acceptWord(std::string_view word) {
        skipSpace();
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    std::optional<std::string> quoted() {
        skipSpace();
        if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
        const std::size_t end = rest_.find(rest_.front(), 1);
        if (end == std::string_view::npos) return std::nullopt;
        std::string text(rest_.substr(1, end - 1));
        rest_.remove_prefix(end + 1);
        return text;
    }
    std::optional<std::string> bracketed() {
        if (!peek('[')) return std::nullopt;
        const std::size_t end = rest_.rfind(']');
        if (end == std::string_view::npos) return std::nullopt;
        std::string text(rest_.substr(0, end + 1));
        rest_.remove_prefix(end + 1);
        return text;
    }
    std::optional<std::vector<std::int64_t>> tuple() {
        if (!accept('(')) return std::nullopt;
        std::vector<std::int64_t> values;
        while (!accept(')')) {
            skipSpace();
            std::int64_t value = 0;
            const auto [end, error] =
                std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
            if (error != std::errc()) return std::nullopt;
            rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
            accept('L'); // as Python 2 wrote whole numbers
            values.push_back(value);
            if (!accept(',') && !peek(')')) return std::nullopt;
        }
        return values;
    }

    std::string_view rest_;
};

std::string whyUnknown(std::string_view descr) {
    if (descr.find('O') != std::string_view::npos)
        return "it holds Python objects, which are never loaded; save plain numbers";
    if (descr.starts_with('>'))
        return "its numbers are big-endian; save it with `.astype` of a little-endian type";
    return fmt::format("its element type '{}' cannot be a tensor; save float32", descr);
}

} // namespace

Result<void> readNpy(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file) {
    const auto failed = [&file](ErrorCode code, std::string_view reason) {
        return fail(
            code, fmt::format("'{}' is not a readable .npy file: {}.", file.path.string(), reason));
    };
    const std::span<const std::byte> bytes = mapped->bytes();
    const std::size_t versionAt = magic.size();
    if (bytes.size() < versionAt + 2) return failed(ErrorCode::Malformed, "it is truncated");
    const auto version = std::to_integer<unsigned>(bytes[versionAt]);
    if (version < 1 || version > 3)
        return failed(ErrorCode::Unsupported, "its format version is unknown");
    const std::size_t lengthSize = version == 1 ? 2 : 4;
    const std::size_t headerAt = versionAt + 2 + lengthSize;
    if (bytes.size() < headerAt) return failed(ErrorCode::Malformed, "it is truncated");
    std::uint32_t headerSize = 0;
    std::memcpy(&headerSize, bytes.data() + versionAt + 2, lengthSize);
    if (headerSize > maxHeader) return failed(ErrorCode::Malformed, "its header length is absurd");
    if (headerSize > bytes.size() - headerAt)
        return failed(ErrorCode::Malformed, "it ends inside its header");

    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + headerAt, headerSize);
    const std::optional<Header> header = HeaderParser(text).parse();
    if (!header) return failed(ErrorCode::Malformed, "its header is damaged");
    const auto* known = std::find_if(npyTypes.begin(), npyTypes.end(),
                                     [&](const auto& type) { return type.first == header->descr; });
    if (known == npyTypes.end()) return failed(ErrorCode::Unsupported, whyUnknown(header->descr));

    const std::optional<std::int64_t> count = elementCount(header->shape);
    const std::size_t dataAt = headerAt + headerSize;
    std::uint64_t size = 0;
    if (!count || __builtin_mul_overflow(static_cast<std::uint64_t>(*count),
                                         c10::elementSize(known->second), &size))
        return failed(ErrorCode::Malformed, "its shape is absurd");
    if (size > bytes.size() - dataAt) {
        return failed(ErrorCode::Malformed, fmt::format("it is truncated, {} bytes are missing",
                                                        size - (bytes.size() - dataAt)));
    }
    if (size < bytes.size() - dataAt) {
        file.warnings.push_back(fmt::format("{} bytes after the array were left unread.",
                                            bytes.size() - dataAt - size));
    }

    if (header->fortranOrder) {
        const std::vector<std::int64_t> reversed(header->shape.rbegin(), header->shape.rend());
        std::vector<std::int64_t> order(reversed.size());
        for (std::size_t d = 0; d < order.size(); ++d)
            order[d] = static_cast<std::int64_t>(order.size() - 1 - d);
        file.tensors[""] = tensorOver(mapped, dataAt, reversed, known->second).permute(order);
    } else {
        file.tensors[""] = tensorOver(mapped, dataAt, header->shape, known->second);
    }
    return {};
}

std::string npyHeader(const std::vector<std::int64_t>& shape) {
    std::string extents;
    for (const std::int64_t extent : shape)
        extents += fmt::format("{}, ", extent);
    // Python writes (3,) and (3, 4).
    if (shape.size() > 1) extents.resize(extents.size() - 2);
    if (shape.size() == 1) extents.pop_back();
    std::string dictionary =
        fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", extents);
    const std::size_t before = magic.size() + 4; // version and header length
    const std::size_t unpadded = before + dictionary.size() + 1;
    dictionary.append((unpadded + 63) / 64 * 64 - unpadded, ' ');
    dictionary += '\n';

    const auto length = static_cast<std::uint16_t>(dictionary.size());
    std::string header(magic);
    header += '\x01';
    header += '\x00';
    header += static_cast<char>(length & 0xFFU);
    header += static_cast<char>(length >> 8U);
    return header + dictionary;
}

} // namespace loftscope
