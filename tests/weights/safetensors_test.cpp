// SPDX-License-Identifier: Apache-2.0
#include "core/base/sha256.h"
#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <cstdint>
#include <cstring>
#include <random>

namespace loftscope {
namespace {

using test::TempFolder;
using test::testData;
using ::testing::HasSubstr;

std::string fileOf(const std::string& header, const std::string& data) {
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + data;
}

Error errorOf(const std::string& bytes, const std::string& name = "x.safetensors") {
    const TempFolder folder;
    test::writeBytes(folder / name, bytes);
    const Result<TensorFile> file = readTensorFile(folder / name);
    return file ? Error{ErrorCode::Internal, "it was read"} : file.error();
}

TEST(Safetensors, ReadsEveryType) {
    const TempFolder folder;
    const at::Tensor values = at::arange(6).view({2, 3});
    std::map<std::string, at::Tensor> written;
    for (const at::ScalarType type :
         {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble, at::kLong, at::kInt, at::kShort,
          at::kChar, at::kByte, at::kBool, at::kUInt16, at::kUInt32, at::kUInt64}) {
        written[std::string("t.") + c10::toString(type)] = values.to(type);
    }
    written["scalar"] = at::tensor(2.5F);
    written["empty"] = at::ones({0, 3});
    ASSERT_TRUE(writeSafetensors(folder / "all.safetensors", written, {{"who", "a test"}}));

    const Result<TensorFile> file = readTensorFile(folder / "all.safetensors");
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->format, TensorFormat::Safetensors);
    EXPECT_EQ(file->sha256, sha256OfFile(folder / "all.safetensors").value());
    EXPECT_EQ(file->metadata.at("who"), "a test");
    ASSERT_EQ(file->tensors.size(), written.size());
    for (const auto& [key, tensor] : written) {
        const at::Tensor& read = file->tensors.at(key);
        EXPECT_EQ(read.scalar_type(), tensor.scalar_type()) << key;
        EXPECT_TRUE(at::equal(read.to(at::kDouble), tensor.to(at::kDouble))) << key;
    }
}

TEST(Safetensors, TensorsOutliveTheFile) {
    const TempFolder folder;
    ASSERT_TRUE(writeSafetensors(folder / "a.safetensors", {{"a", at::ones({1000})}}));
    at::Tensor kept;
    {
        const Result<at::Tensor> read = readTensor((folder / "a.safetensors").string());
        ASSERT_TRUE(read) << read.error().message;
        kept = *read;
    }
    std::filesystem::remove(folder / "a.safetensors");
    EXPECT_EQ(kept.sum().item<float>(), 1000.0F);
    kept.fill_(2.0F); // private: allowed, and never reaches the file
    EXPECT_EQ(kept.sum().item<float>(), 2000.0F);
}

TEST(Safetensors, UnalignedDataAreRead) {
    const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                               R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
    std::string data(9, '\0');
    const float values[2] = {1.5F, -2.0F};
    std::memcpy(data.data() + 1, values, 8);
    const TempFolder folder;
    test::writeBytes(folder / "u.safetensors", fileOf(header, data));
    const Result<at::Tensor> read = readTensor((folder / "u.safetensors").string() + ":b");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(at::equal(*read, at::tensor({1.5F, -2.0F})));
}

TEST(Safetensors, HostileHeadersAreRefused) {
    const std::string one = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    ASSERT_EQ(errorOf(fileOf(one, "1234")).message, "it was read");

    const struct {
        std::string bytes;
        std::string reason;
    } cases[] = {
        {"", "empty"},
        {"\x05", "too short"},
        {std::string(8, '\xFF') + "{}", "absurd"},
        {fileOf(one, "123"), "outside the file"},
        {fileOf(one, "12345"), "1 bytes more"},
        {fileOf(one, "1234").substr(0, 20), "ends inside its header"},
        {fileOf("{", ""), "not valid JSON"},
        {fileOf("{} {}", ""), "not valid JSON"},
        {fileOf("[]", ""), "not a JSON object"},
        {fileOf(std::string(100000, '{'), ""), "not valid JSON"},
        {fileOf("{\"a\":" + std::string(100000, '['), ""), "nested too deeply"},
        {fileOf(R"({"a":3})", ""), "not described"},
        {fileOf(R"({"__metadata__":3})", ""), "metadata"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[1]}})", ""), "data_offsets"},
        {fileOf(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "1234"), "no shape"},
        {fileOf(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", "1234"), "no dtype"},
        {fileOf(R"({"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})", "12345678"),
         "unknown type 'C64'"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
         "no whole number"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", "1234"),
         "no whole number"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
                "1234"),
         "absurdly large"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
                ""),
         "absurd shape"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", ""),
         "not what its shape"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
         "not what its shape"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234"),
         "outside the file"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678"),
         "belong to no tensor"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                "123456"),
         "overlaps"},
        {fileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                "12345678"),
         "occurs twice"},
    };
    for (const auto& hostile : cases) {
        const Error error = errorOf(hostile.bytes);
        EXPECT_THAT(error.message, HasSubstr(hostile.reason));
        EXPECT_TRUE(error.code == ErrorCode::Malformed || error.code == ErrorCode::Unsupported)
            << error.message;
    }
}

TEST(Safetensors, EveryTruncationIsRefused) {
    const TempFolder folder;
    ASSERT_TRUE(writeSafetensors(folder / "a.safetensors",
                                 {{"a", at::ones({3})}, {"b", at::ones({2, 2})}}, {{"k", "v"}}));
    const std::string whole = test::readBytes(folder / "a.safetensors");
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Error error = errorOf(whole.substr(0, length));
        ASSERT_EQ(error.code, ErrorCode::Malformed) << length << ": " << error.message;
    }
}

TEST(Safetensors, RandomDamageNeverCrashes) {
    const TempFolder folder;
    ASSERT_TRUE(writeSafetensors(folder / "a.safetensors",
                                 {{"a", at::ones({3})}, {"b", at::ones({2, 2}).to(at::kHalf)}},
                                 {{"k", "v"}}));
    const std::string whole = test::readBytes(folder / "a.safetensors");
    std::mt19937 random(20260);
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string damaged = whole;
        for (auto flips = 1 + random() % 4; flips > 0; --flips)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        test::writeBytes(folder / "x.safetensors", damaged);
        const Result<TensorFile> file = readTensorFile(folder / "x.safetensors");
        if (!file) {
            ++refused;
            continue;
        }
        for (const auto& [key, tensor] : file->tensors)
            asFloat(tensor).sum();
    }
    EXPECT_GT(refused, 1000);
}

TEST(Safetensors, ReadsWhatThePythonLibraryWrote) {
    const Result<TensorFile> file =
        readTensorFile(testData("golden/backbone.dinov2_hub.weights.safetensors"));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->metadata.at("arch"), "dinov2_hub");
    EXPECT_EQ(file->tensors.at("pos_embed").sizes(), at::IntArrayRef({1, 37, 128}));
    EXPECT_EQ(file->tensors.at("pos_embed").scalar_type(), at::kHalf);
}

} // namespace
} // namespace loftscope
