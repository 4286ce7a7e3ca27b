// SPDX-License-Identifier: Apache-2.0
#include "core/image/decode.h"

#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/image/opencv_quiet.h"
#include "core/image/picture_file.h"

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include <algorithm>
#include <iostream>
#include <limits>
#include <mutex>

namespace loftscope {

namespace {

/// Mutes std::cerr: for some formats imdecode writes its exceptions there, whatever the log level,
/// and the user would read them before our one sentence. (Nothing of ours writes to std::cerr.)
class MutedErrorStream {
public:
    MutedErrorStream()
        : lock_(mutex_)
        , buffer_(std::cerr.rdbuf(nullptr)) {}
    ~MutedErrorStream() { std::cerr.rdbuf(buffer_); }
    MutedErrorStream(const MutedErrorStream&) = delete;
    MutedErrorStream& operator=(const MutedErrorStream&) = delete;

private:
    static inline std::mutex mutex_;
    std::scoped_lock<std::mutex> lock_;
    std::streambuf* buffer_;
};

/// OpenCV's limits (CV_IO_MAX_IMAGE_PIXELS, CV_IO_MAX_IMAGE_WIDTH and _HEIGHT).
constexpr std::int64_t maximalPixels = std::int64_t{1} << 30U;
constexpr std::int64_t maximalPictureSide = std::int64_t{1} << 20U;

Result<cv::Mat> decodePixels(std::span<const std::byte> bytes, const PictureFileInfo& info,
                             const std::string& name) {
    if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is larger than 2 GiB: choose a smaller picture.", name));
    quietOpenCv();
    // OpenCV turns TIFF files itself, but not all kinds the right way.
    std::vector<std::byte> unturned;
    if (info.format == PictureFormat::Tiff && info.orientation != 1) {
        unturned = withoutOrientation(bytes);
        bytes = unturned;
    }
    cv::Mat decoded;
    try {
        const MutedErrorStream muted;
        // imdecode only reads; Mat has no form for constant data.
        const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8UC1,
                              const_cast<std::byte*>(bytes.data()));
        decoded = cv::imdecode(encoded, cv::IMREAD_UNCHANGED);
    } catch (const cv::Exception& error) {
        if (error.code == cv::Error::StsNoMem) throw std::bad_alloc();
        if (error.func == "validateInputImageSize")
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' claims a size of no pixels or of more than {} pixels ({} "
                                    "on a side): choose another picture.",
                                    name, maximalPixels, maximalPictureSide));
    }
    if (decoded.empty())
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' is a damaged {} file, or of a rare kind: copy or export it "
                                "again.",
                                name, nameOf(info.format)));
    if (decoded.depth() != CV_8U && decoded.depth() != CV_16U)
        return fail(ErrorCode::Unsupported,
                    fmt::format("'{}' holds numbers other than 8 or 16 bits per channel: save it "
                                "as PNG or JPEG.",
                                name));
    return decoded;
}

/// True where the decoded sample at `at` (its channels, B G R) has the PNG's transparent colour.
template <typename Sample>
bool isTransparent(const Sample* at, int channels, const std::array<std::uint16_t, 3>& color) {
    if (channels == 1) return at[0] == color[0];
    return at[2] == color[0] && at[1] == color[1] && at[0] == color[2];
}

/// 8-bit R, G, B, with alpha resolved.
struct Flattened {
    std::vector<std::uint8_t> pixels;
    bool transparent = false; ///< at least one pixel is not opaque
};

template <typename Sample>
Flattened flatten(const cv::Mat& decoded, const PictureFileInfo& info, AlphaRule rule) {
    // 16 bits are reduced to the high byte before anything else, as Pillow does.
    constexpr unsigned shift = 8 * (sizeof(Sample) - 1);
    const unsigned background = rule == AlphaRule::OverWhite ? 255 : 0;
    const int channels = decoded.channels();
    // A BMP's fourth byte is padding in most files, and then zero.
    const bool hasAlpha = channels == 4 && info.format != PictureFormat::Bmp;
    // libtiff's 8-bit interface multiplies colours by alpha.
    const bool premultiplied = info.format == PictureFormat::Tiff && sizeof(Sample) == 1;
    Flattened result;
    result.pixels.resize(decoded.total() * 3);
    std::uint8_t* to = result.pixels.data();
    for (int y = 0; y < decoded.rows; ++y) {
        const auto* from = decoded.ptr<Sample>(y);
        for (int x = 0; x < decoded.cols; ++x, from += channels, to += 3) {
            unsigned alpha = hasAlpha ? unsigned{from[3]} >> shift : 255U;
            if (info.transparentColor && isTransparent(from, channels, *info.transparentColor))
                alpha = 0;
            result.transparent |= alpha != 255;
            for (int c = 0; c < 3; ++c) {
                unsigned level = unsigned{from[channels == 1 ? 0 : 2 - c]} >> shift;
                if (premultiplied && alpha != 0)
                    level = std::min((level * 255 + alpha / 2) / alpha, 255U);
                to[c] = static_cast<std::uint8_t>(
                    rule == AlphaRule::Drop
                        ? level
                        : (level * alpha + background * (255 - alpha) + 127) / 255);
            }
        }
    }
    return result;
}

