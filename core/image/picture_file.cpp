// SPDX-License-Identifier: Apache-2.0
#include "core/image/picture_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace loftscope {

namespace {

using Bytes = std::span<const std::byte>;

/// The part of `bytes` from `offset`, `size` long or shorter where the bytes end.
Bytes part(Bytes bytes, std::size_t offset, std::size_t size) {
    if (offset >= bytes.size()) return {};
    return bytes.subspan(offset, std::min(size, bytes.size() - offset));
}

bool beginsWith(Bytes bytes, std::string_view text) {
    return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

bool hasAt(Bytes bytes, std::size_t offset, std::string_view text) {
    return beginsWith(part(bytes, offset, text.size()), text);
}

enum class ByteOrder { Little, Big };

/// The unsigned number of `size` bytes at `offset`, or nothing where the bytes end before.
std::optional<std::uint32_t> number(Bytes bytes, std::size_t offset, std::size_t size,
                                    ByteOrder order) {
    const Bytes digits = part(bytes, offset, size);
    if (digits.size() != size) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value = value << 8U |
                static_cast<std::uint32_t>(digits[order == ByteOrder::Big ? i : size - 1 - i]);
    return value;
}

auto truncated(const std::string& name) {
    return fail(
        ErrorCode::Malformed,
        fmt::format("'{}' is cut off: its end is missing, so copy or export it again.", name));
}

constexpr std::string_view exifMark{"Exif\0\0", 6};

int orientationOfMarkedExif(Bytes bytes) {
    return orientationOfExif(beginsWith(bytes, exifMark) ? bytes.subspan(exifMark.size()) : bytes);
}

Result<PictureFileInfo> inspectJpeg(Bytes bytes, const std::string& name) {
    PictureFileInfo info{.format = PictureFormat::Jpeg};
    bool exifSeen = false;
    std::size_t at = 2;
    while (at + 1 < bytes.size()) {
        const auto marker = static_cast<unsigned>(bytes[at + 1]);
        // Between segments and inside the compressed data: everything up to the next marker. A 0xff
        // of the data is followed by 0 (stuffed), by a restart marker or by another 0xff (filler).
        if (bytes[at] != std::byte{0xff} || marker == 0 || marker == 0xff || marker == 0x01 ||
            (marker >= 0xd0 && marker <= 0xd8)) {
            const auto* next = static_cast<const std::byte*>(
                std::memchr(bytes.data() + at + 1, 0xff, bytes.size() - at - 1));
            if (next == nullptr) break;
            at = static_cast<std::size_t>(next - bytes.data());
            continue;
        }
        if (marker == 0xd9) return info;
        const std::uint32_t length = number(bytes, at + 2, 2, ByteOrder::Big).value_or(0);
        if (length < 2) break;
        const Bytes segment = part(bytes, at + 4, length - 2);
        const bool startOfFrame =
            marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (startOfFrame) info.cmyk = number(segment, 5, 1, ByteOrder::Big) == 4U;
        if (marker == 0xe1 && beginsWith(segment, exifMark) && !exifSeen) {
            info.orientation = orientationOfMarkedExif(segment);
            exifSeen = true;
        }
        at += 2 + length;
    }
    return truncated(name);
}

Result<PictureFileInfo> inspectPng(Bytes bytes, const std::string& name) {
    PictureFileInfo info{.format = PictureFormat::Png};
    std::uint32_t colorType = 0;
    for (std::size_t at = 8;;) {
        const auto length = number(bytes, at, 4, ByteOrder::Big);
        // Length, type, content, checksum.
        if (!length || part(bytes, at, std::size_t{*length} + 12).size() < *length + 12ULL)
            return truncated(name);
        const Bytes content = part(bytes, at + 8, *length);
        const auto is = [&](std::string_view type) { return hasAt(bytes, at + 4, type); };
        if (is("IHDR")) {
            if (number(content, 0, 4, ByteOrder::Big) == 0U ||
                number(content, 4, 4, ByteOrder::Big) == 0U)
                return fail(ErrorCode::InvalidArgument,
                            fmt::format("'{}' has no pixels: choose another picture.", name));
            colorType = number(content, 9, 1, ByteOrder::Big).value_or(0);
        }
        if (is("eXIf")) info.orientation = orientationOfMarkedExif(content);
        if (is("acTL")) info.animated = number(content, 0, 4, ByteOrder::Big).value_or(1) > 1;
        if (is("tRNS") && (colorType == 0 || colorType == 2)) {
            std::array<std::uint16_t, 3> color{};
            for (std::size_t c = 0; c < 3; ++c)
                color[c] = static_cast<std::uint16_t>(
                    number(content, colorType == 0 ? 0 : 2 * c, 2, ByteOrder::Big).value_or(0));
            info.transparentColor = color;
        }
        if (is("IEND")) break;
        at += std::size_t{*length} + 12;
    }
    info.grayWithAlpha = colorType == 4;
    return info;
}

Result<PictureFileInfo> inspectWebP(Bytes bytes, const std::string& name) {
    PictureFileInfo info{.format = PictureFormat::WebP};
    const std::size_t size = std::size_t{number(bytes, 4, 4, ByteOrder::Little).value_or(0)} + 8;
    if (size > bytes.size()) return truncated(name);
    for (std::size_t at = 12; at + 8 <= size;) {
        const std::size_t length = number(bytes, at + 4, 4, ByteOrder::Little).value_or(0);
        if (hasAt(bytes, at, "ANMF"))
            return fail(ErrorCode::Unsupported,
                        fmt::format("'{}' is an animated WebP, which cannot be read: save one of "
                                    "its frames as PNG or JPEG.",
                                    name));
        if (hasAt(bytes, at, "EXIF"))
            info.orientation = orientationOfMarkedExif(part(bytes, at + 8, length));
        at += 8 + length + length % 2;
    }
    return info;
}

struct OrientationTag {
    std::uint32_t value;
    std::size_t offset; ///< of the value's two bytes
    ByteOrder order;
};

/// The orientation entry of the first directory of a TIFF structure.
std::optional<OrientationTag> findOrientation(Bytes tiff) {
    if (!beginsWith(tiff, "II") && !beginsWith(tiff, "MM")) return std::nullopt;
    const ByteOrder order = beginsWith(tiff, "II") ? ByteOrder::Little : ByteOrder::Big;
    const std::size_t directory = number(tiff, 4, 4, order).value_or(0);
    const std::uint32_t entries = number(tiff, directory, 2, order).value_or(0);
    constexpr std::uint32_t orientation = 0x0112;
    constexpr std::uint32_t twoBytes = 3;
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t entry = directory + 2 + 12 * i;
        if (number(tiff, entry, 2, order) != orientation ||
            number(tiff, entry + 2, 2, order) != twoBytes)
            continue;
        if (const auto value = number(tiff, entry + 8, 2, order))
            return OrientationTag{*value, entry + 8, order};
    }
    return std::nullopt;
}

struct Signature {
    std::size_t offset;
    std::string_view text;
    std::string_view kind;
};

/// Kinds that people do try to open, to be named in the message.
constexpr std::array unreadable = {
    Signature{4, "ftypheic", "a HEIC picture"},
    Signature{4, "ftypheix", "a HEIC picture"},
    Signature{4, "ftypmif1", "a HEIF picture"},
    Signature{4, "ftypavif", "an AVIF picture"},
    Signature{4, "ftyp", "a video"},
    Signature{0, "GIF8", "a GIF"},
    Signature{0, "%PDF", "a PDF"},
    Signature{0, "<svg", "an SVG drawing"},
    Signature{0, "\xff\x0a", "a JPEG XL picture"},
    Signature{4, "JXL ", "a JPEG XL picture"},
    Signature{0, std::string_view("II+\0", 4), "a BigTIFF"},
    Signature{0, std::string_view("MM\0+", 4), "a BigTIFF"},
    Signature{0, "8BPS", "a Photoshop file"},
    Signature{0, "gimp xcf", "a GIMP file"},
    Signature{0, "#?RADIANCE", "a Radiance HDR picture"},
    Signature{0, "v/1\x01", "an OpenEXR picture"},
};

} // namespace

