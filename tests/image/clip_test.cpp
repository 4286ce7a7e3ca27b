// SPDX-License-Identifier: Apache-2.0
// Videos and folders as frames. Every made-up frame spells its number.
#include "core/image/clip.h"
#include "core/image/encode.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>

#include <fstream>
#include <vector>

namespace loftscope {
namespace {

using test::TempFolder;
using ::testing::HasSubstr;

constexpr int frameCount = 80;
constexpr int codeBits = 7;
constexpr int stripe = 8; // pixels, one for each bit

/// Black and white stripes that spell the frame's number: no codec blurs them.
cv::Mat pictureOf(int number) {
    cv::Mat picture(48, codeBits * stripe, CV_8UC3, cv::Scalar::all(0));
    for (int bit = 0; bit < codeBits; ++bit)
        if ((number >> bit) % 2 == 1)
            picture.colRange(bit * stripe, (bit + 1) * stripe).setTo(cv::Scalar::all(255));
    return picture;
}

int numberIn(const Photo& photo) {
    int number = 0;
    for (int bit = 0; bit < codeBits; ++bit)
        if (photo.image.row(24)[3 * (bit * stripe + stripe / 2)] > 127) number += 1 << bit;
    return number;
}

void writeVideo(const std::filesystem::path& path, const char* code) {
    cv::VideoWriter writer(path.string(), cv::CAP_FFMPEG,
                           cv::VideoWriter::fourcc(code[0], code[1], code[2], code[3]), 25,
                           {codeBits * stripe, 48});
    ASSERT_TRUE(writer.isOpened());
    for (int i = 0; i < frameCount; ++i)
        writer.write(pictureOf(i));
}

TEST(Clip, FramesOfAVideoInAnyOrder) {
    const TempFolder folder;
    const std::filesystem::path path = folder / "clip.mp4";
    writeVideo(path, "mp4v");
    const auto clip = openClip(path);
    ASSERT_TRUE(clip) << clip.error().message;
    EXPECT_EQ((*clip)->frames(), frameCount);
    EXPECT_NEAR((*clip)->rate(), 25, 1e-6);
    for (const int index : {0, 1, 2, 79, 40, 41, 39, 3, 78, 0}) {
        const auto frame = (*clip)->frame(index);
        ASSERT_TRUE(frame) << frame.error().message;
        EXPECT_EQ(frame->image.extent(), (Extent{48, codeBits * stripe}));
        EXPECT_EQ(numberIn(*frame), index);
    }
    EXPECT_EQ((*clip)->frame(frameCount).error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ((*clip)->frame(-1).error().code, ErrorCode::InvalidArgument);
}

TEST(Clip, ColoursAreRedGreenBlue) {
    const TempFolder folder;
    const std::filesystem::path path = folder / "clip.avi";
    cv::VideoWriter writer(path.string(), cv::CAP_FFMPEG,
                           cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), 10, {64, 48});
    writer.write(cv::Mat(48, 64, CV_8UC3, cv::Scalar(20, 60, 220))); // B, G, R
    writer.release();
    const auto clip = openClip(path);
    ASSERT_TRUE(clip);
    const Photo frame = (*clip)->frame(0).value();
    EXPECT_NEAR(frame.image.row(24)[96], 220, 8);
    EXPECT_NEAR(frame.image.row(24)[98], 20, 8);
}

TEST(Clip, FramesOfAFolderInTheOrderOfCounting) {
    const TempFolder folder;
    for (const int number : {10, 2, 1}) {
        const Image image({2, 2}, std::vector<std::uint8_t>(12, static_cast<std::uint8_t>(number)));
        ASSERT_TRUE(writeImage(folder / (std::to_string(number) + ".png"), image));
    }
    std::ofstream(folder / "notes.txt") << "no picture";
    std::ofstream(folder / ".hidden.png") << "no picture";
    const auto clip = openClip(folder.path());
    ASSERT_TRUE(clip) << clip.error().message;
    ASSERT_EQ((*clip)->frames(), 3);
    EXPECT_EQ((*clip)->rate(), 0);
    EXPECT_EQ((*clip)->frame(0)->image.row(0)[0], 1);
    EXPECT_EQ((*clip)->frame(1)->image.row(0)[0], 2);
    EXPECT_EQ((*clip)->frame(2)->image.row(0)[0], 10);
}

TEST(Clip, WhatIsNoClipIsASentence) {
    const TempFolder folder;
    EXPECT_EQ(openClip(folder / "absent.mp4").error().code, ErrorCode::NotFound);
    EXPECT_EQ(openClip(folder.path()).error().code, ErrorCode::NotFound);
    std::ofstream(folder / "broken.mp4") << "this is no video";
    const auto broken = openClip(folder / "broken.mp4");
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code, ErrorCode::Malformed);
    EXPECT_THAT(broken.error().message, HasSubstr("no video that can be read"));
}

TEST(Clip, ATruncatedVideoSaysWhichFrameIsMissing) {
    const TempFolder folder;
    const std::filesystem::path path = folder / "clip.avi";
    writeVideo(path, "MJPG");
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    const auto clip = openClip(path);
    if (!clip) {
        EXPECT_EQ(clip.error().code, ErrorCode::Malformed);
        return;
    }
    ASSERT_TRUE((*clip)->frame(0));
    // As many frames as the reader still counts; one beyond the data is an error, not a picture.
    const std::int64_t last = (*clip)->frames() - 1;
    const auto frame = (*clip)->frame(last);
    if (frame) {
        EXPECT_EQ(numberIn(*frame), last);
    } else {
        EXPECT_EQ(frame.error().code, ErrorCode::Malformed);
    }
    EXPECT_TRUE((*clip)->frame(1)) << "and the others can still be read";
}

TEST(CountsBefore, AsPeopleCount) {
    EXPECT_TRUE(countsBefore("p2", "p10"));
    EXPECT_FALSE(countsBefore("p10", "p2"));
    EXPECT_TRUE(countsBefore("a", "B"));
    EXPECT_TRUE(countsBefore("frame007.png", "frame8.png"));
    EXPECT_TRUE(countsBefore("x", "x1"));
    EXPECT_FALSE(countsBefore("same", "same"));
    // A strict order, also where numbers are equal but written differently.
    EXPECT_NE(countsBefore("a01", "a1"), countsBefore("a1", "a01"));
}

} // namespace
} // namespace loftscope
