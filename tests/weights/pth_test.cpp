// SPDX-License-Identifier: Apache-2.0
#include "core/weights/pickle.h"
#include "core/weights/tensor_file.h"
#include "core/weights/zip_archive.h"
#include "tests/weights/pickle_writer.h"
#include "tests/weights/temp_folder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <random>

namespace loftscope {
namespace {

using test::PickleWriter;
using test::TempFolder;
using test::testData;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::filesystem::path fixture(const std::string& name) {
    return testData("golden/weights/" + name);
}

TensorFile load(const std::string& name) {
    Result<TensorFile> file = readTensorFile(fixture(name));
    if (!file) throw std::runtime_error(file.error().message);
    return *std::move(file);
}

Error refusal(const std::filesystem::path& path) {
    const Result<TensorFile> file = readTensorFile(path);
    return file ? Error{ErrorCode::Internal, "it was read"} : file.error();
}

/// start, start + 1, ... in that shape: what the fixtures hold.
at::Tensor numbers(std::vector<std::int64_t> shape, double start = 0) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape)
        count *= extent;
    return at::arange(count).add(start).to(at::kFloat).view(shape);
}

std::vector<std::string> keysOf(const TensorFile& file) {
    std::vector<std::string> keys;
    for (const auto& [key, tensor] : file.tensors)
        keys.push_back(key);
    return keys;
}

/// A checkpoint with this pickle and one storage "0".
Error refusalOf(const std::string& pickle, const std::string& storage) {
    const TempFolder folder;
    test::writeZip(folder / "x.pth", {{"x/data.pkl", pickle}, {"x/data/0", storage}});
    return refusal(folder / "x.pth");
}

TEST(Pth, DictionariesOfEveryKind) {
    for (const char* name :
         {"ordered_dict.pth", "plain_dict.pth", "protocol4.pth", "protocol5.pth"}) {
        const TensorFile file = load(name);
        EXPECT_EQ(file.format, TensorFormat::TorchZip);
        EXPECT_EQ(file.sha256.size(), 64U);
        EXPECT_THAT(file.warnings, IsEmpty());
        EXPECT_THAT(keysOf(file), ElementsAre("layer.bias", "layer.weight"));
        EXPECT_TRUE(at::equal(file.tensors.at("layer.weight"), numbers({2, 3})));
        EXPECT_TRUE(at::equal(file.tensors.at("layer.bias"), numbers({2}, 50)));
    }
    EXPECT_TRUE(at::equal(readTensor(fixture("tensor.pt").string()).value(), numbers({2, 3})));
    EXPECT_TRUE(at::equal(readTensor(fixture("plain_dict.pth").string() + ":layer.weight").value(),
                          numbers({2, 3})));
    EXPECT_THAT(keysOf(load("tensors_in_list.pt")), ElementsAre("0", "1"));
}

TEST(Pth, EveryElementType) {
    const TensorFile file = load("every_type.pth");
    EXPECT_EQ(file.tensors.size(), 14U);
    for (const auto& [key, tensor] : file.tensors) {
        const at::Tensor wanted =
            key == "bool" ? numbers({2, 3}).ne(0).to(at::kFloat) : numbers({2, 3});
        EXPECT_TRUE(at::equal(asFloat(tensor), wanted)) << key;
    }
    EXPECT_EQ(file.tensors.at("bfloat16").scalar_type(), at::kBFloat16);
    EXPECT_EQ(file.tensors.at("uint16").scalar_type(), at::kUInt16);
}