/// Undoes EXIF orientation 2..8 (how the stored rows and columns lie in the upright picture).
Image upright(const Image& stored, int orientation) {
    if (orientation == 1) return stored;
    const std::int64_t height = stored.height();
    const std::int64_t width = stored.width();
    const bool swapped = orientation >= 5;
    const Extent extent = swapped ? Extent{width, height} : stored.extent();
    std::vector<std::uint8_t> pixels(stored.pixels().size());
    for (std::int64_t y = 0; y < height; ++y) {
        const std::uint8_t* from = stored.row(y);
        for (std::int64_t x = 0; x < width; ++x, from += 3) {
            Pixel at{x, y};
            switch (orientation) {
            case 2:
                at = {width - 1 - x, y};
                break;
            case 3:
                at = {width - 1 - x, height - 1 - y};
                break;
            case 4:
                at = {x, height - 1 - y};
                break;
            case 5:
                at = {y, x};
                break;
            case 6:
                at = {height - 1 - y, x};
                break;
            case 7:
                at = {height - 1 - y, width - 1 - x};
                break;
            case 8:
                at = {y, width - 1 - x};
                break;
            default:
                break;
            }
            std::copy_n(from, 3, pixels.data() + (at.y * extent.width + at.x) * 3);
        }
    }
    return {extent, std::move(pixels)};
}

std::string_view orientationSentence(int orientation) {
    switch (orientation) {
    case 2:
        return "Mirrored left to right, as its EXIF orientation 2 asks.";
    case 3:
        return "Turned by 180 degrees, as its EXIF orientation 3 asks.";
    case 4:
        return "Mirrored top to bottom, as its EXIF orientation 4 asks.";
    case 5:
        return "Mirrored about its diagonal, as its EXIF orientation 5 asks.";
    case 6:
        return "Turned by 90 degrees clockwise, as its EXIF orientation 6 asks.";
    case 7:
        return "Mirrored about its other diagonal, as its EXIF orientation 7 asks.";
    case 8:
        return "Turned by 90 degrees anticlockwise, as its EXIF orientation 8 asks.";
    default:
        return "";
    }
}

std::string_view alphaSentence(AlphaRule rule) {
    switch (rule) {
    case AlphaRule::OverWhite:
        return "Transparent parts are shown over white.";
    case AlphaRule::OverBlack:
        return "Transparent parts are shown over black.";
    case AlphaRule::Drop:
        return "Transparency is ignored: hidden colours are shown.";
    }
    return "";
}

} // namespace

Result<Photo> decodePhoto(std::span<const std::byte> bytes, const std::string& name,
                          AlphaRule alpha) {
    return guarded(fmt::format("reading '{}'", name), [&]() -> Result<Photo> {
        LOFTSCOPE_TRY(const PictureFileInfo info, inspectPictureFile(bytes, name));
        LOFTSCOPE_TRY(const cv::Mat decoded, decodePixels(bytes, info, name));
        const bool deep = decoded.depth() == CV_16U;
        Flattened flat = deep ? flatten<std::uint16_t>(decoded, info, alpha)
                              : flatten<std::uint8_t>(decoded, info, alpha);
        Photo photo;
        photo.storedChannels = info.grayWithAlpha ? 2 : decoded.channels();
        photo.storedBits = deep ? 16 : 8;
        photo.orientation = info.orientation;
        photo.image =
            upright(Image({decoded.rows, decoded.cols}, std::move(flat.pixels)), info.orientation);
        if (photo.orientation != 1)
            photo.notes.emplace_back(orientationSentence(photo.orientation));
        if (deep) photo.notes.emplace_back("Reduced from 16 to 8 bits per channel.");
        if (photo.storedChannels <= 2)
            photo.notes.emplace_back("A gray picture: red, green and blue are equal.");
        if (flat.transparent) photo.notes.emplace_back(alphaSentence(alpha));
        if (info.cmyk) photo.notes.emplace_back("Converted from CMYK without its colour profile.");
        if (info.animated) photo.notes.emplace_back("Animated: the first frame is shown.");
        return photo;
    });
}

Result<Photo> decodePhoto(const std::filesystem::path& path, AlphaRule alpha) {
    return guarded(fmt::format("reading '{}'", path.string()), [&]() -> Result<Photo> {
        LOFTSCOPE_TRY(const std::vector<std::byte> bytes, readFile(path));
        return decodePhoto(bytes, path.string(), alpha);
    });
}

} // namespace loftscope
