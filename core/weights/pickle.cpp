// SPDX-License-Identifier: Apache-2.0
#include "core/weights/pickle.h"

#include "core/weights/tensor_extents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace loftscope {

namespace {

// Far above what checkpoints have, and small enough that the worst file costs some hundred MB.
constexpr std::size_t maxNodes = 4'000'000;
constexpr std::size_t maxStack = 4'000'000;
constexpr std::size_t maxMemo = 4'000'000;
/// A tensor may repeat its storage's elements (stride 0), but not to a size that hurts.
constexpr std::int64_t maxRepeated = std::int64_t{1} << 24;

/// The opcodes of protocols 0 to 5, as in Python's pickletools.
enum class Op : unsigned char {
    Mark = '(',
    Stop = '.',
    Pop = '0',
    PopMark = '1',
    Dup = '2',
    Float = 'F',
    Int = 'I',
    BinInt = 'J',
    BinInt1 = 'K',
    Long = 'L',
    BinInt2 = 'M',
    None = 'N',
    PersId = 'P',
    BinPersId = 'Q',
    Reduce = 'R',
    String = 'S',
    BinString = 'T',
    ShortBinString = 'U',
    Unicode = 'V',
    BinUnicode = 'X',
    Append = 'a',
    Build = 'b',
    Global = 'c',
    Dict = 'd',
    EmptyDict = '}',
    Appends = 'e',
    Get = 'g',
    BinGet = 'h',
    Inst = 'i',
    LongBinGet = 'j',
    List = 'l',
    EmptyList = ']',
    Obj = 'o',
    Put = 'p',
    BinPut = 'q',
    LongBinPut = 'r',
    SetItem = 's',
    Tuple = 't',
    EmptyTuple = ')',
    SetItems = 'u',
    BinFloat = 'G',
    Proto = 0x80,
    NewObj = 0x81,
    Ext1 = 0x82,
    Ext2 = 0x83,
    Ext4 = 0x84,
    Tuple1 = 0x85,
    Tuple2 = 0x86,
    Tuple3 = 0x87,
    NewTrue = 0x88,
    NewFalse = 0x89,
    Long1 = 0x8a,
    Long4 = 0x8b,
    BinBytes = 'B',
    ShortBinBytes = 'C',
    ShortBinUnicode = 0x8c,
    BinUnicode8 = 0x8d,
    BinBytes8 = 0x8e,
    EmptySet = 0x8f,
    AddItems = 0x90,
    FrozenSet = 0x91,
    NewObjEx = 0x92,
    StackGlobal = 0x93,
    Memoize = 0x94,
    Frame = 0x95,
    ByteArray8 = 0x96,
};

struct Malformed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Names of torch's storage classes and dtypes.
constexpr std::array<std::pair<std::string_view, at::ScalarType>, 10> storageTypes{{
    {"FloatStorage", at::kFloat},
    {"HalfStorage", at::kHalf},
    {"BFloat16Storage", at::kBFloat16},
    {"DoubleStorage", at::kDouble},
    {"LongStorage", at::kLong},
    {"IntStorage", at::kInt},
    {"ShortStorage", at::kShort},
    {"CharStorage", at::kChar},
    {"ByteStorage", at::kByte},
    {"BoolStorage", at::kBool},
}};

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 17> dtypes{{
    {"float32", at::kFloat},
    {"float", at::kFloat},
    {"float16", at::kHalf},
    {"half", at::kHalf},
    {"bfloat16", at::kBFloat16},
    {"float64", at::kDouble},
    {"double", at::kDouble},
    {"int64", at::kLong},
    {"int32", at::kInt},
    {"int16", at::kShort},
    {"int8", at::kChar},
    {"uint8", at::kByte},
    {"uint16", at::kUInt16},
    {"uint32", at::kUInt32},
    {"uint64", at::kUInt64},
    {"bool", at::kBool},
    {"float8_e4m3fn", at::kFloat8_e4m3fn},
}};

template <std::size_t N>
std::optional<at::ScalarType>
lookUp(const std::array<std::pair<std::string_view, at::ScalarType>, N>& table,
       std::string_view name) {
    for (const auto& [known, type] : table) {
        if (known == name) return type;
    }
    return std::nullopt;
}

/// Plain containers, or names without effect, that need no warning.
bool isHarmless(std::string_view module, std::string_view name) {
    static const std::set<std::pair<std::string_view, std::string_view>> known{
        {"collections", "OrderedDict"},
        {"collections", "defaultdict"},
        {"torch", "Size"},
        {"torch", "device"},
        {"torch._utils", "_rebuild_tensor"},
        {"torch._utils", "_rebuild_tensor_v2"},
        {"torch._utils", "_rebuild_tensor_v3"},
        {"torch._utils", "_rebuild_parameter"},
        {"torch._utils", "_rebuild_parameter_with_state"},
        {"torch._tensor", "_rebuild_from_type_v2"},
        {"torch", "Tensor"},
        {"torch.nn.parameter", "Parameter"},
        {"torch.nn.parameter", "Buffer"},
        {"torch.storage", "UntypedStorage"},
        {"torch.jit._pickle", "restore_type_tag"},
        {"torch.jit._pickle", "build_intlist"},
        {"torch.jit._pickle", "build_doublelist"},
        {"torch.jit._pickle", "build_boollist"},
        {"torch.jit._pickle", "build_tensorlist"},
    };
    static const std::set<std::string_view> builtins{"dict", "list",  "tuple", "set",  "int",
                                                     "long", "float", "str",   "bool", "bytes"};
    if (known.contains({module, name})) return true;
    if (module == "torch")
        return lookUp(storageTypes, name).has_value() || lookUp(dtypes, name).has_value();
    if (module == "builtins" || module == "__builtin__") return builtins.contains(name);
    return false;
}

class Machine {
public:
    explicit Machine(std::string bytes) {
        tree_.bytes = std::make_unique<std::string>(std::move(bytes));
        rest_ = *tree_.bytes;
        none_ = make(PickleKind::None);
        yes_ = make(PickleKind::Bool);
        yes_->integer = 1;
        no_ = make(PickleKind::Bool);
    }