std::string_view nameOf(PictureFormat format) {
    switch (format) {
    case PictureFormat::Jpeg:
        return "JPEG";
    case PictureFormat::Png:
        return "PNG";
    case PictureFormat::WebP:
        return "WebP";
    case PictureFormat::Tiff:
        return "TIFF";
    case PictureFormat::Bmp:
        return "BMP";
    case PictureFormat::Pnm:
        return "PNM";
    case PictureFormat::Jpeg2000:
        return "JPEG 2000";
    }
    return "";
}

Result<PictureFileInfo> inspectPictureFile(Bytes bytes, const std::string& name) {
    if (bytes.empty())
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' is empty: choose another picture.", name));
    if (beginsWith(bytes, "\xff\xd8\xff")) return inspectJpeg(bytes, name);
    if (beginsWith(bytes, "\x89PNG\r\n\x1a\n")) return inspectPng(bytes, name);
    if (beginsWith(bytes, "RIFF") && hasAt(bytes, 8, "WEBP")) return inspectWebP(bytes, name);
    if (beginsWith(bytes, std::string_view("II*\0", 4)) ||
        beginsWith(bytes, std::string_view("MM\0*", 4)))
        return PictureFileInfo{.format = PictureFormat::Tiff,
                               .orientation = orientationOfExif(bytes)};
    if (beginsWith(bytes, "BM")) return PictureFileInfo{.format = PictureFormat::Bmp};
    if (beginsWith(bytes, std::string_view("\0\0\0\x0cjP  ", 8)) ||
        beginsWith(bytes, "\xff\x4f\xff\x51"))
        return PictureFileInfo{.format = PictureFormat::Jpeg2000};
    if (bytes.size() > 2 && bytes[0] == std::byte{'P'} && bytes[1] >= std::byte{'1'} &&
        bytes[1] <= std::byte{'6'} && std::strchr(" \t\r\n#", static_cast<char>(bytes[2])))
        return PictureFileInfo{.format = PictureFormat::Pnm};
    for (const Signature& signature : unreadable)
        if (hasAt(bytes, signature.offset, signature.text))
            return fail(ErrorCode::Unsupported,
                        fmt::format("'{}' is {}, which cannot be read: save it as JPEG or PNG.",
                                    name, signature.kind));
    return fail(
        ErrorCode::Unsupported,
        fmt::format("'{}' is not a picture: choose a JPEG, PNG, WebP, TIFF or BMP file.", name));
}

int orientationOfExif(Bytes tiff) {
    const std::optional<OrientationTag> tag = findOrientation(tiff);
    return tag && tag->value >= 1 && tag->value <= 8 ? static_cast<int>(tag->value) : 1;
}

std::vector<std::byte> withoutOrientation(Bytes tiff) {
    std::vector<std::byte> bytes(tiff.begin(), tiff.end());
    if (const auto tag = findOrientation(tiff)) {
        const bool little = tag->order == ByteOrder::Little;
        bytes[tag->offset] = little ? std::byte{1} : std::byte{0};
        bytes[tag->offset + 1] = little ? std::byte{0} : std::byte{1};
    }
    return bytes;
}

} // namespace loftscope
