// SPDX-License-Identifier: Apache-2.0
#include "core/image/encode.h"

#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/image/opencv_quiet.h"

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace loftscope {

namespace {

struct Encoder {
    std::string_view ending;
    std::string_view name;
    std::int64_t maximalSide;
    std::vector<int> parameters;
};

const Encoder* encoderOf(const std::filesystem::path& path) {
    constexpr std::int64_t unlimited = std::numeric_limits<int>::max();
    const std::vector<int> png{cv::IMWRITE_PNG_COMPRESSION, 4};
    const std::vector<int> jpeg{cv::IMWRITE_JPEG_QUALITY, 95};
    static const std::array encoders = {
        Encoder{".png", "PNG", unlimited, png},
        Encoder{".jpg", "JPEG", 65500, jpeg},
        Encoder{".jpeg", "JPEG", 65500, jpeg},
        Encoder{".tif", "TIFF", unlimited, {}},
        Encoder{".tiff", "TIFF", unlimited, {}},
        // Above 100: lossless.
        Encoder{".webp", "WebP", 16383, {cv::IMWRITE_WEBP_QUALITY, 101}},
        Encoder{".bmp", "BMP", unlimited, {}},
    };
    std::string ending = path.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](char letter) {
        return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
    const auto* const found = std::find_if(encoders.begin(), encoders.end(),
                                           [&](const Encoder& e) { return e.ending == ending; });
    return found == encoders.end() ? nullptr : found;
}

cv::Mat bgrOf(const Image& image) {
    quietOpenCv();
    cv::Mat bgr(static_cast<int>(image.height()), static_cast<int>(image.width()), CV_8UC3);
    const std::span<const std::uint8_t> rgb = image.pixels();
    for (std::size_t i = 0; i < rgb.size(); i += 3) {
        bgr.data[i] = rgb[i + 2];
        bgr.data[i + 1] = rgb[i + 1];
        bgr.data[i + 2] = rgb[i];
    }
    return bgr;
}

} // namespace

Result<std::vector<std::uint8_t>> encodePng(const Image& image) {
    return guarded("encoding a picture", [&]() -> Result<std::vector<std::uint8_t>> {
        if (image.empty())
            return fail(ErrorCode::InvalidArgument, "There are no pixels to encode.");
        std::vector<std::uint8_t> encoded;
        if (!cv::imencode(".png", bgrOf(image), encoded, encoderOf("a.png")->parameters))
            return fail(ErrorCode::WriteFailed, "Encoding a picture as PNG failed.");
        return encoded;
    });
}

bool namesPicture(const std::filesystem::path& path) {
    return encoderOf(path) != nullptr;
}

Result<void> writeImage(const std::filesystem::path& path, const Image& image) {
    return guarded(fmt::format("writing '{}'", path.string()), [&]() -> Result<void> {
        const Encoder* encoder = encoderOf(path);
        if (encoder == nullptr)
            return fail(ErrorCode::Unsupported,
                        fmt::format("Cannot tell the picture format of '{}': let the name end in "
                                    ".png, .jpg, .tif, .webp or .bmp.",
                                    path.string()));
        if (image.empty())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("There are no pixels to write to '{}'.", path.string()));
        if (std::max(image.height(), image.width()) > encoder->maximalSide)
            return fail(ErrorCode::Unsupported,
                        fmt::format("A {} file holds at most {} pixels on a side, not {} x {}: "
                                    "write '{}' as .png.",
                                    encoder->name, encoder->maximalSide, image.width(),
                                    image.height(), path.string()));
        const cv::Mat bgr = bgrOf(image);
        std::vector<std::uint8_t> encoded;
        if (!cv::imencode(std::string(encoder->ending), bgr, encoded, encoder->parameters))
            return fail(ErrorCode::WriteFailed,
                        fmt::format("Encoding '{}' as {} failed: write it as .png.", path.string(),
                                    encoder->name));
        return writeFile(path, std::as_bytes(std::span(encoded)));
    });
}

} // namespace loftscope