    PickleTree run() {
        while (tree_.root == nullptr)
            step(static_cast<Op>(byte()));
        tree_.foreign.assign(foreign_.begin(), foreign_.end());
        return std::move(tree_);
    }

private:
    using Node = PickleNode;

    // Reading the byte stream.

    std::string_view take(std::uint64_t count) {
        if (count > rest_.size()) throw Malformed("it ends too early");
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    unsigned char byte() { return static_cast<unsigned char>(take(1).front()); }
    template <typename T>
    T number() {
        T value{};
        std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
        return value;
    }
    std::string_view line() {
        const std::size_t end = rest_.find('\n');
        if (end == std::string_view::npos) throw Malformed("it ends too early");
        const std::string_view text = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return text;
    }
    template <typename T>
    static T parsed(std::string_view text) {
        T value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size())
            throw Malformed("a number is damaged");
        return value;
    }

    // Nodes, stack and memo.

    Node* make(PickleKind kind) {
        if (tree_.nodes.size() >= maxNodes)
            throw Malformed("it has more objects than any checkpoint");
        Node& node = tree_.nodes.emplace_back();
        node.kind = kind;
        return &node;
    }
    Node* makeText(PickleKind kind, std::string_view text) {
        Node* node = make(kind);
        node->text = text;
        return node;
    }
    Node* makeInt(std::int64_t value) {
        Node* node = make(PickleKind::Int);
        node->integer = value;
        return node;
    }
    void push(Node* node) {
        if (stack_.size() >= maxStack) throw Malformed("its stack is deeper than any checkpoint's");
        stack_.push_back(node);
    }
    /// Objects above the last mark only: what lies below belongs to somebody else.
    Node* pop() {
        if (stack_.size() <= floor()) throw Malformed("its stack is empty");
        Node* node = stack_.back();
        stack_.pop_back();
        return node;
    }
    Node* top() {
        if (stack_.size() <= floor()) throw Malformed("its stack is empty");
        return stack_.back();
    }
    std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
    std::vector<Node*> popToMark() {
        if (marks_.empty()) throw Malformed("a mark is missing");
        const auto start = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
        std::vector<Node*> items(start, stack_.end());
        stack_.erase(start, stack_.end());
        marks_.pop_back();
        return items;
    }
    void put(std::uint64_t index) {
        if (memo_.size() >= maxMemo) throw Malformed("it remembers more than any checkpoint");
        memo_[index] = top();
    }
    void get(std::uint64_t index) {
        const auto found = memo_.find(index);
        if (found == memo_.end()) throw Malformed("it refers to an object that is not there");
        push(found->second);
    }

