// SPDX-License-Identifier: Apache-2.0
// Photos and label maps from files: indices of palettes, folders, packs.
#include "core/image/encode.h"
#include "core/image/label_map.h"
#include "core/train/photo_files.h"
#include "core/weights/tensor_sink.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

// 3 x 2 indexed PNG of 2 bits per pixel, indices 0 1 2 / 3 1 0, with a palette of odd colours and a
// transparent entry.
constexpr std::array<unsigned char, 106> indexedPng{
    137, 80,  78,  71, 13, 10,  26,  10,  0,  0,   0,  13,  73,  72,  68,  82,  0,   0,
    0,   3,   0,   0,  0,  2,   2,   3,   0,  0,   0,  224, 26,  142, 137, 0,   0,   0,
    12,  80,  76,  84, 69, 200, 10,  10,  0,  0,   0,  90,  200, 3,   1,   2,   255, 238,
    255, 145, 104, 0,  0,  0,   1,   116, 82, 78,  83, 0,   64,  230, 216, 102, 0,   0,
    0,   12,  73,  68, 65, 84,  120, 156, 99, 144, 96, 184, 0,   0,   1,   28,  0,   233,
    252, 149, 73,  10, 0,  0,   0,   0,   73, 69,  78, 68,  174, 66,  96,  130};

std::span<const std::byte> bytesOf(const auto& values) {
    return std::as_bytes(std::span(values));
}

class PhotoFiles : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("photo_files_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_ / "photos" / "a");
        fs::create_directories(folder_ / "labels" / "a");
    }
    void TearDown() override { fs::remove_all(folder_); }

    void writePhoto(const fs::path& path, std::uint8_t level, Extent extent = {2, 3}) {
        const Image image(
            extent, std::vector<std::uint8_t>(static_cast<std::size_t>(extent.area() * 3), level));
        ASSERT_TRUE(writeImage(path, image));
    }
    void writeBytes(const fs::path& path, std::span<const std::byte> bytes) {
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
    fs::path folder_;
};

TEST(LabelMap, GivesTheIndicesOfAPaletteNotItsColours) {
    const auto map = decodeLabelMap(bytesOf(indexedPng), "map");
    ASSERT_TRUE(map) << map.error().message;
    EXPECT_EQ(map->extent, (Extent{2, 3}));
    EXPECT_EQ(map->labels, (std::vector<std::uint8_t>{0, 1, 2, 3, 1, 0}));
}

TEST(LabelMap, RefusesTruncatedDamagedAndForeignFiles) {
    for (std::size_t length = 0; length < indexedPng.size(); length += 7) {
        EXPECT_FALSE(decodeLabelMap(bytesOf(indexedPng).first(length), "map")) << length;
    }
    auto damaged = indexedPng;
    damaged[damaged.size() - 22] ^= 0x55;
    EXPECT_FALSE(decodeLabelMap(bytesOf(damaged), "map"));
    auto trueColor = indexedPng;
    trueColor[25] = 2;
    const auto refused = decodeLabelMap(bytesOf(trueColor), "map");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
}

TEST_F(PhotoFiles, AFolderGivesItsPicturesWithTheirLabelMaps) {
    writePhoto(folder_ / "photos" / "b.png", 10);
    writePhoto(folder_ / "photos" / "a" / "x.png", 20);
    writePhoto(folder_ / "photos" / "a" / "left_out.png", 30);
    std::ofstream(folder_ / "photos" / "notes.txt") << "no picture";
    writeBytes(folder_ / "labels" / "a" / "x_fine.png", bytesOf(indexedPng));
    writeBytes(folder_ / "labels" / "a" / "x.png", bytesOf(indexedPng));
    writeBytes(folder_ / "labels" / "a" / "xy.png", bytesOf(indexedPng));

    const auto source = openPhotoFolder(
        folder_ / "photos", {folder_ / "labels", LabelMeaning::SegmentsButZero, {"a/left_out"}});
    ASSERT_TRUE(source) << source.error().message;
    ASSERT_EQ((*source)->size(), 2);
    EXPECT_EQ((*source)->name(0), "a/x.png");
    const auto photo = (*source)->load(0);
    ASSERT_TRUE(photo) << photo.error().message;
    EXPECT_EQ(photo->pixels[1][2][0].item<std::int64_t>(), 20);
    ASSERT_EQ(photo->labels.size(), 2U);
    EXPECT_TRUE(photo->labels[0].equal(
        at::tensor(std::vector<std::int64_t>{-1, 1, 2, 3, 1, -1}).view({2, 3})));
    EXPECT_TRUE((*source)->load(1)->labels.empty());
}

