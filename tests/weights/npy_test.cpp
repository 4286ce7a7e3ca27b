// SPDX-License-Identifier: Apache-2.0
#include "core/weights/tensor_file.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <cstdint>
#include <cstring>
#include <random>

namespace loftscope {
namespace {

using test::TempFolder;
using ::testing::HasSubstr;

/// A file as NumPy writes it, `version` 1 to 3.
std::string npyOf(const std::string& dictionary, const std::string& data, char version = 1) {
    std::string header = dictionary + "\n";
    std::string bytes = "\x93NUMPY";
    bytes += version;
    bytes += '\0';
    const auto length = static_cast<std::uint32_t>(header.size());
    bytes.append(reinterpret_cast<const char*>(&length), version == 1 ? 2 : 4);
    return bytes + header + data;
}

std::string describe(const std::string& descr, const std::string& shape,
                     const std::string& fortran = "False") {
    return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

Result<at::Tensor> read(const std::string& bytes) {
    const TempFolder folder;
    test::writeBytes(folder / "x.npy", bytes);
    return readTensor((folder / "x.npy").string());
}

template <typename T>
std::string bytesOf(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Npy, ReadsTypesVersionsAndOrders) {
    const at::Tensor wanted = at::arange(6).view({2, 3}).to(at::kDouble);
    const auto check = [&](const std::string& bytes, at::ScalarType type) {
        const Result<at::Tensor> tensor = read(bytes);
        ASSERT_TRUE(tensor) << tensor.error().message;
        EXPECT_EQ(tensor->scalar_type(), type);
        EXPECT_TRUE(at::equal(tensor->to(at::kDouble), wanted)) << type;
    };
    const std::string floats = bytesOf<float>({0, 1, 2, 3, 4, 5});
    for (const char version : {'\x01', '\x02', '\x03'})
        check(npyOf(describe("<f4", "(2, 3)"), floats, version), at::kFloat);
    check(npyOf(describe("<f4", "(2, 3)", "True"), bytesOf<float>({0, 3, 1, 4, 2, 5})), at::kFloat);
    check(npyOf(describe("<f8", "(2, 3)"), bytesOf<double>({0, 1, 2, 3, 4, 5})), at::kDouble);
    check(npyOf(describe("<i8", "(2, 3)"), bytesOf<std::int64_t>({0, 1, 2, 3, 4, 5})), at::kLong);
    check(npyOf(describe("<i4", "(2, 3)"), bytesOf<std::int32_t>({0, 1, 2, 3, 4, 5})), at::kInt);
    check(npyOf(describe("|u1", "(2, 3)"), bytesOf<std::uint8_t>({0, 1, 2, 3, 4, 5})), at::kByte);
    const at::Tensor halves = wanted.to(at::kHalf);
    check(npyOf(describe("<f2", "(2, 3)"),
                {static_cast<const char*>(halves.const_data_ptr()), halves.nbytes()}),
          at::kHalf);
    const Result<at::Tensor> bools = read(npyOf(describe("|b1", "(2,)"), std::string("\0\x01", 2)));
    ASSERT_TRUE(bools) << bools.error().message;
    EXPECT_EQ(bools->scalar_type(), at::kBool);
    EXPECT_EQ(bools->sum().item<std::int64_t>(), 1);
}

TEST(Npy, ScalarsAndEmptyArrays) {
    const Result<at::Tensor> scalar = read(npyOf(describe("<f4", "()"), bytesOf<float>({7})));
    ASSERT_TRUE(scalar) << scalar.error().message;
    EXPECT_EQ(scalar->dim(), 0);
    EXPECT_EQ(scalar->item<float>(), 7.0F);
    const Result<at::Tensor> empty = read(npyOf(describe("<f4", "(0, 3)"), ""));
    ASSERT_TRUE(empty) << empty.error().message;
    EXPECT_EQ(empty->sizes(), at::IntArrayRef({0, 3}));
}

TEST(Npy, WhatCannotBeReadIsRefusedWithItsReason) {
    const std::string four = bytesOf<float>({1});
    const struct {
        std::string bytes;
        std::string reason;
        ErrorCode code;
    } cases[] = {
        {npyOf(describe("|O", "(1,)"), "x"), "Python objects", ErrorCode::Unsupported},
        {npyOf("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }", "x"),
         "Python objects", ErrorCode::Unsupported},
        {npyOf(describe(">f4", "(1,)"), four), "big-endian", ErrorCode::Unsupported},
        {npyOf(describe("<U4", "(1,)"), four), "<U4", ErrorCode::Unsupported},
        {npyOf(describe("<f4", "(2,)"), four), "4 bytes are missing", ErrorCode::Malformed},
        {npyOf(describe("<f4", "(-1,)"), four), "absurd", ErrorCode::Malformed},
        {npyOf(describe("<f4", "(4611686018427387904,)"), four), "absurd", ErrorCode::Malformed},
        {npyOf(describe("<f4", "(99999999999999999999,)"), four), "damaged", ErrorCode::Malformed},
        {npyOf(describe("<f4", "(4294967296, 4294967296, 0)"), ""), "absurd", ErrorCode::Malformed},
        {npyOf("{'descr': '<f4', 'shape': (1,), }", four), "damaged", ErrorCode::Malformed},
        {npyOf("", ""), "damaged", ErrorCode::Malformed},
        {std::string("\x93NUMPY\x09\0", 8), "version", ErrorCode::Unsupported},
        {std::string("\x93NUMPY"), "truncated", ErrorCode::Malformed},
        {std::string("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF", 12), "absurd", ErrorCode::Malformed},
    };
    for (const auto& hostile : cases) {
        const Result<at::Tensor> tensor = read(hostile.bytes);
        ASSERT_FALSE(tensor) << hostile.reason;
        EXPECT_THAT(tensor.error().message, HasSubstr(hostile.reason));
        EXPECT_EQ(tensor.error().code, hostile.code) << tensor.error().message;
    }
}

TEST(Npy, TruncationsAndRandomDamageNeverCrash) {
    const std::string whole = npyOf(describe("<f4", "(2, 3)"), bytesOf<float>({0, 1, 2, 3, 4, 5}));
    for (std::size_t length = 0; length < whole.size(); ++length)
        ASSERT_FALSE(read(whole.substr(0, length))) << length;
    std::mt19937 random(7);
    const TempFolder folder;
    for (int round = 0; round < 2000; ++round) {
        std::string damaged = whole;
        for (auto flips = 1 + random() % 3; flips > 0; --flips)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        test::writeBytes(folder / "x.npy", damaged);
        if (const Result<at::Tensor> tensor = readTensor((folder / "x.npy").string()))
            asFloat(*tensor).sum();
    }
}

} // namespace
} // namespace loftscope