    // Objects.

    Node* makeGlobal(std::string_view module, std::string_view name) {
        Node* node = makeText(PickleKind::Global, module);
        node->name = name;
        if (module == "__torch__" || module.starts_with("__torch__.")) {
            tree_.torchScript = true;
        } else if (!isHarmless(module, name)) {
            noteForeign(module, name);
        }
        return node;
    }

    void noteForeign(std::string_view module, std::string_view name) {
        constexpr std::size_t mostNames = 1000;
        if (foreign_.size() < mostNames) foreign_.insert(fmt::format("{}.{}", module, name));
    }

    Node* makeRecord(const Node* type) {
        Node* node = make(PickleKind::Record);
        if (type->kind == PickleKind::Global || type->kind == PickleKind::Record) {
            node->text = type->text;
            node->name = type->name;
            const bool plain = type->text != "torch._utils" && type->text != "torch._tensor" &&
                               type->text != "torch.nn.parameter";
            if (!plain) noteForeign(type->text, type->name); // a tensor that could not be made
        }
        return node;
    }

    static const Node* argument(const Node* arguments, std::size_t index, PickleKind kind) {
        if (index >= arguments->items.size() || arguments->items[index]->kind != kind)
            throw Malformed("a tensor is described wrongly");
        return arguments->items[index];
    }
    static std::vector<std::int64_t> integers(const Node* tuple) {
        std::vector<std::int64_t> values;
        if (tuple->items.size() > maxDimensions)
            throw Malformed("a tensor has too many dimensions");
        for (const Node* item : tuple->items) {
            if (item->kind != PickleKind::Int) throw Malformed("a tensor's size is no number");
            values.push_back(item->integer);
        }
        return values;
    }

    /// `_rebuild_tensor*`: storage, offset, sizes, strides, ... A storage of a kind that is not
    /// known here makes the tensor a record too.
    Node* rebuildTensor(const Node* arguments, std::optional<at::ScalarType> type) {
        if (!arguments->items.empty() && arguments->items[0]->kind == PickleKind::Record)
            return makeRecord(arguments->items[0]);
        const PickledTensor& storage = *argument(arguments, 0, PickleKind::Storage)->tensor;
        auto tensor = std::make_unique<PickledTensor>();
        tensor->storage = storage.storage;
        tensor->type = storage.type;
        tensor->storageCount = storage.storageCount;
        if (type) { // version 3 tells the type apart from the storage, which counts bytes
            const auto before = static_cast<std::int64_t>(c10::elementSize(storage.type));
            std::int64_t bytes = 0;
            if (__builtin_mul_overflow(storage.storageCount, before, &bytes))
                throw Malformed("a storage is absurdly large");
            tensor->type = *type;
            tensor->storageCount = bytes / static_cast<std::int64_t>(c10::elementSize(*type));
        }
        tensor->offset = argument(arguments, 1, PickleKind::Int)->integer;
        tensor->sizes = integers(argument(arguments, 2, PickleKind::Tuple));
        tensor->strides = integers(argument(arguments, 3, PickleKind::Tuple));

        const std::optional<std::int64_t> count = elementCount(tensor->sizes);
        const std::optional<std::int64_t> end =
            viewEnd(tensor->offset, tensor->sizes, tensor->strides);
        if (!count || !end || *end > tensor->storageCount)
            throw Malformed("a tensor reaches outside of its storage");
        if (*count > std::max(tensor->storageCount, maxRepeated))
            throw Malformed("a tensor repeats its storage absurdly often");
        Node* node = make(PickleKind::Tensor);
        node->tensor = std::move(tensor);
        return node;
    }