TEST(Pth, ViewsOfSharedStorages) {
    const TensorFile file = load("views.pth");
    const at::Tensor whole = numbers({4, 6});
    EXPECT_TRUE(at::equal(file.tensors.at("whole"), whole));
    EXPECT_TRUE(at::equal(file.tensors.at("row"), whole.select(0, 2)));
    EXPECT_TRUE(at::equal(file.tensors.at("column"), whole.select(1, 1)));
    EXPECT_TRUE(at::equal(file.tensors.at("transposed"), whole.t()));
    EXPECT_TRUE(at::equal(asFloat(file.tensors.at("transposed")), whole.t()));
    EXPECT_EQ(file.tensors.at("expanded").sum().item<float>(), 5.0F);
    EXPECT_EQ(file.tensors.at("scalar").item<float>(), 2.5F);
    EXPECT_EQ(file.tensors.at("empty").sizes(), at::IntArrayRef({0, 3}));
    EXPECT_TRUE(at::equal(file.tensors.at("parameter"), numbers({3})));
    EXPECT_TRUE(at::equal(file.tensors.at("tagged"), numbers({2, 2})));
    EXPECT_THAT(file.warnings, IsEmpty());
}

TEST(Pth, WrappersAreRemovedAndChoicesAreSaid) {
    const TensorFile nested = load("state_dict.pth");
    EXPECT_THAT(keysOf(nested), ElementsAre("layer.bias", "layer.weight"));
    EXPECT_THAT(nested.warnings, ElementsAre(HasSubstr("'module.'")));

    const TensorFile both = load("model_and_ema.pth");
    EXPECT_TRUE(at::equal(both.tensors.at("layer.weight"), numbers({2, 3}, 100)));
    EXPECT_THAT(both.warnings, ElementsAre(HasSubstr("'model' (2 tensors) was taken, 'ema'")));

    const TensorFile teacher = load("teacher_student.pth");
    EXPECT_TRUE(at::equal(teacher.tensors.at("layer.weight"), numbers({2, 3}, 200)));
    EXPECT_THAT(teacher.warnings, ElementsAre(HasSubstr("'student' (2 tensors) left out")));

    // The optimiser's moments are larger than these weights and still not taken for them.
    const TensorFile lightning = load("lightning.ckpt");
    EXPECT_THAT(keysOf(lightning), ElementsAre("model.1.norm.weight", "upsampler.a"));
    EXPECT_THAT(lightning.warnings,
                ElementsAre(HasSubstr("argparse.Namespace, pathlib.PurePosixPath")));
}

TEST(Pth, WholeModulesAndTorchScriptGiveTheirStateDicts) {
    const TensorFile module = load("module.pth");
    const TensorFile script = load("script.pt");
    EXPECT_EQ(module.format, TensorFormat::TorchZip);
    EXPECT_EQ(script.format, TensorFormat::TorchScript);
    EXPECT_THAT(script.warnings, IsEmpty());
    EXPECT_THAT(module.warnings, ElementsAre(HasSubstr("__main__.Model")));
    EXPECT_EQ(keysOf(module), keysOf(script));
    EXPECT_EQ(script.tensors.size(), 17U);
    for (const TensorFile* file : {&module, &script}) {
        EXPECT_TRUE(at::equal(file->tensors.at("blocks.1.linear.weight"), numbers({2, 3}, 100)));
        EXPECT_EQ(file->tensors.at("gain").scalar_type(), at::kHalf);
        EXPECT_EQ(file->tensors.at("blocks.0.norm.num_batches_tracked").dim(), 0);
    }
}

TEST(Pth, NothingIsExecuted) {
    const TensorFile file = load("evil.pth");
    EXPECT_THAT(keysOf(file), ElementsAre("weight"));
    EXPECT_THAT(file.warnings, ElementsAre(HasSubstr("posix.system")));
    EXPECT_FALSE(std::filesystem::exists("loftscope_was_fooled"));
    const TensorFile complex = load("complex.pth");
    EXPECT_THAT(keysOf(complex), ElementsAre("a"));
    EXPECT_THAT(complex.warnings, ElementsAre(HasSubstr("torch.ComplexFloatStorage")));
}

