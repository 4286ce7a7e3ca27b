// SPDX-License-Identifier: Apache-2.0
#include "core/weights/tensor_file.h"
#include "core/weights/tensor_sink.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <set>
#include <string>
#include <sys/stat.h>

namespace loftscope {
namespace {

using test::TempFolder;
using ::testing::HasSubstr;

TEST(TensorFile, NamesOfTensors) {
    for (const char* name : {"a.npy", "dir.x/a.safetensors:key", "a.pth:x.y", "a.SAFETENSORS",
                             "a.ckpt", "a.pt", "a.bin", "a.safetensors:"})
        EXPECT_TRUE(namesTensor(name)) << name;
    for (const char* name : {"a.png", "a.jpg", "npy", "a.npy.png", "a:b", ""})
        EXPECT_FALSE(namesTensor(name)) << name;
}

TEST(TensorFile, ATensorIsChosenByKey) {
    const TempFolder folder;
    const std::string two = (folder / "two.safetensors").string();
    ASSERT_TRUE(writeSafetensors(two, {{"a", at::ones({2})}, {"b:c", at::ones({3})}}));
    EXPECT_EQ(readTensor(two + ":a").value().numel(), 2);
    EXPECT_EQ(readTensor(two + ":b:c").value().numel(), 3);

    const Result<at::Tensor> unknown = readTensor(two + ":z");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::NotFound);
    EXPECT_THAT(unknown.error().message, HasSubstr("a, b:c"));
    const Result<at::Tensor> unnamed = readTensor(two);
    ASSERT_FALSE(unnamed);
    EXPECT_THAT(unnamed.error().message, HasSubstr("holds 2 tensors"));

    // A file whose own name looks like a reference is taken as a file.
    const std::string odd = (folder / "x.npy:y.safetensors").string();
    ASSERT_TRUE(writeSafetensors(odd, {{"only", at::ones({5})}}));
    EXPECT_EQ(readTensor(odd).value().numel(), 5);
}

TEST(TensorFile, ACheckpointInPartsIsOne) {
    const TempFolder folder;
    const auto part = [&](const char* name, const char* key) {
        ASSERT_TRUE(writeSafetensors(folder / name, {{key, at::ones({2})}}));
    };
    part("model-00001-of-00002.safetensors", "a");
    const Result<TensorFile> lonely = readTensorFile(folder / "model-00001-of-00002.safetensors");
    ASSERT_FALSE(lonely);
    EXPECT_EQ(lonely.error().code, ErrorCode::NotFound);
    EXPECT_THAT(lonely.error().message, HasSubstr("'model-00002-of-00002.safetensors'"));

    part("model-00002-of-00002.safetensors", "b");
    test::writeBytes(folder / "model.safetensors.index.json",
                     R"({"metadata": {"total_size": 16}, "weight_map": {)"
                     R"("a": "model-00001-of-00002.safetensors",)"
                     R"( "b": "model-00002-of-00002.safetensors"}})");
    std::set<std::string> digests;
    for (const char* name : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                             "model.safetensors.index.json"}) {
        const Result<TensorFile> whole = readTensorFile(folder / name);
        ASSERT_TRUE(whole) << whole.error().message;
        EXPECT_EQ(whole->path, folder / name);
        EXPECT_TRUE(whole->tensors.contains("a") && whole->tensors.contains("b")) << name;
        digests.insert(whole->sha256);
    }
    EXPECT_EQ(digests.size(), 1U);
    EXPECT_EQ(digests.begin()->size(), 64U);

    part("model-00002-of-00002.safetensors", "a");
    EXPECT_THAT(readTensorFile(folder / "model-00001-of-00002.safetensors").error().message,
                HasSubstr("another part"));
    for (const char* bad : {"", "[]", "{\"weight_map\": {\"a\": 1}}", "{\"weight_map\": {}}",
                            "{\"weight_map\": {\"a\": \"../model.safetensors\"}}"}) {
        test::writeBytes(folder / "model.safetensors.index.json", bad);
        EXPECT_EQ(readTensorFile(folder / "model.safetensors.index.json").error().code,
                  ErrorCode::Malformed)
            << bad;
    }
    // Numbers that count no parts.
    for (const char* name : {"a-00003-of-00002.safetensors", "a-00001-of-00001.safetensors",
                             "-00001-of-00002.safetensors", "a-0001-of-00002.safetensors"}) {
        part(name, "a");
        EXPECT_TRUE(readTensorFile(folder / name)) << name;
    }
}

TEST(TensorFile, WhatIsNoTensorFileIsSaid) {
    const TempFolder folder;
    EXPECT_EQ(readTensorFile(folder / "absent.pth").error().code, ErrorCode::NotFound);
    EXPECT_EQ(readTensorFile(folder.path()).error().code, ErrorCode::InvalidArgument);
    test::writeBytes(folder / "empty.pth", "");
    EXPECT_EQ(readTensorFile(folder / "empty.pth").error().code, ErrorCode::Malformed);
    test::writeBytes(folder / "photo.png", "\x89PNG\r\n\x1a\n and so on");
    const Result<TensorFile> photo = readTensorFile(folder / "photo.png");
    ASSERT_FALSE(photo);
    EXPECT_EQ(photo.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(photo.error().message, HasSubstr("photo.png"));
    // A pipe that nobody writes to must not be waited for.
    ASSERT_EQ(mkfifo((folder / "pipe.npy").c_str(), 0600), 0);
    EXPECT_EQ(readTensorFile(folder / "pipe.npy").error().code, ErrorCode::InvalidArgument);
}

} // namespace
} // namespace loftscope
