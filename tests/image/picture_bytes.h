// SPDX-License-Identifier: Apache-2.0
// Picture files made in memory for the tests of reading and writing.
#pragma once

#include "core/image/image.h"

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope::test {

using Bytes = std::vector<std::byte>;

/// The file that OpenCV writes for `pixels` (B G R order), e.g. ".png".
inline Bytes encode(const std::string& ending, const cv::Mat& pixels,
                    const std::vector<int>& parameters = {}) {
    std::vector<std::uint8_t> encoded;
    cv::imencode(ending, pixels, encoded, parameters);
    const auto bytes = std::as_bytes(std::span(encoded));
    return {bytes.begin(), bytes.end()};
}

inline void append(Bytes& bytes, std::string_view text) {
    for (const char letter : text)
        bytes.push_back(static_cast<std::byte>(letter));
}

inline void appendNumber(Bytes& bytes, std::uint32_t value, int size, bool bigEndian) {
    for (int i = 0; i < size; ++i)
        bytes.push_back(
            static_cast<std::byte>(value >> (8 * (bigEndian ? size - 1 - i : i)) & 0xffU));
}

/// An EXIF block (a TIFF structure) whose only entry is the orientation.
inline Bytes exifBlock(std::uint32_t orientation, bool bigEndian) {
    Bytes bytes;
    append(bytes, bigEndian ? std::string_view("MM\0*", 4) : std::string_view("II*\0", 4));
    appendNumber(bytes, 8, 4, bigEndian);      // offset of the first directory
    appendNumber(bytes, 1, 2, bigEndian);      // entries
    appendNumber(bytes, 0x0112, 2, bigEndian); // orientation
    appendNumber(bytes, 3, 2, bigEndian);      // of 16 bits
    appendNumber(bytes, 1, 4, bigEndian);      // one value
    appendNumber(bytes, orientation, 2, bigEndian);
    appendNumber(bytes, 0, 2, bigEndian);
    appendNumber(bytes, 0, 4, bigEndian); // no further directory
    return bytes;
}

inline Bytes inserted(Bytes bytes, std::size_t at, const Bytes& piece) {
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
    return bytes;
}

/// A JPEG with an APP1 segment after its first marker.
inline Bytes jpegWithExif(const Bytes& jpeg, const Bytes& exif) {
    Bytes segment;
    append(segment, "\xff\xe1");
    appendNumber(segment, static_cast<std::uint32_t>(exif.size()) + 8, 2, true);
    append(segment, std::string_view("Exif\0\0", 6));
    segment.insert(segment.end(), exif.begin(), exif.end());
    return inserted(jpeg, 2, segment);
}

inline std::uint32_t pngChecksum(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xffffffffU;
    for (const std::byte byte : bytes) {
        crc ^= static_cast<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc & 1U) != 0 ? crc >> 1U ^ 0xedb88320U : crc >> 1U;
    }
    return ~crc;
}

/// A PNG with one more chunk behind its header chunk.
inline Bytes pngWithChunk(const Bytes& png, std::string_view type, const Bytes& content) {
    Bytes named;
    append(named, type);
    named.insert(named.end(), content.begin(), content.end());
    Bytes chunk;
    appendNumber(chunk, static_cast<std::uint32_t>(content.size()), 4, true);
    chunk.insert(chunk.end(), named.begin(), named.end());
    appendNumber(chunk, pngChecksum(named), 4, true);
    constexpr std::size_t endOfHeader = 8 + 12 + 13;
    return inserted(png, endOfHeader, chunk);
}

/// A PNG whose header claims another width and height.
inline Bytes pngClaiming(Bytes png, std::uint32_t width, std::uint32_t height) {
    constexpr std::size_t header = 12; // its type
    Bytes size;
    appendNumber(size, width, 4, true);
    appendNumber(size, height, 4, true);
    std::copy(size.begin(), size.end(), png.begin() + header + 4);
    Bytes checksum;
    appendNumber(checksum, pngChecksum(std::span(png).subspan(header, 4 + 13)), 4, true);
    std::copy(checksum.begin(), checksum.end(), png.begin() + header + 4 + 13);
    return png;
}

/// An uncompressed TIFF of `pixels` (8-bit B G R) with 8 or 16 bits per channel.
inline Bytes tiffWithOrientation(const cv::Mat& pixels, int bits, std::uint32_t orientation) {
    const auto samples = static_cast<std::uint32_t>(pixels.total() * 3);
    const std::uint32_t size = samples * static_cast<std::uint32_t>(bits) / 8;
    constexpr std::uint32_t dataOffset = 16; // header, three bit depths and padding before it
    Bytes tiff;
    append(tiff, std::string_view("II*\0", 4));
    appendNumber(tiff, dataOffset + size, 4, false);
    for (int c = 0; c < 3; ++c)
        appendNumber(tiff, static_cast<std::uint32_t>(bits), 2, false);
    appendNumber(tiff, 0, 2, false);
    for (int y = 0; y < pixels.rows; ++y)
        for (int x = 0; x < pixels.cols; ++x)
            for (int c = 2; c >= 0; --c)
                appendNumber(tiff, pixels.at<cv::Vec3b>(y, x)[c] * (bits == 16 ? 257U : 1U),
                             bits / 8, false);
    struct Entry {
        std::uint32_t tag, type, count, value;
    };
    constexpr std::uint32_t shortType = 3;
    constexpr std::uint32_t longType = 4;
    const auto width = static_cast<std::uint32_t>(pixels.cols);
    const auto height = static_cast<std::uint32_t>(pixels.rows);
    const std::vector<Entry> entries = {
        {256, longType, 1, width},      {257, longType, 1, height},       {258, shortType, 3, 8},
        {259, shortType, 1, 1}, // not compressed
        {262, shortType, 1, 2}, // RGB
        {273, longType, 1, dataOffset}, {274, shortType, 1, orientation}, {277, shortType, 1, 3},
        {278, longType, 1, height},     {279, longType, 1, size},
    };
    appendNumber(tiff, static_cast<std::uint32_t>(entries.size()), 2, false);
    for (const Entry& entry : entries) {
        appendNumber(tiff, entry.tag, 2, false);
        appendNumber(tiff, entry.type, 2, false);
        appendNumber(tiff, entry.count, 4, false);
        appendNumber(tiff, entry.value, 4, false);
    }
    appendNumber(tiff, 0, 4, false);
    return tiff;
}

/// A WebP in the extended form: its flags, the original's chunks, then EXIF.
inline Bytes webpWithExif(const Bytes& webp, Extent extent, const Bytes& exif) {
    Bytes body;
    append(body, "WEBPVP8X");
    appendNumber(body, 10, 4, false);
    appendNumber(body, 0x08, 4, false); // has EXIF
    appendNumber(body, static_cast<std::uint32_t>(extent.width - 1), 3, false);
    appendNumber(body, static_cast<std::uint32_t>(extent.height - 1), 3, false);
    body.insert(body.end(), webp.begin() + 12, webp.end());
    append(body, "EXIF");
    appendNumber(body, static_cast<std::uint32_t>(exif.size()), 4, false);
    body.insert(body.end(), exif.begin(), exif.end());
    if (exif.size() % 2 != 0) body.push_back(std::byte{0});
    Bytes file;
    append(file, "RIFF");
    appendNumber(file, static_cast<std::uint32_t>(body.size()), 4, false);
    file.insert(file.end(), body.begin(), body.end());
    return file;
}

} // namespace loftscope::test