TEST(Pth, WhatCannotBeReadIsRefusedWithItsReason) {
    const struct {
        const char* name;
        ErrorCode code;
        const char* reason;
    } cases[] = {
        {"legacy.pth", ErrorCode::Unsupported, "torch.save(torch.load("},
        {"raw_pickle.pth", ErrorCode::Unsupported, "bare pickle"},
        {"no_tensors.pth", ErrorCode::NotFound, "holds no tensors"},
        {"oob_numel.pth", ErrorCode::Malformed, "its 100 elements need"},
        {"big_endian.pth", ErrorCode::Unsupported, "big-endian"},
        {"missing_storage.pth", ErrorCode::Malformed, "data/1' is missing"},
        {"bomb.pth", ErrorCode::Malformed, "times its size"},
        {"no_pickle.zip", ErrorCode::Unsupported, "without data.pkl"},
    };
    for (const auto& refused : cases) {
        const Error error = refusal(fixture(refused.name));
        EXPECT_EQ(error.code, refused.code) << refused.name << ": " << error.message;
        EXPECT_THAT(error.message, HasSubstr(refused.reason));
        EXPECT_THAT(error.message, HasSubstr(refused.name));
    }
}

TEST(Pth, EveryTruncationIsRefused) {
    const std::string whole = test::readBytes(fixture("ordered_dict.pth"));
    const TempFolder folder;
    for (std::size_t length = 0; length < whole.size(); ++length) {
        test::writeBytes(folder / "x.pth", whole.substr(0, length));
        const Error error = refusal(folder / "x.pth");
        ASSERT_TRUE(error.code == ErrorCode::Malformed || error.code == ErrorCode::Unsupported)
            << length << ": " << error.message;
    }
}

TEST(Pth, AFlippedBitIsNoticedOrHarmless) {
    const TensorFile original = load("ordered_dict.pth");
    const std::string whole = test::readBytes(fixture("ordered_dict.pth"));
    const TempFolder folder;
    int checksums = 0;
    for (std::size_t place = 0; place < whole.size(); ++place) {
        for (const unsigned bit : {0U, 3U, 7U}) {
            std::string damaged = whole;
            damaged[place] =
                static_cast<char>(static_cast<unsigned char>(damaged[place]) ^ (1U << bit));
            test::writeBytes(folder / "x.pth", damaged);
            const Result<TensorFile> file = readTensorFile(folder / "x.pth");
            if (!file) {
                if (file.error().message.find("wrong checksum") != std::string::npos) ++checksums;
                continue;
            }
            ASSERT_EQ(file->tensors.size(), original.tensors.size()) << place;
            for (const auto& [key, tensor] : original.tensors) {
                ASSERT_TRUE(file->tensors.contains(key)) << place;
                ASSERT_TRUE(at::equal(file->tensors.at(key), tensor)) << place;
            }
        }
    }
    // Every byte of the pickle and of the two storages, at least.
    EXPECT_GT(checksums, 3 * (32 + 200));
}

TEST(Pth, SizesAreCheckedBeforeAnythingIsRead) {
    const auto tensor = [](std::int64_t count) {
        return PickleWriter().tensor(count, 0, {1}, {1}).done();
    };
    EXPECT_EQ(refusalOf(tensor(2), std::string(8, '\0')).message, "it was read");
    for (const std::int64_t count :
         {std::int64_t{1}, std::int64_t{3}, std::int64_t{1} << 40, std::int64_t{1} << 62}) {
        const Error error = refusalOf(tensor(count), std::string(8, '\0'));
        EXPECT_EQ(error.code, ErrorCode::Malformed) << count;
        EXPECT_THAT(error.message, HasSubstr("elements need"));
    }
}