TEST_F(PhotoFiles, AFolderOfClassMapsNamesClassesBesideMasks) {
    writePhoto(folder_ / "photos" / "a" / "x.png", 20);
    writePhoto(folder_ / "photos" / "b.png", 10);
    writeBytes(folder_ / "labels" / "a" / "x.png", bytesOf(indexedPng));
    PhotoFolderOptions options{folder_ / "labels", LabelMeaning::Classes, {}};
    const auto classesIn = [&]() -> std::vector<std::int64_t> {
        const auto source = openPhotoFolder(folder_ / "photos", options);
        if (!source || (*source)->classSets() != 1) return {};
        const at::Tensor classes = (*source)->load(0)->classes;
        const auto* first = classes.const_data_ptr<std::int64_t>();
        return {first, first + classes.numel()};
    };
    EXPECT_EQ(classesIn(), (std::vector<std::int64_t>{0, 1, 2, 3, 1, 0}));
    options.meaning = LabelMeaning::ClassesButZero;
    EXPECT_EQ(classesIn(), (std::vector<std::int64_t>{-1, 1, 2, 3, 1, -1}));
    options.times = 3;
    const auto thrice = openPhotoFolder(folder_ / "photos", options);
    ASSERT_EQ((*thrice)->size(), 6);
    EXPECT_EQ((*thrice)->name(4), (*thrice)->name(0));
    EXPECT_FALSE((*thrice)->load(1)->classes.defined()); // has no map
    options.meaning = LabelMeaning::SegmentsButZero;
    EXPECT_EQ((*openPhotoFolder(folder_ / "photos", options))->classSets(), 0);
}

TEST_F(PhotoFiles, AnEmptyOrMissingFolderIsSaidToBeSo) {
    EXPECT_EQ(openPhotoFolder(folder_ / "photos").error().code, ErrorCode::NotFound);
    EXPECT_EQ(openPhotoFolder(folder_ / "nowhere").error().code, ErrorCode::NotFound);
    writePhoto(folder_ / "photos" / "b.png", 10);
    EXPECT_TRUE(openPhotoFolder(folder_ / "photos"));
    const auto unlabelled =
        openPhotoFolder(folder_ / "photos", {folder_ / "no_labels", LabelMeaning::Segments, {}});
    ASSERT_FALSE(unlabelled);
    EXPECT_NE(unlabelled.error().message.find("no_labels"), std::string::npos);
}

TEST_F(PhotoFiles, APackOfEncodedPhotosIsDecoded) {
    writePhoto(folder_ / "one.png", 40);
    std::ifstream in(folder_ / "one.png", std::ios::binary);
    std::vector<char> photo{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    std::vector<std::uint8_t> map(indexedPng.begin(), indexedPng.end());
    const auto size = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
    ASSERT_TRUE(writeSafetensors(folder_ / "pack.safetensors",
                                 {{"jpeg", at::from_blob(photo.data(), {size(photo)}, at::kByte)},
                                  {"joff", at::tensor(std::vector<std::int64_t>{0, size(photo)})},
                                  {"png", at::from_blob(map.data(), {size(map)}, at::kByte)},
                                  {"poff", at::tensor(std::vector<std::int64_t>{0, size(map)})},
                                  {"kind", at::tensor(std::vector<std::int64_t>{2}).to(at::kByte)}},
                                 {{"names", R"(["one"])"}}));
    const auto source = openPhotoPack(folder_ / "pack.safetensors");
    ASSERT_TRUE(source) << source.error().message;
    const auto loaded = (*source)->load(0);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->pixels[0][0][1].item<std::int64_t>(), 40);
    EXPECT_EQ(loaded->labels.at(0)[1][0].item<std::int64_t>(), 3);
}

} // namespace
} // namespace loftscope