    /// ('storage', class, key, device, count)
    Node* storageFrom(const Node* id) {
        if (id->kind != PickleKind::Tuple || id->items.size() < 5 ||
            !id->items[0]->isText("storage") || id->items[1]->kind != PickleKind::Global ||
            id->items[2]->kind != PickleKind::Text || id->items[4]->kind != PickleKind::Int) {
            throw Malformed("it refers to something that is no storage");
        }
        const Node* type = id->items[1];
        std::optional<at::ScalarType> elements;
        if (type->text == "torch" || type->text == "torch.cuda")
            elements = lookUp(storageTypes, type->name);
        if (type->text == "torch.storage" && type->name == "UntypedStorage") elements = at::kByte;
        if (!elements) return makeRecord(type);
        Node* node = make(PickleKind::Storage);
        node->tensor = std::make_unique<PickledTensor>();
        node->tensor->storage = id->items[2]->text;
        node->tensor->type = *elements;
        node->tensor->storageCount = id->items[4]->integer;
        if (node->tensor->storageCount < 0) throw Malformed("a storage has a negative size");
        return node;
    }

    Node* makeDict(const Node* arguments) {
        Node* dict = make(PickleKind::Dict);
        if (arguments->items.empty()) return dict;
        const Node* entries = arguments->items.front();
        // A few bytes can name the same entries again and again.
        copied_ += entries->items.size();
        if (copied_ > maxNodes) throw Malformed("it has more objects than any checkpoint");
        if (entries->kind == PickleKind::Dict) {
            dict->items = entries->items;
        } else if (entries->kind == PickleKind::List || entries->kind == PickleKind::Tuple) {
            for (const Node* pair : entries->items) {
                if (pair->items.size() != 2) throw Malformed("a dictionary is described wrongly");
                dict->items.insert(dict->items.end(), pair->items.begin(), pair->items.end());
            }
        }
        return dict;
    }

    /// What calling `function` would give, for the few that are known; nothing is called.
    Node* reduce(const Node* function, Node* arguments) {
        if (arguments->kind != PickleKind::Tuple) throw Malformed("a call has no arguments");
        if (function->kind != PickleKind::Global) return makeRecord(function);
        const std::string_view module = function->text;
        const std::string_view name = function->name;
        if (module == "torch._utils") {
            if (name == "_rebuild_tensor" || name == "_rebuild_tensor_v2")
                return rebuildTensor(arguments, std::nullopt);
            if (name == "_rebuild_tensor_v3") {
                const Node* dtype = argument(arguments, 6, PickleKind::Global);
                const std::optional<at::ScalarType> type = lookUp(dtypes, dtype->name);
                return type ? rebuildTensor(arguments, type) : makeRecord(dtype);
            }
            if (name == "_rebuild_parameter" || name == "_rebuild_parameter_with_state") {
                if (arguments->items.empty()) throw Malformed("a parameter is described wrongly");
                return arguments->items.front();
            }
        }
        if (module == "torch._tensor" && name == "_rebuild_from_type_v2") {
            // A tensor with extra attributes: (function, class, arguments, attributes)
            const Node* inner = argument(arguments, 0, PickleKind::Global);
            argument(arguments, 2, PickleKind::Tuple);
            if (inner->text == "torch._utils") return reduce(inner, arguments->items[2]);
            return makeRecord(inner);
        }
        if (module == "torch" && name == "Size" && arguments->items.size() == 1)
            return arguments->items.front();
        if (module == "collections" && name == "OrderedDict") return makeDict(arguments);
        if (module == "collections" && name == "defaultdict") return make(PickleKind::Dict);
        if (module == "torch.jit._pickle" && !arguments->items.empty() && isHarmless(module, name))
            return arguments->items.front();
        return makeRecord(function);
    }

