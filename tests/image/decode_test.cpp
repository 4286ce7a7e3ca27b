// SPDX-License-Identifier: Apache-2.0
#include "core/image/decode.h"
#include "tests/image/picture_bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace loftscope {
namespace {

using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using IntColor = std::array<int, 3>;

IntColor colorAt(const Image& image, std::int64_t x, std::int64_t y) {
    const std::uint8_t* pixel = image.row(y) + 3 * x;
    return {pixel[0], pixel[1], pixel[2]};
}

/// 24 wide, 16 high, in flat 8 x 8 blocks, so that JPEG keeps them (almost): a letter-like pattern
/// without any symmetry. B G R.
cv::Mat blocks() {
    cv::Mat pixels(16, 24, CV_8UC3);
    const std::array<cv::Scalar, 6> colors = {cv::Scalar(255, 0, 0),   cv::Scalar(0, 255, 0),
                                              cv::Scalar(0, 0, 255),   cv::Scalar(255, 255, 0),
                                              cv::Scalar(0, 255, 255), cv::Scalar(255, 0, 255)};
    for (int i = 0; i < 6; ++i)
        pixels(cv::Rect(i % 3 * 8, i / 3 * 8, 8, 8)) = colors[static_cast<std::size_t>(i)];
    return pixels;
}

/// Colours of the 8 x 8 blocks of a picture, row by row, as letters.
std::string lettersOf(const Image& image) {
    std::string letters;
    for (std::int64_t y = 4; y < image.height(); y += 8) {
        for (std::int64_t x = 4; x < image.width(); x += 8) {
            const IntColor color = colorAt(image, x, y);
            const int bits = (color[0] > 128) * 4 + (color[1] > 128) * 2 + (color[2] > 128);
            letters += std::string_view("KBGCRMYW")[static_cast<std::size_t>(bits)];
        }
        letters += '/';
    }
    return letters;
}

// What a viewer shows for a stored picture BGR/CYM with orientation 1..8, from the EXIF standard's
// table of where the stored row 0 and column 0 lie.
constexpr std::array uprightLetters = {"BGR/CYM/",  "RGB/MYC/",  "MYC/RGB/",  "CYM/BGR/",
                                       "BC/GY/RM/", "CB/YG/MR/", "MR/YG/CB/", "RM/GY/BC/"};

class Orientation : public testing::TestWithParam<std::uint32_t> {
protected:
    void expectUpright(const Bytes& bytes, const std::string& name) {
        const auto photo = decodePhoto(bytes, name);
        ASSERT_TRUE(photo) << photo.error().message;
        EXPECT_EQ(lettersOf(photo->image), uprightLetters[GetParam() - 1]) << name;
        EXPECT_EQ(photo->orientation, static_cast<int>(GetParam()));
        EXPECT_EQ(photo->notes.size(), GetParam() == 1 ? 0U : 1U);
    }
};

TEST_P(Orientation, IsUndoneOnceInEveryKindOfFile) {
    for (const bool bigEndian : {false, true}) {
        const Bytes exif = test::exifBlock(GetParam(), bigEndian);
        expectUpright(test::jpegWithExif(test::encode(".jpg", blocks()), exif), "a.jpg");
        expectUpright(test::pngWithChunk(test::encode(".png", blocks()), "eXIf", exif), "a.png");
        expectUpright(test::webpWithExif(test::encode(".webp", blocks()), {16, 24}, exif),
                      "a.webp");
    }
}

TEST_P(Orientation, OfTiffIsUndoneForEightAndSixteenBits) {
    for (const int bits : {8, 16}) {
        const Bytes tiff = test::tiffWithOrientation(blocks(), bits, GetParam());
        const auto photo = decodePhoto(tiff, "a.tif");
        ASSERT_TRUE(photo) << photo.error().message;
        EXPECT_EQ(lettersOf(photo->image), uprightLetters[GetParam() - 1]) << bits;
        EXPECT_EQ(photo->orientation, static_cast<int>(GetParam()));
    }
}

INSTANTIATE_TEST_SUITE_P(Exif, Orientation, testing::Range(1U, 9U));

TEST(Decode, IgnoresDamagedExif) {
    const Bytes jpeg = test::encode(".jpg", blocks());
    Bytes outOfBounds = test::exifBlock(6, true);
    outOfBounds[4] = std::byte{0xff};
    Bytes cut = test::exifBlock(6, true);
    cut.resize(12);
    for (const Bytes& exif : {outOfBounds, cut, test::exifBlock(0, false),
                              test::exifBlock(9, false), Bytes{}, Bytes(5, std::byte{'M'})}) {
        const auto photo = decodePhoto(test::jpegWithExif(jpeg, exif), "a.jpg");
        ASSERT_TRUE(photo) << photo.error().message;
        EXPECT_EQ(photo->orientation, 1);
        EXPECT_EQ(lettersOf(photo->image), uprightLetters[0]);
    }
}

TEST(Decode, KeepsThePixelsOfLosslessFiles) {
    cv::Mat pixels(5, 7, CV_8UC3);
    cv::randu(pixels, 0, 256);
    for (const char* ending : {".png", ".bmp", ".tif", ".ppm"}) {
        const auto photo = decodePhoto(test::encode(ending, pixels), ending);
        ASSERT_TRUE(photo) << photo.error().message;
        ASSERT_EQ(photo->image.extent(), (Extent{5, 7}));
        EXPECT_EQ(photo->storedChannels, 3);
        EXPECT_EQ(photo->storedBits, 8);
        EXPECT_THAT(photo->notes, IsEmpty());
        for (int y = 0; y < 5; ++y)
            for (int x = 0; x < 7; ++x) {
                const auto& bgr = pixels.at<cv::Vec3b>(y, x);
                EXPECT_EQ(colorAt(photo->image, x, y), (IntColor{bgr[2], bgr[1], bgr[0]}))
                    << ending;
            }
    }
}

TEST(Decode, SpreadsGrayToThreeChannels) {
    cv::Mat pixels(1, 3, CV_8UC1);
    pixels.at<std::uint8_t>(0, 0) = 0;
    pixels.at<std::uint8_t>(0, 1) = 77;
    pixels.at<std::uint8_t>(0, 2) = 255;
    const auto photo = decodePhoto(test::encode(".png", pixels), "gray.png");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(photo->storedChannels, 1);
    EXPECT_EQ(colorAt(photo->image, 1, 0), (IntColor{77, 77, 77}));
    EXPECT_THAT(photo->notes, ElementsAre(HasSubstr("gray")));
}

TEST(Decode, TakesTheHighByteOfSixteenBits) {
    cv::Mat pixels(1, 2, CV_16UC3);
    pixels.at<cv::Vec3w>(0, 0) = {0x12ff, 0x34ff, 0x56ff};
    pixels.at<cv::Vec3w>(0, 1) = {0xff00, 0x00ff, 0x0100};
    const auto photo = decodePhoto(test::encode(".png", pixels), "deep.png");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(photo->storedBits, 16);
    EXPECT_EQ(colorAt(photo->image, 0, 0), (IntColor{0x56, 0x34, 0x12}));
    EXPECT_EQ(colorAt(photo->image, 1, 0), (IntColor{0x01, 0x00, 0xff}));
    EXPECT_THAT(photo->notes, ElementsAre(HasSubstr("16 to 8 bits")));
}

TEST(Decode, ComposesTransparencyAsAsked) {
    cv::Mat pixels(1, 5, CV_8UC4);
    pixels.at<cv::Vec4b>(0, 0) = {10, 20, 30, 255};
    pixels.at<cv::Vec4b>(0, 1) = {10, 20, 30, 0};
    pixels.at<cv::Vec4b>(0, 2) = {10, 20, 30, 128};
    pixels.at<cv::Vec4b>(0, 3) = {255, 0, 1, 1};
    pixels.at<cv::Vec4b>(0, 4) = {100, 100, 100, 30};
    const Bytes png = test::encode(".png", pixels);

    const auto white = decodePhoto(png, "a.png");
    ASSERT_TRUE(white) << white.error().message;
    EXPECT_EQ(white->storedChannels, 4);
    EXPECT_EQ(colorAt(white->image, 0, 0), (IntColor{30, 20, 10}));
    EXPECT_EQ(colorAt(white->image, 1, 0), (IntColor{255, 255, 255}));
    // (30 * 128 + 255 * 127) / 255 = 142.06, (20 ...) = 137.04, (10 ...) = 132.02
    EXPECT_EQ(colorAt(white->image, 2, 0), (IntColor{142, 137, 132}));
    EXPECT_EQ(colorAt(white->image, 3, 0), (IntColor{254, 254, 255}));
    EXPECT_EQ(colorAt(white->image, 4, 0), (IntColor{237, 237, 237})); // 236.76
    EXPECT_THAT(white->notes, ElementsAre(HasSubstr("over white")));

    const auto black = decodePhoto(png, "a.png", AlphaRule::OverBlack);
    ASSERT_TRUE(black) << black.error().message;
    EXPECT_EQ(colorAt(black->image, 1, 0), (IntColor{0, 0, 0}));
    // 30 * 128 / 255 = 15.06, 20 ... = 10.04, 10 ... = 5.02
    EXPECT_EQ(colorAt(black->image, 2, 0), (IntColor{15, 10, 5}));

    const auto dropped = decodePhoto(png, "a.png", AlphaRule::Drop);
    ASSERT_TRUE(dropped) << dropped.error().message;
    EXPECT_EQ(colorAt(dropped->image, 1, 0), (IntColor{30, 20, 10}));
    EXPECT_THAT(dropped->notes, ElementsAre(HasSubstr("ignored")));
}

TEST(Decode, SaysNothingAboutAnAlphaChannelThatIsOpaque) {
    const cv::Mat pixels(3, 3, CV_8UC4, cv::Scalar(1, 2, 3, 255));
    const auto photo = decodePhoto(test::encode(".png", pixels), "a.png");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_THAT(photo->notes, IsEmpty());
}

TEST(Decode, ComposesSixteenBitTransparency) {
    cv::Mat pixels(1, 1, CV_16UC4);
    pixels.at<cv::Vec<std::uint16_t, 4>>(0, 0) = {0x0a00, 0x1400, 0x1eff, 0x8000};
    const auto photo = decodePhoto(test::encode(".png", pixels), "a.png");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(colorAt(photo->image, 0, 0), (IntColor{142, 137, 132}));
}

TEST(Decode, HonoursTheTransparentColourOfAPng) {
    cv::Mat pixels(1, 2, CV_8UC3);
    pixels.at<cv::Vec3b>(0, 0) = {3, 2, 1};
    pixels.at<cv::Vec3b>(0, 1) = {3, 2, 0};
    Bytes key;
    for (const std::uint32_t value : {1U, 2U, 3U})
        test::appendNumber(key, value, 2, true);
    const auto photo =
        decodePhoto(test::pngWithChunk(test::encode(".png", pixels), "tRNS", key), "a.png");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(colorAt(photo->image, 0, 0), (IntColor{255, 255, 255}));
    EXPECT_EQ(colorAt(photo->image, 1, 0), (IntColor{0, 2, 3}));
}

/// PNG of 2 x 1 pixels with the given colour type and the two rows' bytes (stored, not compressed).
Bytes smallPng(std::uint32_t colorType, std::string_view pixels,
               const std::vector<std::pair<std::string, Bytes>>& chunks) {
    std::string row(1, '\0');
    row += pixels;
    Bytes data;
    test::append(data, std::string_view("\x78\x01\x01", 3));
    test::appendNumber(data, static_cast<std::uint32_t>(row.size()), 2, false);
    test::appendNumber(data, ~static_cast<std::uint32_t>(row.size()) & 0xffffU, 2, false);
    test::append(data, row);
    std::uint32_t a = 1;
    std::uint32_t b = 0;
    for (const char letter : row) {
        a = (a + static_cast<unsigned char>(letter)) % 65521;
        b = (b + a) % 65521;
    }
    test::appendNumber(data, b << 16U | a, 4, true);
    Bytes header;
    test::appendNumber(header, 2, 4, true);
    test::appendNumber(header, 1, 4, true);
    test::appendNumber(header, 8, 1, true);
    test::appendNumber(header, colorType, 1, true);
    test::appendNumber(header, 0, 3, true);
    Bytes png;
    test::append(png, "\x89PNG\r\n\x1a\n");
    const auto add = [&](const std::string& type, const Bytes& content) {
        Bytes named;
        test::append(named, type);
        named.insert(named.end(), content.begin(), content.end());
        test::appendNumber(png, static_cast<std::uint32_t>(content.size()), 4, true);
        png.insert(png.end(), named.begin(), named.end());
        test::appendNumber(png, test::pngChecksum(named), 4, true);
    };
    add("IHDR", header);
    for (const auto& [type, content] : chunks)
        add(type, content);
    add("IDAT", data);
    add("IEND", {});
    return png;
}

TEST(Decode, ComposesGrayWithAlphaAndTransparentPalettes) {
    const auto gray = decodePhoto(smallPng(4, std::string_view("\x1e\xff\x1e\x80", 4), {}), "a");
    ASSERT_TRUE(gray) << gray.error().message;
    EXPECT_EQ(gray->storedChannels, 2);
    EXPECT_EQ(colorAt(gray->image, 0, 0), (IntColor{30, 30, 30}));
    EXPECT_EQ(colorAt(gray->image, 1, 0), (IntColor{142, 142, 142}));

    Bytes palette;
    test::append(palette, std::string_view("\x01\x02\x03\x1e\x14\x0a", 6));
    const Bytes alphas{std::byte{255}, std::byte{128}};
    const auto indexed = decodePhoto(
        smallPng(3, std::string_view("\0\1", 2), {{"PLTE", palette}, {"tRNS", alphas}}), "a");
    ASSERT_TRUE(indexed) << indexed.error().message;
    EXPECT_EQ(colorAt(indexed->image, 0, 0), (IntColor{1, 2, 3}));
    EXPECT_EQ(colorAt(indexed->image, 1, 0), (IntColor{142, 137, 132}));

    const auto opaque =
        decodePhoto(smallPng(3, std::string_view("\0\1", 2), {{"PLTE", palette}}), "a");
    ASSERT_TRUE(opaque) << opaque.error().message;
    EXPECT_EQ(colorAt(opaque->image, 1, 0), (IntColor{30, 20, 10}));
}

TEST(Decode, ReadsAsPillowDoes) {
    // A 4:2:0 JPEG of 16 x 16 pixels whose pixels Pillow 13 (libjpeg-turbo) gives as below: it
    // smooths the chroma between neighbours ("fancy upsampling") and uses the accurate transform.
    cv::Mat pixels(16, 16, CV_8UC3);
    for (int y = 0; y < 16; ++y)
        for (int x = 0; x < 16; ++x)
            pixels.at<cv::Vec3b>(y, x) = {static_cast<std::uint8_t>(x * 16),
                                          static_cast<std::uint8_t>(y * 16),
                                          static_cast<std::uint8_t>(255 - x * y)};
    const Bytes jpeg = test::encode(".jpg", pixels, {cv::IMWRITE_JPEG_QUALITY, 75});
    const auto photo = decodePhoto(jpeg, "a.jpg");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(colorAt(photo->image, 0, 0), (IntColor{255, 3, 8}));
    EXPECT_EQ(colorAt(photo->image, 5, 0), (IntColor{245, 8, 76}));
    EXPECT_EQ(colorAt(photo->image, 5, 7), (IntColor{216, 114, 76}));
    EXPECT_EQ(colorAt(photo->image, 8, 7), (IntColor{199, 113, 126}));
    EXPECT_EQ(colorAt(photo->image, 12, 15), (IntColor{84, 233, 201}));
    EXPECT_EQ(colorAt(photo->image, 15, 15), (IntColor{54, 233, 230}));
}

void expectRefused(std::span<const std::byte> bytes, ErrorCode code, const std::string& part) {
    const auto photo = decodePhoto(bytes, "holiday.jpg");
    ASSERT_FALSE(photo);
    EXPECT_EQ(photo.error().code, code) << photo.error().message;
    EXPECT_THAT(photo.error().message, HasSubstr("'holiday.jpg'"));
    EXPECT_THAT(photo.error().message, HasSubstr(part));
    EXPECT_TRUE(photo.error().message.ends_with("."));
    EXPECT_EQ(photo.error().message.find('\n'), std::string::npos);
}

TEST(Decode, RefusesTruncatedFilesOfEveryKind) {
    cv::Mat pixels(40, 60, CV_8UC3);
    cv::randu(pixels, 0, 256);
    for (const char* ending : {".jpg", ".png", ".webp", ".bmp", ".tif", ".ppm", ".jp2"}) {
        const Bytes whole = test::encode(ending, pixels);
        ASSERT_TRUE(decodePhoto(whole, "whole")) << ending;
        for (const std::size_t kept : {whole.size() - 40, whole.size() / 2, std::size_t{50}}) {
            SCOPED_TRACE(testing::Message() << ending << " cut to " << kept);
            expectRefused(std::span(whole).first(kept), ErrorCode::Malformed, "again");
        }
    }
}

TEST(Decode, KeepsQuietAboutDamage) {
    cv::Mat pixels(40, 60, CV_8UC3);
    cv::randu(pixels, 0, 256);
    std::ostringstream captured;
    std::streambuf* const errors = std::cerr.rdbuf(captured.rdbuf());
    for (const char* ending : {".bmp", ".tif", ".ppm", ".jp2"}) {
        const Bytes whole = test::encode(ending, pixels);
        EXPECT_FALSE(decodePhoto(std::span(whole).first(whole.size() / 2), "cut"));
    }
    std::cerr << "still works";
    std::cerr.rdbuf(errors);
    EXPECT_EQ(captured.str(), "still works");
}

TEST(Decode, RefusesWhatIsNoPictureAndNamesIt) {
    const auto bytesOf = [](std::string_view text) {
        Bytes bytes;
        test::append(bytes, text);
        return bytes;
    };
    expectRefused({}, ErrorCode::Malformed, "is empty");
    expectRefused(bytesOf("Dear diary, today"), ErrorCode::Unsupported, "is not a picture");
    expectRefused(bytesOf("BM"), ErrorCode::Malformed, "BMP");
    expectRefused(bytesOf(std::string_view("\0\0\0\x18"
                                           "ftypheic\0\0\0\0",
                                           16)),
                  ErrorCode::Unsupported, "HEIC");
    expectRefused(bytesOf("GIF89a......"), ErrorCode::Unsupported, "GIF");
    expectRefused(bytesOf("%PDF-1.4"), ErrorCode::Unsupported, "PDF");
    expectRefused(test::encode(".tif", cv::Mat(2, 2, CV_32FC1, cv::Scalar(0.5))),
                  ErrorCode::Unsupported, "8 or 16 bits");
}

TEST(Decode, RefusesSizesThatCannotBe) {
    const Bytes png = test::encode(".png", cv::Mat(2, 2, CV_8UC3, cv::Scalar(0)));
    expectRefused(test::pngClaiming(png, 100000, 100000), ErrorCode::InvalidArgument,
                  "1073741824 pixels");
    expectRefused(test::pngClaiming(png, 0, 5), ErrorCode::InvalidArgument, "no pixels");
}

TEST(Decode, RefusesAnAnimatedWebP) {
    Bytes webp = test::webpWithExif(test::encode(".webp", blocks()), {16, 24}, {});
    Bytes frame;
    test::append(frame, "ANMF");
    test::appendNumber(frame, 16, 4, false);
    frame.resize(frame.size() + 16);
    webp = test::inserted(webp, 12 + 18, frame);
    webp[4] = static_cast<std::byte>((webp.size() - 8) & 0xffU);
    webp[5] = static_cast<std::byte>((webp.size() - 8) >> 8U);
    expectRefused(webp, ErrorCode::Unsupported, "animated");
}

class DecodeFile : public testing::Test {
protected:
    DecodeFile() { std::filesystem::create_directories(folder_); }
    ~DecodeFile() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("loftscope_decode_" + std::to_string(::getpid()));
};

TEST_F(DecodeFile, ReadsAFileByItsContentNotItsName) {
    const Bytes png = test::encode(".png", blocks());
    std::ofstream(folder_ / "photo.jpg", std::ios::binary)
        .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
    const auto photo = decodePhoto(folder_ / "photo.jpg");
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(lettersOf(photo->image), uprightLetters[0]);
}

TEST_F(DecodeFile, SaysWhatIsWrongWithAPath) {
    const auto missing = decodePhoto(folder_ / "nothing.png");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::NotFound);
    EXPECT_THAT(missing.error().message, HasSubstr("nothing.png"));

    const auto folder = decodePhoto(folder_);
    ASSERT_FALSE(folder);
    EXPECT_EQ(folder.error().code, ErrorCode::NotFound);
    EXPECT_THAT(folder.error().message, HasSubstr("is a folder"));

    std::ofstream(folder_ / "empty.png");
    const auto empty = decodePhoto(folder_ / "empty.png");
    ASSERT_FALSE(empty);
    EXPECT_THAT(empty.error().message, HasSubstr("is empty"));

    const auto device = decodePhoto(std::filesystem::path("/dev/null"));
    ASSERT_FALSE(device);
    EXPECT_THAT(device.error().message, HasSubstr("not a regular file"));
}

} // namespace
} // namespace loftscope
