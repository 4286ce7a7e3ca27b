// SPDX-License-Identifier: Apache-2.0
#include "core/image/map_file.h"

#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/base/metadata_file.h"
#include "core/image/opencv_quiet.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

namespace loftscope {

namespace {

/// The checksum of PNG's chunks (CRC-32 as in ISO 3309).
std::uint32_t crcOf(std::string_view bytes) {
    static const std::array<std::uint32_t, 256> table = [] {
        std::array<std::uint32_t, 256> values{};
        for (std::uint32_t n = 0; n < 256; ++n) {
            std::uint32_t c = n;
            for (int bit = 0; bit < 8; ++bit)
                c = (c & 1U) != 0 ? 0xedb88320U ^ (c >> 1U) : c >> 1U;
            values[n] = c;
        }
        return values;
    }();
    std::uint32_t crc = 0xffffffffU;
    for (const char byte : bytes)
        crc = table[(crc ^ static_cast<std::uint8_t>(byte)) & 0xffU] ^ (crc >> 8U);
    return crc ^ 0xffffffffU;
}

std::string textOf(const std::map<std::string, std::string>& metadata) {
    return nlohmann::json(metadata).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string bigEndian(std::uint32_t number) {
    std::string bytes;
    for (const unsigned shift : {24U, 16U, 8U, 0U})
        bytes.push_back(static_cast<char>(number >> shift & 0xffU));
    return bytes;
}

std::uint64_t littleEndian(std::string_view bytes) {
    std::uint64_t number = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
        number = number << 8U | static_cast<std::uint8_t>(bytes[i]);
    return number;
}

std::string littleEndian(std::uint64_t number, std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i)
        bytes.push_back(static_cast<char>(number >> 8 * i & 0xffU));
    return bytes;
}

Result<std::vector<std::uint8_t>> encoded(const char* ending, const cv::Mat& picture) {
    quietOpenCv();
    // OpenCV reads EXR files of anybody's only if asked to; here it writes one.
    setenv("OPENCV_IO_ENABLE_OPENEXR", "1", 1);
    std::vector<std::uint8_t> bytes;
    if (!cv::imencode(ending, picture, bytes))
        return fail(ErrorCode::WriteFailed,
                    fmt::format("Encoding the map as {} failed: write .npy instead.", ending));
    return bytes;
}

} // namespace

bool namesMapFile(const std::filesystem::path& path) {
    const std::string ending = path.extension().string();
    return ending == ".png" || ending == ".exr" || ending == ".csv";
}

std::string withPngText(std::string_view png, std::string_view keyword, std::string_view text) {
    constexpr std::size_t headerEnd = 8 + 25; // signature and IHDR
    std::string chunk = "iTXt";
    chunk.append(keyword);
    chunk.append(5, '\0'); // uncompressed, no language, no translated keyword
    chunk.append(text);
    std::string result(png.substr(0, headerEnd));
    result += bigEndian(static_cast<std::uint32_t>(chunk.size() - 4));
    result += chunk;
    result += bigEndian(crcOf(chunk));
    result += png.substr(headerEnd);
    return result;
}

std::string withExrText(std::string_view exr, std::string_view name, std::string_view text) {
    // The header: attributes of name, type, size and value, ended by an empty name.
    std::size_t end = 8; // magic number and version
    while (end < exr.size() && exr[end] != '\0') {
        for (int part = 0; part < 2; ++part)
            end = exr.find('\0', end) + 1;
        end += 4 + littleEndian(exr.substr(end, 4));
    }
    std::string attribute(name);
    attribute.push_back('\0');
    attribute.append("string");
    attribute.push_back('\0');
    attribute += littleEndian(text.size(), 4);
    attribute.append(text);
    std::string result(exr.substr(0, end));
    result += attribute;
    result.push_back('\0');
    // Behind it the places of the blocks of lines, counted from the file's beginning; the first
    // block follows the table.
    const std::size_t table = end + 1;
    const std::size_t first = littleEndian(exr.substr(table, 8));
    for (std::size_t at = table; at < first; at += 8)
        result += littleEndian(littleEndian(exr.substr(at, 8)) + attribute.size(), 8);
    result += exr.substr(first);
    return result;
}

Result<void> writeMapFile(const std::filesystem::path& path, const Extent& extent,
                          std::span<const float> values,
                          std::map<std::string, std::string> metadata) {
    return guarded(fmt::format("writing '{}'", path.string()), [&]() -> Result<void> {
        if (!namesMapFile(path))
            return fail(ErrorCode::Unsupported,
                        fmt::format("Cannot tell the format of the map '{}': let the name end in "
                                    ".png, .exr, .csv, .npy or .safetensors.",
                                    path.string()));
        if (values.empty() || static_cast<std::int64_t>(values.size()) != extent.area())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("There are no values to write to '{}'.", path.string()));
        const auto height = static_cast<int>(extent.height);
        const auto width = static_cast<int>(extent.width);
        const std::string ending = path.extension().string();
        if (ending == ".csv") {
            std::string text;
            for (std::size_t i = 0; i < values.size(); ++i)
                fmt::format_to(std::back_inserter(text), "{:.9g}{}", values[i],
                               (i + 1) % static_cast<std::size_t>(width) == 0 ? "\n" : ",");
            LOFTSCOPE_CHECK(writeFile(path, std::as_bytes(std::span(text.data(), text.size()))));
            return writeMetadataFile(path, metadata);
        }
        if (ending == ".exr") {
            const cv::Mat map(height, width, CV_32F, const_cast<float*>(values.data()));
            LOFTSCOPE_TRY(const auto bytes, encoded(".exr", map));
            const std::string exr =
                withExrText({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                            "loftscope", textOf(metadata));
            return writeFile(path, std::as_bytes(std::span(exr.data(), exr.size())));
        }
        double low = std::numeric_limits<double>::infinity();
        double high = -low;
        for (const float value : values) {
            if (!std::isfinite(value)) continue;
            low = std::min(low, static_cast<double>(value));
            high = std::max(high, static_cast<double>(value));
        }
        if (!(low <= high)) low = high = 0;
        cv::Mat map(height, width, CV_16U);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double t = high > low ? (values[i] - low) / (high - low) : 0;
            reinterpret_cast<std::uint16_t*>(map.data)[i] =
                std::isfinite(values[i]) ? static_cast<std::uint16_t>(std::lround(t * 65535)) : 0;
        }
        metadata["low"] = fmt::format("{:.9g}", low);
        metadata["high"] = fmt::format("{:.9g}", high);
        LOFTSCOPE_TRY(const auto bytes, encoded(".png", map));
        const std::string png =
            withPngText({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "loftscope",
                        textOf(metadata));
        return writeFile(path, std::as_bytes(std::span(png.data(), png.size())));
    });
}

} // namespace loftscope