    void setItems(const std::vector<Node*>& items) {
        Node* target = top();
        if (items.size() % 2 != 0) throw Malformed("a key has no value");
        if (target->kind != PickleKind::Dict && target->kind != PickleKind::Record)
            throw Malformed("it stores under a key of something that has none");
        target->items.insert(target->items.end(), items.begin(), items.end());
    }
    void append(const std::vector<Node*>& items) {
        Node* target = top();
        if (target->kind == PickleKind::Record) return; // a foreign kind of list stays empty
        if (target->kind != PickleKind::List && target->kind != PickleKind::Set)
            throw Malformed("it appends to something that is no list");
        target->items.insert(target->items.end(), items.begin(), items.end());
    }
    void build() {
        Node* state = pop();
        Node* target = top();
        // A dictionary's or a tensor's own attributes are of no use here.
        if (target->kind == PickleKind::Record) target->state = state;
    }
    void pushTuple(std::vector<Node*> items) {
        Node* node = make(PickleKind::Tuple);
        node->items = std::move(items);
        push(node);
    }
    void pushTuple(std::size_t count) {
        std::vector<Node*> items(count);
        for (std::size_t i = count; i-- > 0;)
            items[i] = pop();
        pushTuple(std::move(items));
    }

    /// Two's complement, little endian; numbers beyond 64 bits (such as magic ones) lose meaning.
    Node* longFrom(std::string_view digits) {
        if (digits.size() > sizeof(std::int64_t)) return makeText(PickleKind::Bytes, digits);
        std::int64_t value = 0;
        if (!digits.empty()) {
            if ((static_cast<unsigned char>(digits.back()) & 0x80U) != 0) value = -1;
            std::memcpy(&value, digits.data(), digits.size());
        }
        return makeInt(value);
    }

    /// Protocol 0 writes text with \uXXXX and \\ for what is not Latin-1.
    Node* unicodeFrom(std::string_view text) {
        if (text.find('\\') == std::string_view::npos) return makeText(PickleKind::Text, text);
        std::string decoded;
        for (std::size_t i = 0; i < text.size(); ++i) {
            unsigned code = 0;
            if (text.substr(i, 2) == "\\u" && i + 6 <= text.size() &&
                std::from_chars(text.data() + i + 2, text.data() + i + 6, code, 16).ptr ==
                    text.data() + i + 6) {
                appendUtf8(decoded, code);
                i += 5;
            } else {
                decoded += text[i];
            }
        }
        return makeText(PickleKind::Text, tree_.decoded.emplace_back(std::move(decoded)));
    }
    static void appendUtf8(std::string& text, unsigned code) {
        if (code < 0x80) {
            text += static_cast<char>(code);
        } else if (code < 0x800) {
            text += static_cast<char>(0xC0U | (code >> 6U));
            text += static_cast<char>(0x80U | (code & 0x3FU));
        } else {
            text += static_cast<char>(0xE0U | (code >> 12U));
            text += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
            text += static_cast<char>(0x80U | (code & 0x3FU));
        }
    }
    /// Protocol 0 writes Python 2's strings in quotes.
    static std::string_view unquoted(std::string_view text) {
        if (text.size() < 2 || text.front() != text.back() ||
            (text.front() != '\'' && text.front() != '"'))
            throw Malformed("a text is damaged");
        return text.substr(1, text.size() - 2);
    }
    Node* intFrom(std::string_view text) {
        if (text == "00") return no_;
        if (text == "01") return yes_;
        if (text.ends_with('L')) text.remove_suffix(1);
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        // As in `longFrom`: beyond 64 bits a number loses its meaning.
        if (error == std::errc::result_out_of_range) return makeText(PickleKind::Bytes, text);
        if (error != std::errc() || end != text.data() + text.size())
            throw Malformed("a number is damaged");
        return makeInt(value);
    }
    void pushReal(double value) {
        Node* node = make(PickleKind::Float);
        node->real = value;
        push(node);
    }

