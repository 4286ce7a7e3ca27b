// SPDX-License-Identifier: Apache-2.0
// Bit for bit what Pillow 13 and torchvision make of a photo.
#include "core/image/normalise.h"
#include "core/image/pillow_resize.h"
#include "core/image/prepare.h"
#include "core/weights/tensor_file.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace loftscope {
namespace {

class PillowGolden : public testing::Test {
protected:
    static void SetUpTestSuite() {
        auto file = readTensorFile(LOFTSCOPE_TEST_DATA "/golden/preprocess.pil.safetensors");
        ASSERT_TRUE(file) << file.error().message;
        tensors = std::move(file->tensors);
    }

    /// H x W x 3 bytes as a picture.
    static Image image(const std::string& key) {
        const at::Tensor tensor = tensors.at(key).contiguous();
        const auto* data = tensor.const_data_ptr<std::uint8_t>();
        return {{tensor.size(0), tensor.size(1)}, {data, data + tensor.numel()}};
    }

    static void expectEqual(const Image& actual, const Image& expected, const std::string& what) {
        ASSERT_EQ(actual.extent(), expected.extent()) << what;
        EXPECT_TRUE(std::ranges::equal(actual.pixels(), expected.pixels())) << what;
    }

    static inline StateDict tensors;
    static constexpr std::array<std::int64_t, 5> shortSides = {56, 42, 56, 60, 42};
};

TEST_F(PillowGolden, ResizeAndCropAreBitEqual) {
    for (std::size_t i = 0; i < shortSides.size(); ++i) {
        const std::string name = "case" + std::to_string(i);
        const Image photo = image(name + ".u8_hwc");
        for (const auto& [filterName, filter] : {std::pair{".bilinear", PillowFilter::Bilinear},
                                                 {".bicubic", PillowFilter::Bicubic}}) {
            const std::string key = name + filterName;
            const Image resized = pillowResize(
                photo, torchvisionResizedExtent(photo.extent(), shortSides[i]), filter);
            expectEqual(resized, image(key + ".resized_u8"), key);
            expectEqual(centerCrop(resized, {shortSides[i], shortSides[i]}),
                        image(key + ".cropped_u8"), key);
            const auto prepared = preparePicture(photo, {.shortSide = shortSides[i],
                                                         .patch = 1,
                                                         .fit = FitRule::CenterSquare,
                                                         .filter = filter});
            ASSERT_TRUE(prepared) << prepared.error().message;
            expectEqual(prepared->picture, image(key + ".cropped_u8"), key);
        }
    }
}

TEST_F(PillowGolden, NormalisationIsBitEqual) {
    for (const std::string name : {"case0.bilinear", "case1.bilinear"}) {
        const at::Tensor expected = tensors.at(name + ".normalized").contiguous();
        const at::Tensor actual = normalisedTensor(image(name + ".cropped_u8"), Normalisation{});
        ASSERT_EQ(actual.numel(), expected.numel());
        EXPECT_EQ(actual.dim(), 4);
        EXPECT_EQ(std::memcmp(actual.const_data_ptr<float>(), expected.const_data_ptr<float>(),
                              static_cast<std::size_t>(expected.numel()) * sizeof(float)),
                  0)
            << name;
    }
}

/// A checksum of a resized picture, so that shapes beyond the golden file can be compared with
/// Pillow's without their pixels: FNV-1a.
std::uint64_t checksum(const Image& picture) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const std::uint8_t byte : picture.pixels())
        hash = (hash ^ byte) * 0x100000001b3U;
    return hash;
}

struct ResizeCase {
    Extent from;
    Extent to;
    PillowFilter filter;
    std::uint64_t pillow; ///< checksum of Pillow 13.0.0's result
};

TEST(PillowResizeLive, AgreesWithPillowForUnusualShapesAndFilters) {
    const std::array cases = {
        ResizeCase{{1, 1}, {3, 2}, PillowFilter::Box, 0x01e2db5b69d082a5U},
        ResizeCase{{1, 50}, {1, 7}, PillowFilter::Bilinear, 0x6bf9ff253c6957e1U},
        ResizeCase{{50, 1}, {7, 3}, PillowFilter::Bicubic, 0x73a0d7f99fc832a2U},
        ResizeCase{{37, 50}, {37, 20}, PillowFilter::Lanczos, 0x2d0e62d4e61092f0U},
        ResizeCase{{37, 50}, {20, 50}, PillowFilter::Box, 0x5425765f929b9d2bU},
        ResizeCase{{30, 30}, {90, 41}, PillowFilter::Bilinear, 0xd90e6d16fb80b396U},
        ResizeCase{{30, 30}, {90, 41}, PillowFilter::Bicubic, 0x059c9d28a3d1e187U},
        ResizeCase{{131, 59}, {40, 50}, PillowFilter::Bilinear, 0x0ef4e0d95288a72cU},
        ResizeCase{{131, 59}, {40, 50}, PillowFilter::Bicubic, 0x4fd24b3a00df82fcU},
        ResizeCase{{90, 40}, {30, 20}, PillowFilter::Bilinear, 0x84c153b7b125e146U},
        ResizeCase{{90, 40}, {30, 20}, PillowFilter::Bicubic, 0xca70cb9be6946792U},
        ResizeCase{{64, 16}, {20, 33}, PillowFilter::Box, 0x94dde03f33484233U},
        ResizeCase{{16, 128}, {5, 200}, PillowFilter::Bilinear, 0x788339a8f177c5deU},
        ResizeCase{{200, 3}, {9, 3}, PillowFilter::Bicubic, 0x2703f2d9f5ff513eU},
    };
    for (const ResizeCase& resize : cases) {
        std::vector<std::uint8_t> pixels(static_cast<std::size_t>(resize.from.area()) * 3);
        std::uint32_t state = 12345;
        for (auto& value : pixels) {
            state = state * 1664525U + 1013904223U;
            value = static_cast<std::uint8_t>(state >> 24U);
        }
        const Image resized =
            pillowResize(Image(resize.from, std::move(pixels)), resize.to, resize.filter);
        EXPECT_EQ(resized.extent(), resize.to);
        EXPECT_EQ(checksum(resized), resize.pillow)
            << resize.from.width << " x " << resize.from.height << " to " << resize.to.width
            << " x " << resize.to.height << ", filter " << static_cast<int>(resize.filter);
    }
}

} // namespace
} // namespace loftscope
