// SPDX-License-Identifier: Apache-2.0
#include "core/weights/safetensors.h"

#include "core/weights/tensor_extents.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace loftscope {

using nlohmann::json;

namespace {

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 15> safetensorsTypes{{
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F64", at::kDouble},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U8", at::kByte},
    {"U16", at::kUInt16},
    {"U32", at::kUInt32},
    {"U64", at::kUInt64},
    {"BOOL", at::kBool},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
}};

std::optional<at::ScalarType> typeNamed(std::string_view name) {
    for (const auto& [known, type] : safetensorsTypes) {
        if (known == name) return type;
    }
    return std::nullopt;
}

struct Entry {
    std::string key;
    at::ScalarType type = at::kFloat;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0; ///< counted from the end of the header
    std::uint64_t end = 0;
};

/// A header names each key once and is three levels deep; anything else is refused while it is
/// being parsed, before it can cost memory.
json parseHeader(std::string_view text) {
    std::vector<std::set<std::string>> keysOfLevel;
    return json::parse(text, [&](int depth, json::parse_event_t event, json& value) {
        if (depth > 3) throw std::runtime_error("it is nested too deeply");
        if (event == json::parse_event_t::object_start) {
            keysOfLevel.resize(static_cast<std::size_t>(depth));
            keysOfLevel.emplace_back();
        } else if (event == json::parse_event_t::key) {
            auto key = value.get<std::string>();
            if (!keysOfLevel.back().insert(key).second)
                throw std::runtime_error(fmt::format("the key '{}' occurs twice", key));
        } else if (event == json::parse_event_t::object_end) {
            keysOfLevel.pop_back();
        }
        return true;
    });
}

std::uint64_t wholeNumber(const json& value, std::string_view key) {
    if (!value.is_number_unsigned())
        throw std::runtime_error(fmt::format("'{}' has a size that is no whole number", key));
    return value.get<std::uint64_t>();
}

Entry entryFrom(const std::string& key, const json& description) {
    const auto malformed = [&key](std::string_view reason) {
        return std::runtime_error(fmt::format("'{}' {}", key, reason));
    };
    if (!description.is_object()) throw malformed("is not described by an object");
    const auto shape = description.find("shape");
    const auto offsets = description.find("data_offsets");
    if (shape == description.end() || !shape->is_array()) throw malformed("has no shape");
    if (offsets == description.end() || !offsets->is_array() || offsets->size() != 2)
        throw malformed("has no pair of data_offsets");

    Entry entry;
    entry.key = key;
    for (const json& extent : *shape) {
        const std::uint64_t value = wholeNumber(extent, key);
        if (value > std::numeric_limits<std::int64_t>::max()) throw malformed("is absurdly large");
        entry.shape.push_back(static_cast<std::int64_t>(value));
    }
    entry.begin = wholeNumber((*offsets)[0], key);
    entry.end = wholeNumber((*offsets)[1], key);
    return entry;
}

/// The bytes that a tensor of this shape and type takes, checked against its offsets.
Result<void> checkEntry(const Entry& entry, std::uint64_t available) {
    const std::optional<std::int64_t> count = elementCount(entry.shape);
    if (!count)
        return fail(ErrorCode::Malformed, fmt::format("'{}' has an absurd shape", entry.key));
    if (entry.begin > entry.end || entry.end > available) {
        return fail(
            ErrorCode::Malformed,
            fmt::format("'{}' lies outside the file, which is truncated or damaged", entry.key));
    }
    std::uint64_t size = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(*count), c10::elementSize(entry.type),
                               &size) ||
        size != entry.end - entry.begin) {
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' has {} bytes, which is not what its shape and type need",
                                entry.key, entry.end - entry.begin));
    }
    return {};
}

Result<std::vector<Entry>> entriesFrom(const json& header, std::uint64_t available,
                                       std::map<std::string, std::string>& metadata) {
    std::vector<Entry> entries;
    for (const auto& [key, description] : header.items()) {
        if (key == "__metadata__") {
            if (!description.is_object())
                return fail(ErrorCode::Malformed, "its metadata are not an object");
            for (const auto& [name, text] : description.items())
                metadata[name] = text.is_string() ? text.get<std::string>() : text.dump();
            continue;
        }
        Entry entry = entryFrom(key, description);
        const auto type = description.find("dtype");
        if (type == description.end() || !type->is_string())
            return fail(ErrorCode::Malformed, fmt::format("'{}' has no dtype", key));
        const auto typeName = type->get<std::string>();
        const std::optional<at::ScalarType> known = typeNamed(typeName);
        if (!known) {
            return fail(ErrorCode::Unsupported,
                        fmt::format("'{}' has elements of the unknown type '{}'", key, typeName));
        }
        entry.type = *known;
        LOFTSCOPE_CHECK(checkEntry(entry, available));
        entries.push_back(std::move(entry));
    }
    return entries;
}

Result<void> readSafetensorsChecked(const std::shared_ptr<const MappedFile>& mapped,
                                    TensorFile& file) {
    const std::span<const std::byte> bytes = mapped->bytes();
    std::uint64_t headerSize = 0; // little endian, as every machine that this runs on
    if (bytes.size() < sizeof(headerSize))
        return fail(ErrorCode::Malformed, "it is too short to be one");
    std::memcpy(&headerSize, bytes.data(), sizeof(headerSize));
    if (headerSize > maxSafetensorsHeader)
        return fail(ErrorCode::Malformed, "its header length is absurd");
    if (headerSize > bytes.size() - sizeof(headerSize))
        return fail(ErrorCode::Malformed, "it ends inside its header");
    const std::size_t dataStart = sizeof(headerSize) + headerSize;

    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(headerSize),
                                headerSize);
    const json header = parseHeader(text);
    if (!header.is_object()) return fail(ErrorCode::Malformed, "its header is not a JSON object");
    LOFTSCOPE_TRY(std::vector<Entry> entries,
                  entriesFrom(header, bytes.size() - dataStart, file.metadata));

    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::uint64_t position = 0;
    for (const Entry& entry : entries) {
        if (entry.begin < position)
            return fail(ErrorCode::Malformed,
                        fmt::format("'{}' overlaps another tensor", entry.key));
        if (entry.begin > position) {
            return fail(ErrorCode::Malformed,
                        fmt::format("{} bytes before '{}' belong to no tensor",
                                    entry.begin - position, entry.key));
        }
        position = entry.end;
    }
    if (position != bytes.size() - dataStart) {
        return fail(ErrorCode::Malformed,
                    fmt::format("it has {} bytes more than its header accounts for",
                                bytes.size() - dataStart - position));
    }
    for (const Entry& entry : entries)
        file.tensors[entry.key] =
            tensorOver(mapped, dataStart + entry.begin, entry.shape, entry.type);
    return {};
}

} // namespace

std::optional<std::string_view> safetensorsTypeName(at::ScalarType type) {
    for (const auto& [name, known] : safetensorsTypes) {
        if (known == type) return name;
    }
    return std::nullopt;
}

Result<void> readSafetensors(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file) {
    const auto describe = [&file](ErrorCode code, std::string_view reason) {
        return fail(code, fmt::format("'{}' is not a readable safetensors file: {}.",
                                      file.path.string(), reason));
    };
    try {
        if (const Result<void> read = readSafetensorsChecked(mapped, file); !read)
            return describe(read.error().code, read.error().message);
        return {};
    } catch (const json::exception&) {
        return describe(ErrorCode::Malformed, "its header is not valid JSON");
    } catch (const std::runtime_error& error) {
        return describe(ErrorCode::Malformed, error.what());
    }
}

} // namespace loftscope