    void step(Op op) {
        switch (op) {
        case Op::Proto:
            if (byte() > 5) throw Malformed("its protocol is unknown");
            return;
        case Op::Frame:
            number<std::uint64_t>();
            return;
        case Op::Stop:
            tree_.root = pop();
            return;

        case Op::Mark:
            if (marks_.size() >= maxStack)
                throw Malformed("its stack is deeper than any checkpoint's");
            marks_.push_back(stack_.size());
            return;
        case Op::Pop:
            if (!marks_.empty() && stack_.size() == marks_.back()) {
                marks_.pop_back();
            } else {
                pop();
            }
            return;
        case Op::PopMark:
            popToMark();
            return;
        case Op::Dup:
            push(top());
            return;

        case Op::Put:
            put(parsed<std::uint64_t>(line()));
            return;
        case Op::BinPut:
            put(byte());
            return;
        case Op::LongBinPut:
            put(number<std::uint32_t>());
            return;
        case Op::Memoize:
            put(memo_.size());
            return;
        case Op::Get:
            get(parsed<std::uint64_t>(line()));
            return;
        case Op::BinGet:
            get(byte());
            return;
        case Op::LongBinGet:
            get(number<std::uint32_t>());
            return;

        case Op::None:
            push(none_);
            return;
        case Op::NewTrue:
            push(yes_);
            return;
        case Op::NewFalse:
            push(no_);
            return;
        case Op::Int:
            push(intFrom(line()));
            return;
        case Op::Long:
            push(intFrom(line()));
            return;
        case Op::BinInt:
            push(makeInt(number<std::int32_t>()));
            return;
        case Op::BinInt1:
            push(makeInt(byte()));
            return;
        case Op::BinInt2:
            push(makeInt(number<std::uint16_t>()));
            return;
        case Op::Long1:
            push(longFrom(take(byte())));
            return;
        case Op::Long4:
            push(longFrom(take(number<std::uint32_t>())));
            return;
        case Op::Float:
            pushReal(parsed<double>(line()));
            return;
        case Op::BinFloat: // big endian, alone among the numbers
            pushReal(std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>())));
            return;

        case Op::String:
            push(makeText(PickleKind::Text, unquoted(line())));
            return;
        case Op::Unicode:
            push(unicodeFrom(line()));
            return;
        case Op::BinString:
        case Op::BinUnicode:
            push(makeText(PickleKind::Text, take(number<std::uint32_t>())));
            return;
        case Op::ShortBinString:
        case Op::ShortBinUnicode:
            push(makeText(PickleKind::Text, take(byte())));
            return;
        case Op::BinUnicode8:
            push(makeText(PickleKind::Text, take(number<std::uint64_t>())));
            return;
        case Op::BinBytes:
            push(makeText(PickleKind::Bytes, take(number<std::uint32_t>())));
            return;
        case Op::ShortBinBytes:
            push(makeText(PickleKind::Bytes, take(byte())));
            return;
        case Op::BinBytes8:
        case Op::ByteArray8:
            push(makeText(PickleKind::Bytes, take(number<std::uint64_t>())));
            return;