TEST(Pth, EndlessNestingEnds) {
    // Each of 40 compiled modules holds the next one twice: 2^40 paths to the tensor.
    PickleWriter modules;
    modules.tensor(2, 0, {2}, {1}).put(0).raw("0");
    for (unsigned level = 1; level <= 40; ++level) {
        modules.global("__torch__", "M").raw(")\x81}(");
        modules.text("a").get(level - 1).text("b").get(level - 1).raw("ub").put(level);
        if (level < 40) modules.raw("0");
    }
    EXPECT_THAT(refusalOf(modules.done(), std::string(8, '\0')).message, HasSubstr("without end"));

    // A compiled module that contains itself.
    const std::string circle = PickleWriter()
                                   .global("__torch__", "M")
                                   .raw(")\x81")
                                   .put(1)
                                   .raw("}(")
                                   .text("a")
                                   .get(1)
                                   .raw("ub")
                                   .done();
    EXPECT_THAT(refusalOf(circle, "").message, HasSubstr("without end"));

    // A dictionary that contains itself, and a long chain of dictionaries.
    const std::string ring =
        PickleWriter().raw("}").put(1).raw("(").text("a").get(1).raw("u").done();
    EXPECT_THAT(refusalOf(ring, "").message, HasSubstr("no tensors"));
    PickleWriter chain;
    for (int i = 0; i < 100'000; ++i)
        chain.raw("}").text("a");
    chain.raw("N");
    for (int i = 0; i < 100'000; ++i)
        chain.raw("s");
    EXPECT_THAT(refusalOf(chain.done(), "").message, HasSubstr("no tensors"));
}

TEST(Pth, TerminalCommandsInNamesStayOutOfMessages) {
    const Error error = refusalOf(
        PickleWriter().raw("}(").text("\x1b[2J").tensor(99, 0, {1}, {1}).raw("u").done(), "");
    EXPECT_EQ(error.message.find('\x1b'), std::string::npos) << error.message;
    EXPECT_THAT(error.message, HasSubstr("?[2J"));
}

TEST(Pth, DamagedPicklesWithRightChecksumsNeverCrash) {
    const TempFolder folder;
    std::map<std::string, std::string> entries;
    {
        const Result<std::shared_ptr<const MappedFile>> mapped =
            MappedFile::open(fixture("views.pth"));
        ASSERT_TRUE(mapped);
        const Result<ZipArchive> archive = ZipArchive::open(*mapped);
        ASSERT_TRUE(archive);
        for (const auto& [name, size] : archive->entries())
            entries[name] = archive->readText(name, size).value();
    }
    const std::string original = entries.at("views/data.pkl");
    std::mt19937 random(4711);
    int read = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string& pickle = entries.at("views/data.pkl");
        pickle = original;
        for (auto edits = 1 + random() % 3; edits > 0; --edits)
            pickle[random() % pickle.size()] = static_cast<char>(random());
        test::writeZip(folder / "x.pth", entries);
        const Result<TensorFile> file = readTensorFile(folder / "x.pth");
        if (!file) continue;
        ++read;
        for (const auto& [key, tensor] : file->tensors)
            asFloat(tensor).sum();
    }
    EXPECT_GT(read, 100);
}

TEST(ZipArchive, TwoEntriesOfOneNameAreRefused) {
    // Which one counts depends on the reader; a checksum of one says nothing about the other.
    const TempFolder folder;
    test::writeZip(folder / "x.zip", {{"a/one", "1"}, {"a/two", "2"}});
    std::string bytes = test::readBytes(folder / "x.zip");
    for (std::size_t at = bytes.find("a/two"); at != std::string::npos; at = bytes.find("a/two"))
        bytes.replace(at, 5, "a/one");
    test::writeBytes(folder / "x.zip", bytes);
    const Result<ZipArchive> archive = ZipArchive::open(MappedFile::open(folder / "x.zip").value());
    ASSERT_FALSE(archive);
    EXPECT_THAT(archive.error().message, HasSubstr("two entries named 'a/one'"));
}

TEST(ZipArchive, EntriesAreReadWithTheirLimits) {
    const TempFolder folder;
    test::writeZip(folder / "x.zip", {{"a", "hello"}, {"empty", ""}});
    const Result<ZipArchive> archive = ZipArchive::open(MappedFile::open(folder / "x.zip").value());
    ASSERT_TRUE(archive) << archive.error().message;
    EXPECT_EQ(archive->readText("a", 5).value(), "hello");
    EXPECT_EQ(archive->readText("empty", 0).value(), "");
    EXPECT_EQ(archive->readText("a", 4).error().code, ErrorCode::Malformed);
    EXPECT_EQ(archive->readText("b", 4).error().code, ErrorCode::NotFound);
}

} // namespace
} // namespace loftscope
