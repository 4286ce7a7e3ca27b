// SPDX-License-Identifier: Apache-2.0
#include "core/weights/pickle.h"
#include "tests/weights/pickle_writer.h"
#include "tests/weights/temp_folder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <limits>
#include <random>

namespace loftscope {
namespace {

using test::PickleWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const PickleNode* valueOf(const PickleNode* dict, std::string_view key) {
    const PickleNode* found = nullptr;
    for (std::size_t i = 0; i + 1 < dict->items.size(); i += 2) {
        if (dict->items[i]->isText(key)) found = dict->items[i + 1];
    }
    if (found == nullptr) throw std::runtime_error("no " + std::string(key));
    return found;
}

std::string refusal(const std::string& program) {
    const Result<PickleTree> tree = readPickle(program);
    if (tree) return {"it was read"};
    EXPECT_EQ(tree.error().code, ErrorCode::Malformed);
    return tree.error().message;
}

TEST(Pickle, PlainObjectsOfEveryProtocol) {
    for (int protocol = 0; protocol <= 5; ++protocol) {
        const Result<PickleTree> tree = readPickle(test::readBytes(
            test::testData("golden/weights/plain.protocol" + std::to_string(protocol) + ".pkl")));
        ASSERT_TRUE(tree) << protocol << ": " << tree.error().message;
        EXPECT_THAT(tree->foreign, IsEmpty());
        ASSERT_EQ(tree->root->kind, PickleKind::Dict);
        EXPECT_EQ(valueOf(tree->root, "text")->text, "a\u20acb") << protocol;
        const auto& numbers = valueOf(tree->root, "numbers")->items;
        ASSERT_EQ(numbers.size(), 5U);
        EXPECT_EQ(numbers[0]->integer, 1);
        EXPECT_EQ(numbers[1]->integer, -2);
        EXPECT_EQ(numbers[2]->integer, 70000);
        EXPECT_EQ(numbers[3]->integer, std::int64_t{1} << 40) << protocol;
        EXPECT_EQ(numbers[4]->real, 2.5);
        EXPECT_EQ(valueOf(tree->root, "none")->kind, PickleKind::None);
        EXPECT_EQ(valueOf(tree->root, "yes")->kind, PickleKind::Bool);
        EXPECT_EQ(valueOf(tree->root, "yes")->integer, 1);
        EXPECT_EQ(valueOf(tree->root, "pair")->items.size(), 2U);
        EXPECT_EQ(valueOf(valueOf(tree->root, "nested"), "no")->integer, 0);
    }
}

TEST(Pickle, TensorsAreDescribed) {
    const Result<PickleTree> tree =
        readPickle(PickleWriter().tensor(24, 2, {2, 3}, {6, 1}, "7", "HalfStorage").done());
    ASSERT_TRUE(tree) << tree.error().message;
    ASSERT_EQ(tree->root->kind, PickleKind::Tensor);
    const PickledTensor& tensor = *tree->root->tensor;
    EXPECT_EQ(tensor.storage, "7");
    EXPECT_EQ(tensor.type, at::kHalf);
    EXPECT_EQ(tensor.storageCount, 24);
    EXPECT_EQ(tensor.offset, 2);
    EXPECT_THAT(tensor.sizes, ElementsAre(2, 3));
    EXPECT_THAT(tensor.strides, ElementsAre(6, 1));
}

TEST(Pickle, ViewsOutsideTheirStorageAreRefused) {
    constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
    const auto tensor = [](std::int64_t count, std::int64_t offset,
                           const std::vector<std::int64_t>& sizes,
                           const std::vector<std::int64_t>& strides) {
        return refusal(PickleWriter().tensor(count, offset, sizes, strides).done());
    };
    EXPECT_EQ(tensor(6, 0, {2, 3}, {3, 1}), "it was read");
    EXPECT_EQ(tensor(6, 5, {1}, {1}), "it was read");
    EXPECT_EQ(tensor(0, 0, {0, 3}, {3, 1}), "it was read");
    for (const std::string& refused : {
             tensor(5, 0, {2, 3}, {3, 1}),             // one element short
             tensor(6, 6, {1}, {1}),                   // starts behind the end
             tensor(6, -1, {2}, {1}),                  // starts before the beginning
             tensor(6, 5, {6}, {-1}),                  // backwards
             tensor(6, 0, {-1}, {1}),                  // negative size
             tensor(6, 0, {2}, {huge}),                // overflow of the last element
             tensor(6, huge, {2}, {1}),                // overflow of the offset
             tensor(6, huge, {2}, {huge}),             // of both
             tensor(huge, 0, {huge, 4}, {4, 1}),       // overflow of the count
             tensor(6, 0, {2, 3}, {1}),                // a stride is missing
             tensor(6, 0, {1 << 20, 1 << 20}, {0, 0}), // a million million repeats
         }) {
        EXPECT_THAT(refused, HasSubstr("a tensor re"));
    }
    EXPECT_THAT(tensor(-1, 0, {0}, {1}), HasSubstr("negative"));
    EXPECT_THAT(tensor(6, 0, std::vector<std::int64_t>(65, 1), std::vector<std::int64_t>(65, 1)),
                HasSubstr("dimensions"));
}

TEST(Pickle, MisusedTensorFunctionsAreRefused) {
    const auto call = [](const std::string& arguments) {
        return refusal(PickleWriter()
                           .global("torch._utils", "_rebuild_tensor_v2")
                           .raw(arguments)
                           .raw("R")
                           .done());
    };
    EXPECT_THAT(call(")"), HasSubstr("described wrongly"));
    EXPECT_THAT(call("N"), HasSubstr("no arguments"));
    EXPECT_THAT(call("K\x01\x85"), HasSubstr("described wrongly"));
    EXPECT_THAT(
        refusal(PickleWriter().global("torch._utils", "_rebuild_parameter").raw(")R").done()),
        HasSubstr("described wrongly"));
    EXPECT_THAT(
        refusal(PickleWriter().global("torch._tensor", "_rebuild_from_type_v2").raw(")R").done()),
        HasSubstr("described wrongly"));
    // Persistent ids that are no storages.
    EXPECT_THAT(refusal(PickleWriter().raw(")Q").done()), HasSubstr("no storage"));
    EXPECT_THAT(refusal(PickleWriter().raw("NQ").done()), HasSubstr("no storage"));
    EXPECT_THAT(refusal(PickleWriter().raw("Psomething\n").done()), HasSubstr("no storage"));
}

TEST(Pickle, ForeignObjectsAreInertAndNamedOnce) {
    const Result<PickleTree> tree = readPickle(PickleWriter()
                                                   .raw("(")
                                                   .global("posix", "system")
                                                   .text("touch fooled")
                                                   .raw("\x85R")
                                                   .global("posix", "system")
                                                   .text("again")
                                                   .raw("\x85R")
                                                   .global("builtins", "eval")
                                                   .text("1")
                                                   .raw("\x85R")
                                                   .raw("t")
                                                   .done());
    ASSERT_TRUE(tree) << tree.error().message;
    EXPECT_THAT(tree->foreign, ElementsAre("builtins.eval", "posix.system"));
    ASSERT_EQ(tree->root->items.size(), 3U);
    for (const PickleNode* item : tree->root->items)
        EXPECT_EQ(item->kind, PickleKind::Record);
}

TEST(Pickle, EveryShortProgramEndsInAnAnswer) {
    for (int first = 0; first < 256; ++first) {
        std::string program(1, static_cast<char>(first));
        (void)readPickle(program);
        for (int second = 0; second < 256; ++second)
            (void)readPickle(program + static_cast<char>(second));
    }
    EXPECT_THAT(refusal(""), HasSubstr("too early"));
    EXPECT_THAT(refusal("."), HasSubstr("stack is empty"));
}

TEST(Pickle, StackMarksAndMemo) {
    EXPECT_THAT(refusal("0."), HasSubstr("stack is empty"));
    EXPECT_THAT(refusal("N0."), HasSubstr("stack is empty"));
    EXPECT_THAT(refusal("t."), HasSubstr("mark"));
    EXPECT_THAT(refusal("1."), HasSubstr("mark"));
    // What lies below a mark is out of reach until the mark is gone.
    EXPECT_THAT(refusal("N(\x85."), HasSubstr("stack is empty"));
    EXPECT_EQ(refusal("N(1."), "it was read");
    EXPECT_THAT(refusal("h\x05."), HasSubstr("not there"));
    EXPECT_THAT(refusal("g99999999999999999999999\n."), HasSubstr("number"));
    EXPECT_THAT(refusal("q\x01."), HasSubstr("stack is empty"));
    EXPECT_THAT(refusal("NNs."), HasSubstr("stack is empty"));
    EXPECT_THAT(refusal("]NNs."), HasSubstr("has none"));
    EXPECT_THAT(refusal("}(Nu."), HasSubstr("no value"));
    EXPECT_THAT(refusal("}Na."), HasSubstr("no list"));
    EXPECT_THAT(refusal("NN\x93."), HasSubstr("no name"));
    EXPECT_THAT(refusal("X\xff\xff\xff\xff."), HasSubstr("too early"));
    EXPECT_THAT(refusal(std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", 10)),
                HasSubstr("too early"));
    EXPECT_THAT(refusal("\x8b\xff\xff\xff\xff."), HasSubstr("too early"));
    EXPECT_THAT(refusal("\x80\x09."), HasSubstr("protocol"));
    EXPECT_THAT(refusal("\xff."), HasSubstr("unknown instruction"));
    EXPECT_THAT(refusal("I12x\n."), HasSubstr("number"));
    EXPECT_THAT(refusal("Sx\n."), HasSubstr("text"));
    EXPECT_THAT(refusal("(o."), HasSubstr("no class"));
}

TEST(Pickle, ObjectsMayContainThemselves) {
    // l = []; l.append(l)
    const Result<PickleTree> list = readPickle("]q\x01h\x01"
                                               "a.");
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ(list->root->items.front(), list->root);
    const Result<PickleTree> dict = readPickle("}q\x01Nh\x01s.");
    ASSERT_TRUE(dict) << dict.error().message;
    // An object that is its own state.
    const Result<PickleTree> record = readPickle("ca\nb\n)\x81q\x01h\x01"
                                                 "b.");
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(record->root->state, record->root);
}

TEST(Pickle, BombsAreDefused) {
    // More objects than any checkpoint.
    EXPECT_THAT(refusal(std::string(5'000'000, ']')), HasSubstr("more objects"));
    EXPECT_THAT(refusal(std::string("N").append(5'000'000, '2')), HasSubstr("stack"));
    EXPECT_THAT(refusal(std::string(5'000'000, '(')), HasSubstr("stack"));
    // A memo entry for each of 5 million indices.
    EXPECT_THAT(refusal(std::string("N").append(5'000'000, '\x94')), HasSubstr("remembers"));
    // A dictionary copied over and over: few bytes, many entries.
    PickleWriter copies;
    copies.raw("}(");
    for (int i = 0; i < 10'000; ++i)
        copies.integer(i).raw("N");
    copies.raw("u").put(1).raw("0(");
    for (int i = 0; i < 1'000; ++i)
        copies.global("collections", "OrderedDict").get(1).raw("\x85R");
    EXPECT_THAT(refusal(copies.raw("t").done()), HasSubstr("more objects"));
}

TEST(Pickle, RandomProgramsNeverCrash) {
    const std::string base = PickleWriter()
                                 .raw("}(")
                                 .text("a")
                                 .tensor(24, 2, {2, 3}, {6, 1})
                                 .text("b")
                                 .global("torch.jit._pickle", "restore_type_tag")
                                 .raw("](K\x01K\x02"
                                      "e")
                                 .text("List[int]")
                                 .raw("\x86Ru")
                                 .done();
    ASSERT_EQ(refusal(base), "it was read");
    std::mt19937 random(99);
    for (int round = 0; round < 20'000; ++round) {
        std::string damaged = base;
        for (auto edits = 1 + random() % 6; edits > 0; --edits) {
            const std::size_t place = random() % damaged.size();
            switch (random() % 3) {
            case 0:
                damaged[place] = static_cast<char>(random());
                break;
            case 1:
                damaged.erase(place, 1 + random() % 4);
                break;
            default:
                damaged.insert(place, damaged.substr(random() % damaged.size(), 8));
                break;
            }
            if (damaged.empty()) damaged.assign(1, '.');
        }
        (void)readPickle(damaged);
    }
    for (std::size_t length = 0; length < base.size(); ++length)
        EXPECT_FALSE(readPickle(base.substr(0, length))) << length;
}

} // namespace
} // namespace loftscope
