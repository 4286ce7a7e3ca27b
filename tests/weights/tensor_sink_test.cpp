// SPDX-License-Identifier: Apache-2.0
#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <sys/resource.h>

namespace loftscope {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(TensorSink, PiecesMakeTheWhole) {
    const at::Tensor values = at::randn({3, 37, 53});
    for (const char* name : {"a.npy", "a.safetensors"}) {
        const TempFolder folder;
        Result<TensorSink> sink =
            TensorSink::create(folder / name, {3, 37, 53}, "features", {{"method", "LoftUp"}});
        ASSERT_TRUE(sink) << sink.error().message;
        for (std::int64_t y = 0; y < 37; y += 16) {
            for (std::int64_t x = 0; x < 53; x += 11) {
                const Rect rect{x, y, std::min<std::int64_t>(11, 53 - x),
                                std::min<std::int64_t>(16, 37 - y)};
                sink->write(values.narrow(1, y, rect.height).narrow(2, x, rect.width), rect);
            }
        }
        EXPECT_THAT(folder.names(), ElementsAre(std::string(name) + ".part"));
        ASSERT_TRUE(sink->finish());
        // npy has no room for how it was made: that lies beside it.
        if (std::string(name) == "a.npy") {
            EXPECT_THAT(folder.names(), UnorderedElementsAre("a.npy", "a.npy.json"));
        } else {
            EXPECT_THAT(folder.names(), ElementsAre(name));
        }
        const Result<at::Tensor> read = readTensor((folder / name).string());
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_TRUE(at::equal(*read, values));
    }
}

TEST(TensorSink, MetadataAndKeyAreStored) {
    const TempFolder folder;
    Result<TensorSink> sink = TensorSink::create(folder / "a.safetensors", {2, 2}, "attention",
                                                 {{"pixel", "3,4"}, {"odd", "\"\\\n\xff"}});
    ASSERT_TRUE(sink) << sink.error().message;
    sink->writeAll(at::ones({2, 2}));
    ASSERT_TRUE(sink->finish());
    const Result<TensorFile> file = readTensorFile(folder / "a.safetensors");
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->metadata.at("pixel"), "3,4");
    EXPECT_TRUE(file->tensors.contains("attention"));
}

TEST(TensorSink, HeadersAreAligned) {
    for (const std::vector<std::int64_t>& shape :
         std::vector<std::vector<std::int64_t>>{{}, {1}, {7}, {2, 3}, {1, 2, 3, 4}}) {
        const TempFolder folder;
        for (const char* name : {"a.npy", "a.safetensors"}) {
            Result<TensorSink> sink = TensorSink::create(folder / name, shape);
            ASSERT_TRUE(sink) << sink.error().message;
            sink->writeAll(at::ones(shape));
            ASSERT_TRUE(sink->finish());
            const Result<at::Tensor> read = readTensor((folder / name).string());
            ASSERT_TRUE(read) << read.error().message;
            EXPECT_TRUE(at::equal(*read, at::ones(shape)));
        }
        const std::string npy = test::readBytes(folder / "a.npy");
        std::uint16_t length = 0;
        std::memcpy(&length, npy.data() + 8, 2);
        EXPECT_EQ((10 + length) % 64, 0);
        EXPECT_EQ(npy[static_cast<std::size_t>(9 + length)], '\n');
        const std::string safetensors = test::readBytes(folder / "a.safetensors");
        std::uint64_t headerLength = 0;
        std::memcpy(&headerLength, safetensors.data(), 8);
        EXPECT_EQ(headerLength % 8, 0U);
    }
}

TEST(TensorSink, AnUnfinishedFileRemovesItselfAndSparesTheOldOne) {
    const TempFolder folder;
    test::writeBytes(folder / "a.npy", "what was there before");
    {
        Result<TensorSink> sink = TensorSink::create(folder / "a.npy", {10, 10});
        ASSERT_TRUE(sink) << sink.error().message;
        // Two at once would mix their data.
        const Result<TensorSink> second = TensorSink::create(folder / "a.npy", {10, 10});
        ASSERT_FALSE(second);
        EXPECT_THAT(second.error().message, HasSubstr("another program"));
    }
    EXPECT_THAT(folder.names(), ElementsAre("a.npy"));
    EXPECT_EQ(test::readBytes(folder / "a.npy"), "what was there before");
}

TEST(TensorSink, WrongBlocksAreRefused) {
    const TempFolder folder;
    Result<TensorSink> sink = TensorSink::create(folder / "a.npy", {2, 4, 4});
    ASSERT_TRUE(sink) << sink.error().message;
    EXPECT_ANY_THROW(sink->write(at::ones({2, 1, 1}), {0, 0, 2, 2}));
    EXPECT_ANY_THROW(sink->write(at::ones({2, 2, 2}), {3, 0, 2, 2}));
    EXPECT_ANY_THROW(sink->writeAll(at::ones({1})));
}

/// Files may not grow beyond `bytes` while this lives: what a full disk looks like to a program.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes)
        : previousHandler_(std::signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &previous_);
        const rlimit limit{bytes, previous_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &previous_);
        std::signal(SIGXFSZ, previousHandler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

private:
    void (*previousHandler_)(int);
    rlimit previous_{};
};

TEST(TensorSink, AFullDiskIsNoticedBeforeAnythingIsComputed) {
    const TempFolder folder;
    test::writeBytes(folder / "a.npy", "old");
    test::writeBytes(folder / "a.safetensors", "old");
    {
        const FileSizeLimit limit(4096);
        const Result<TensorSink> sink = TensorSink::create(folder / "a.npy", {1000, 1000});
        ASSERT_FALSE(sink);
        EXPECT_EQ(sink.error().code, ErrorCode::WriteFailed);
        EXPECT_THAT(sink.error().message, HasSubstr("a.npy"));
        const Result<void> written =
            writeSafetensors(folder / "a.safetensors", {{"a", at::ones({1000, 1000})}});
        ASSERT_FALSE(written);
        EXPECT_EQ(written.error().code, ErrorCode::WriteFailed);
    }
    EXPECT_EQ(test::readBytes(folder / "a.npy"), "old");
    EXPECT_EQ(test::readBytes(folder / "a.safetensors"), "old");
    EXPECT_EQ(folder.names().size(), 2U);
}

TEST(TensorSink, PlacesThatCannotBeWrittenAreNamed) {
    const TempFolder folder;
    EXPECT_EQ(TensorSink::create(folder / "a.txt", {1}).error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(TensorSink::create(folder / "a.npy", {-1}).error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(TensorSink::create(folder / "a.npy", {std::int64_t{1} << 40, std::int64_t{1} << 40})
                  .error()
                  .code,
              ErrorCode::InvalidArgument);
    const Result<TensorSink> nowhere = TensorSink::create(folder / "no/a.npy", {1});
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().code, ErrorCode::WriteFailed);
    EXPECT_THAT(nowhere.error().message, HasSubstr("there is no folder"));
    std::filesystem::create_directory(folder / "b.npy");
    EXPECT_EQ(TensorSink::create(folder / "b.npy", {1}).error().code, ErrorCode::InvalidArgument);
    EXPECT_THAT(folder.names(), ElementsAre("b.npy"));
    EXPECT_EQ(
        writeSafetensors(folder / "c.safetensors", {{"__metadata__", at::ones({1})}}).error().code,
        ErrorCode::InvalidArgument);
}

} // namespace
} // namespace loftscope
