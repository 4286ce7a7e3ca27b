// SPDX-License-Identifier: Apache-2.0
#include "core/image/decode.h"
#include "core/image/encode.h"
#include "core/image/map_file.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Image noise(Extent extent) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(extent.area()) * 3);
    std::uint32_t state = 1;
    for (auto& value : pixels) {
        state = state * 1664525U + 1013904223U;
        value = static_cast<std::uint8_t>(state >> 24U);
    }
    return {extent, std::move(pixels)};
}

std::string contentOf(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

class Encode : public testing::Test {
protected:
    Encode() { fs::create_directories(folder_); }
    ~Encode() override { fs::remove_all(folder_); }
    std::size_t filesInFolder() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
    }
    fs::path folder_ =
        fs::temp_directory_path() / ("loftscope_encode_" + std::to_string(::getpid()));
};

TEST_F(Encode, WritesLosslessFormatsThatReadBackEqual) {
    const Image image = noise({5, 7});
    for (const char* name : {"a.png", "a.PNG", "a.tif", "a.tiff", "a.webp", "a.bmp"}) {
        const auto written = writeImage(folder_ / name, image);
        ASSERT_TRUE(written) << written.error().message;
        const auto photo = decodePhoto(folder_ / name);
        ASSERT_TRUE(photo) << photo.error().message;
        ASSERT_EQ(photo->image.extent(), image.extent());
        EXPECT_TRUE(std::ranges::equal(photo->image.pixels(), image.pixels())) << name;
    }
    EXPECT_EQ(filesInFolder(), 6U);
}

TEST_F(Encode, WritesJpegOfHighQuality) {
    const Image image({16, 16}, std::vector<std::uint8_t>(16 * 16 * 3, 90));
    ASSERT_TRUE(writeImage(folder_ / "a.jpg", image));
    const auto photo = decodePhoto(folder_ / "a.jpg");
    ASSERT_TRUE(photo) << photo.error().message;
    for (const std::uint8_t value : photo->image.pixels())
        EXPECT_NEAR(value, 90, 1);
}

TEST_F(Encode, KnowsEndings) {
    EXPECT_TRUE(namesPicture("x/y.png"));
    EXPECT_TRUE(namesPicture("y.JPeG"));
    EXPECT_FALSE(namesPicture("y.npy"));
    EXPECT_FALSE(namesPicture("png"));
    const auto written = writeImage(folder_ / "a.gif", noise({2, 2}));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(written.error().message, HasSubstr(".png"));
    EXPECT_EQ(filesInFolder(), 0U);
}

TEST_F(Encode, RefusesEmptyAndOversizedPictures) {
    EXPECT_EQ(writeImage(folder_ / "a.png", Image()).error().code, ErrorCode::InvalidArgument);
    const Image wide({1, 20000}, std::vector<std::uint8_t>(20000 * 3));
    EXPECT_THAT(writeImage(folder_ / "a.webp", wide).error().message, HasSubstr("16383"));
    EXPECT_TRUE(writeImage(folder_ / "a.png", wide));
}

TEST_F(Encode, ReportsAFolderThatIsNotThere) {
    const auto written = writeImage(folder_ / "no" / "a.png", noise({2, 2}));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::WriteFailed);
    EXPECT_THAT(written.error().message, HasSubstr("a.png"));
}

TEST_F(Encode, LeavesAnExistingFolderOfThatNameAndNothingBehind) {
    fs::create_directories(folder_ / "a.png" / "inside");
    EXPECT_FALSE(writeImage(folder_ / "a.png", noise({2, 2})));
    EXPECT_TRUE(fs::exists(folder_ / "a.png" / "inside"));
    EXPECT_EQ(filesInFolder(), 1U);
}

// A limit on the size of files stands in for a full disk: writing fails half way.
TEST_F(Encode, KeepsTheOldFileWhenTheDiskIsFull) {
    std::ofstream(folder_ / "a.png") << "old";
    const auto previousHandler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit previous{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &previous), 0);
    const rlimit small{1000, previous.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto written = writeImage(folder_ / "a.png", noise({100, 100}));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &previous), 0);
    std::signal(SIGXFSZ, previousHandler);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::WriteFailed);
    EXPECT_EQ(contentOf(folder_ / "a.png"), "old");
    EXPECT_EQ(filesInFolder(), 1U);
}

TEST_F(Encode, ReplacesAnExistingFile) {
    std::ofstream(folder_ / "a.png") << "old";
    ASSERT_TRUE(writeImage(folder_ / "a.png", noise({3, 3})));
    EXPECT_TRUE(decodePhoto(folder_ / "a.png"));
    EXPECT_EQ(filesInFolder(), 1U);
}

TEST(MapFile, AnExrWithHowItWasMadeIsReadByOthers) {
    const test::TempFolder folder;
    // Several blocks of lines, so that their places in the file count.
    const Extent extent{70, 45};
    std::vector<float> values(static_cast<std::size_t>(extent.area()));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = std::sin(static_cast<float>(i)) * 1e3F;
    ASSERT_TRUE(writeMapFile(folder / "map.exr", extent, values, {{"pane", "norm:loftup"}}));
    EXPECT_THAT(test::readBytes(folder / "map.exr"), HasSubstr("{\"pane\":\"norm:loftup\"}"));
    EXPECT_FALSE(std::filesystem::exists(folder / "map.exr.json"));
    setenv("OPENCV_IO_ENABLE_OPENEXR", "1", 1);
    const cv::Mat read = cv::imread((folder / "map.exr").string(), cv::IMREAD_UNCHANGED);
    ASSERT_EQ(read.rows, 70);
    ASSERT_EQ(read.cols, 45);
    ASSERT_EQ(read.type(), CV_32F);
    for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(read.at<float>(static_cast<int>(i) / 45, static_cast<int>(i) % 45), values[i]);
}

} // namespace
} // namespace loftscope
