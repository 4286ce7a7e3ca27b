// SPDX-License-Identifier: Apache-2.0
#include "core/image/label_map.h"

#include "core/base/guard.h"

#include <fmt/format.h>
#include <opencv2/imgcodecs.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

namespace loftscope {

namespace {

constexpr std::array<unsigned char, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::size_t bitDepthAt = 24; // bytes from the start of the file
constexpr std::size_t colorTypeAt = 25;
constexpr unsigned char grayscale = 0;
constexpr unsigned char palette = 3;

std::uint32_t bigEndian(const std::byte* bytes) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
        value = (value << 8U) | std::to_integer<std::uint32_t>(bytes[i]);
    return value;
}

/// CRC of a PNG chunk (ISO 3309).
std::uint32_t chunkCrc(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const std::byte value : bytes) {
        crc ^= std::to_integer<std::uint32_t>(value);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0xEDB88320U : crc >> 1U;
    }
    return ~crc;
}

/// An indexed PNG is a grayscale PNG with a table of colours beside it: without the table, and said
/// to be grayscale, the decoder hands out the indices, which it has no other way to do.
Result<std::vector<std::byte>> asGrayscale(std::span<const std::byte> png,
                                           const std::string& name) {
    std::vector<std::byte> out(png.begin(), png.begin() + signature.size());
    std::size_t at = signature.size();
    while (at + 12 <= png.size()) {
        const std::size_t length = bigEndian(png.data() + at);
        if (length > png.size() - at - 12) break;
        const std::span<const std::byte> chunk = png.subspan(at, length + 12);
        const auto isType = [&](const char* type) {
            return std::memcmp(chunk.data() + 4, type, 4) == 0;
        };
        if (isType("IHDR")) {
            std::vector<std::byte> header(chunk.begin(), chunk.end());
            header[8 + 9] = std::byte{grayscale};
            const std::uint32_t crc = chunkCrc(std::span(header).subspan(4, length + 4));
            for (std::size_t i = 0; i < 4; ++i)
                header[8 + length + i] = static_cast<std::byte>(crc >> (24U - 8U * i));
            out.insert(out.end(), header.begin(), header.end());
        } else if (!isType("PLTE") && !isType("tRNS")) {
            out.insert(out.end(), chunk.begin(), chunk.end());
        }
        at += chunk.size();
        if (isType("IEND")) return out;
    }
    return fail(ErrorCode::Malformed, fmt::format("The label map '{}' is truncated.", name));
}

} // namespace

Result<LabelMap> decodeLabelMap(std::span<const std::byte> bytes, const std::string& name) {
    if (bytes.size() < 33 || std::memcmp(bytes.data(), signature.data(), signature.size()) != 0) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("The label map '{}' is not a PNG file.", name));
    }
    const auto depth = std::to_integer<unsigned>(bytes[bitDepthAt]);
    const auto type = std::to_integer<unsigned char>(bytes[colorTypeAt]);
    if ((type != grayscale && type != palette) || depth > 8 || depth == 0) {
        return fail(
            ErrorCode::Unsupported,
            fmt::format("The label map '{}' is neither indexed nor grayscale of up to 8 bits.",
                        name));
    }
    LOFTSCOPE_TRY(const std::vector<std::byte> plain, asGrayscale(bytes, name));
    return guarded("decoding a label map", [&]() -> Result<LabelMap> {
        const cv::Mat encoded(1, static_cast<int>(plain.size()), CV_8UC1,
                              const_cast<std::byte*>(plain.data()));
        const cv::Mat decoded = cv::imdecode(encoded, cv::IMREAD_UNCHANGED);
        if (decoded.empty() || decoded.type() != CV_8UC1) {
            return fail(ErrorCode::Malformed, fmt::format("The label map '{}' is damaged.", name));
        }
        LabelMap map{{decoded.rows, decoded.cols}, {}};
        // The decoder stretches fewer than 8 bits over 0..255.
        const int step = 255 / ((1 << depth) - 1);
        map.labels.reserve(static_cast<std::size_t>(map.extent.area()));
        for (int y = 0; y < decoded.rows; ++y) {
            const std::uint8_t* row = decoded.ptr<std::uint8_t>(y);
            std::transform(
                row, row + decoded.cols, std::back_inserter(map.labels),
                [step](std::uint8_t value) { return static_cast<std::uint8_t>(value / step); });
        }
        return map;
    });
}

Result<LabelMap> decodeLabelMap(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(ErrorCode::NotFound,
                    fmt::format("Cannot open the label map '{}'.", path.string()));
    const std::string content{std::istreambuf_iterator<char>(file),
                              std::istreambuf_iterator<char>()};
    return decodeLabelMap(std::as_bytes(std::span(content)), path.string());
}

} // namespace loftscope