        case Op::EmptyTuple:
            pushTuple(std::size_t{0});
            return;
        case Op::Tuple1:
            pushTuple(std::size_t{1});
            return;
        case Op::Tuple2:
            pushTuple(std::size_t{2});
            return;
        case Op::Tuple3:
            pushTuple(std::size_t{3});
            return;
        case Op::Tuple:
            pushTuple(popToMark());
            return;
        case Op::EmptyList:
            push(make(PickleKind::List));
            return;
        case Op::EmptySet:
            push(make(PickleKind::Set));
            return;
        case Op::EmptyDict:
            push(make(PickleKind::Dict));
            return;
        case Op::List:
        case Op::FrozenSet: {
            std::vector<Node*> items = popToMark();
            Node* node = make(op == Op::List ? PickleKind::List : PickleKind::Set);
            node->items = std::move(items);
            push(node);
            return;
        }
        case Op::Dict: {
            const std::vector<Node*> items = popToMark();
            push(make(PickleKind::Dict));
            setItems(items);
            return;
        }
        case Op::Append: {
            Node* item = pop();
            append({item});
            return;
        }
        case Op::Appends:
        case Op::AddItems:
            append(popToMark());
            return;
        case Op::SetItem: {
            Node* value = pop();
            Node* key = pop();
            setItems({key, value});
            return;
        }
        case Op::SetItems:
            setItems(popToMark());
            return;

        case Op::Global: {
            const std::string_view module = line();
            push(makeGlobal(module, line()));
            return;
        }
        case Op::StackGlobal: {
            const Node* name = pop();
            const Node* module = pop();
            if (name->kind != PickleKind::Text || module->kind != PickleKind::Text)
                throw Malformed("a class has no name");
            push(makeGlobal(module->text, name->text));
            return;
        }
        case Op::Ext1:
            byte();
            return pushExtension();
        case Op::Ext2:
            number<std::uint16_t>();
            return pushExtension();
        case Op::Ext4:
            number<std::uint32_t>();
            return pushExtension();
        case Op::Reduce: {
            Node* arguments = pop();
            const Node* function = pop();
            push(reduce(function, arguments));
            return;
        }
        case Op::NewObj: {
            Node* arguments = pop();
            const Node* type = pop();
            // Calling a class or making its object without calling it is the same to a record.
            push(reduce(type, arguments));
            return;
        }
        case Op::NewObjEx: {
            pop();
            Node* arguments = pop();
            const Node* type = pop();
            push(reduce(type, arguments));
            return;
        }
        case Op::Inst: {
            const std::string_view module = line();
            const Node* type = makeGlobal(module, line());
            popToMark();
            push(makeRecord(type));
            return;
        }
        case Op::Obj: {
            const std::vector<Node*> items = popToMark();
            if (items.empty()) throw Malformed("an object has no class");
            push(makeRecord(items.front()));
            return;
        }
        case Op::Build:
            build();
            return;
        case Op::PersId:
            line();
            throw Malformed("it refers to something that is no storage");
        case Op::BinPersId: {
            const Node* id = pop();
            push(storageFrom(id));
            return;
        }
        }
        throw Malformed(
            fmt::format("it has the unknown instruction 0x{:02x}", static_cast<unsigned>(op)));
    }

    void pushExtension() { push(makeGlobal("copyreg", "extension")); }

    PickleTree tree_;
    std::string_view rest_;
    std::vector<Node*> stack_;
    std::vector<std::size_t> marks_; // heights of the stack
    std::unordered_map<std::uint64_t, Node*> memo_;
    std::set<std::string> foreign_;
    std::size_t copied_ = 0; // entries of dictionaries made from others
    Node* none_ = nullptr;
    Node* yes_ = nullptr;
    Node* no_ = nullptr;
};

} // namespace

Result<PickleTree> readPickle(std::string bytes) {
    try {
        return Machine(std::move(bytes)).run();
    } catch (const Malformed& error) {
        return fail(ErrorCode::Malformed, error.what());
    }
}

} // namespace loftscope
