// SPDX-License-Identifier: Apache-2.0
#include "core/weights/pth.h"

#include "core/weights/pickle.h"
#include "core/weights/zip_archive.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace loftscope {

namespace {

constexpr std::uint64_t largestPickle = std::uint64_t{64} << 20U;
constexpr int deepestNesting = 64;
constexpr std::size_t longestName = 1024;
constexpr std::size_t mostNamed = 1'000'000;
constexpr std::size_t mostNameBytes = std::size_t{64} << 20U;

/// Tensors by name, as described; the values are read later, for the chosen ones only.
using Described = std::map<std::string, const PickledTensor*>;

/// What names may cost together. Objects can be named on many paths, so that a small file can spell
/// out endlessly many and long ones.
class NameBudget {
public:
    /// False when it is used up.
    bool spend(std::size_t length) {
        ++count_;
        bytes_ += length;
        return count_ <= mostNamed && bytes_ <= mostNameBytes;
    }

private:
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
};

std::unexpected<Error> endless() {
    return fail(ErrorCode::Malformed, "its objects contain each other without end");
}

/// Calls `visit(name, value)` for every attribute under a text key of sensible length.
template <typename Visit>
void forEachText(const PickleNode& node, Visit&& visit) {
    for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
        const PickleNode& key = *node.items[i];
        if (key.kind == PickleKind::Text && key.text.size() <= longestName)
            visit(key.text, *node.items[i + 1]);
    }
}

/// What a record carries: its own entries if it is a kind of dictionary, else its attributes.
const PickleNode& contents(const PickleNode& node) {
    const bool hasState = node.kind == PickleKind::Record && node.state != nullptr &&
                          node.state->kind == PickleKind::Dict;
    return hasState ? *node.state : node;
}

const PickleNode* attribute(const PickleNode& node, std::string_view name) {
    const PickleNode* found = nullptr;
    forEachText(node, [&](std::string_view key, const PickleNode& value) {
        if (key == name) found = &value;
    });
    return found;
}

/// Collects the parameters and buffers of a module object, as its `state_dict()` would name them.
class ModuleWalk {
public:
    Result<Described> collect(const PickleNode& module) {
        if (!walk(module, "", 0)) return endless();
        return std::move(tensors_);
    }

private:
    bool walk(const PickleNode& module, const std::string& prefix, int depth) {
        // Circles end at the depth, and what branches without end at the budget.
        if (depth > deepestNesting) return false;
        const PickleNode& attributes = contents(module);
        bool ended = true; // within the limits
        const auto take = [&](std::string_view name, const PickleNode& value) {
            ended = ended && budget_.spend(prefix.size() + name.size());
            if (!ended) return;
            if (value.kind == PickleKind::Tensor) {
                tensors_[prefix + std::string(name)] = value.tensor.get();
            } else if (value.kind == PickleKind::Record) {
                ended = walk(value, fmt::format("{}{}.", prefix, name), depth + 1);
            }
        };
        // Python's modules keep them in three dictionaries, compiled ones as plain attributes.
        const PickleNode* parameters = attribute(attributes, "_parameters");
        if (parameters == nullptr) {
            forEachText(attributes, take);
            return ended;
        }
        for (const std::string_view part : {"_parameters", "_buffers", "_modules"}) {
            if (const PickleNode* found = attribute(attributes, part)) forEachText(*found, take);
        }
        return ended;
    }

    Described tensors_;
    NameBudget budget_;
};

bool isPythonModule(const PickleNode& node) {
    return node.kind == PickleKind::Record && attribute(contents(node), "_parameters") != nullptr &&
           attribute(contents(node), "_modules") != nullptr;
}

/// What training frameworks keep beside the weights.
bool isBookkeeping(std::string_view key) {
    static constexpr std::array<std::string_view, 4> beginnings{"optimizer", "lr_schedul",
                                                                "callbacks", "loops"};
    return std::any_of(beginnings.begin(), beginnings.end(),
                       [key](std::string_view beginning) { return key.starts_with(beginning); });
}

/// A dictionary of tensors (or a module) somewhere in the file.
struct Candidate {
    std::string path; ///< keys that lead to it, joined by dots; empty for the file's own
    Described tensors;
};

/// Lower is preferred among dictionaries with equally many tensors.
std::size_t rankOf(std::string_view path) {
    static constexpr std::array<std::string_view, 9> order{
        "",        "state_dict", "model", "model_state_dict", "ema", "model_ema",
        "teacher", "student",    "net"};
    const std::string_view last = path.substr(path.rfind('.') + 1);
    return static_cast<std::size_t>(std::find(order.begin(), order.end(), last) - order.begin());
}

class CandidateSearch {
public:
    Result<std::vector<Candidate>> search(const PickleNode& root) {
        if (const Result<void> done = visit(root, "", 0); !done)
            return std::unexpected(done.error());
        std::stable_sort(found_.begin(), found_.end(), [](const Candidate& a, const Candidate& b) {
            if (a.tensors.size() != b.tensors.size()) return a.tensors.size() > b.tensors.size();
            return rankOf(a.path) < rankOf(b.path);
        });
        return std::move(found_);
    }

private:
    Result<void> visit(const PickleNode& node, const std::string& path, int depth) {
        if (depth > deepestNesting || !seen_.insert(&node).second) return {};
        if (!budget_.spend(path.size())) return endless();
        if (node.kind == PickleKind::Tensor && depth == 0) {
            found_.push_back({path, {{"", node.tensor.get()}}});
            return {};
        }
        if (isPythonModule(node)) {
            LOFTSCOPE_TRY(Described tensors, ModuleWalk().collect(node));
            if (!tensors.empty()) found_.push_back({path, std::move(tensors)});
            return {};
        }
        if (node.kind == PickleKind::List || node.kind == PickleKind::Tuple)
            return visitItems(node, path, depth);
        if (node.kind != PickleKind::Dict && node.kind != PickleKind::Record) return {};

        Candidate own{path, {}};
        Result<void> result;
        forEachText(contents(node), [&](std::string_view key, const PickleNode& value) {
            if (value.kind == PickleKind::Tensor) {
                own.tensors[std::string(key)] = value.tensor.get();
            } else if (result && !isBookkeeping(key)) {
                result =
                    visit(value, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key),
                          depth + 1);
            }
        });
        if (!own.tensors.empty()) found_.push_back(std::move(own));
        return result;
    }

    /// A list's tensors are named by their places.
    Result<void> visitItems(const PickleNode& list, const std::string& path, int depth) {
        Candidate own{path, {}};
        for (std::size_t i = 0; i < list.items.size(); ++i) {
            if (list.items[i]->kind == PickleKind::Tensor) {
                own.tensors[std::to_string(i)] = list.items[i]->tensor.get();
            } else {
                LOFTSCOPE_CHECK(visit(
                    *list.items[i],
                    path.empty() ? std::to_string(i) : fmt::format("{}.{}", path, i), depth + 1));
            }
        }
        if (!own.tensors.empty()) found_.push_back(std::move(own));
        return {};
    }

    std::vector<Candidate> found_;
    std::unordered_set<const PickleNode*> seen_;
    NameBudget budget_;
};

std::string choiceWarning(const std::vector<Candidate>& candidates) {
    const auto describe = [](const Candidate& candidate) {
        constexpr std::size_t longest = 60;
        return fmt::format("'{}' ({} tensor{})",
                           candidate.path.empty() ? "(top)" : candidate.path.substr(0, longest),
                           candidate.tensors.size(), candidate.tensors.size() == 1 ? "" : "s");
    };
    constexpr std::size_t shown = 4;
    std::vector<std::string> others;
    for (std::size_t i = 1; i < candidates.size() && i <= shown; ++i)
        others.push_back(describe(candidates[i]));
    if (candidates.size() > shown + 1)
        others.push_back(fmt::format("{} more", candidates.size() - shown - 1));
    return fmt::format("The file holds several sets of tensors: {} was taken, {} left out.",
                       describe(candidates.front()), fmt::join(others, ", "));
}

std::string foreignWarning(const std::vector<std::string>& foreign) {
    constexpr std::size_t shown = 8;
    constexpr std::size_t longest = 80;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < foreign.size() && i < shown; ++i)
        names.push_back(foreign[i].substr(0, longest));
    if (foreign.size() > shown) names.push_back(fmt::format("{} more", foreign.size() - shown));
    return fmt::format("Objects of these kinds were left inert, nothing of them was run: {}.",
                       fmt::join(names, ", "));
}

/// Reads storages, each once, and cuts tensors from them.
class StorageReader {
public:
    StorageReader(const ZipArchive& archive, std::string folder)
        : archive_(archive)
        , folder_(std::move(folder)) {}

    Result<at::Tensor> read(const std::string& name, const PickledTensor& described) {
        const auto failed = [&name](ErrorCode code, std::string_view reason) {
            return fail(code, fmt::format("of the tensor '{}', {}", name, reason));
        };
        const std::string entry = fmt::format("{}data/{}", folder_, described.storage);
        const auto size = archive_.entries().find(entry);
        if (size == archive_.entries().end())
            return failed(ErrorCode::Malformed, fmt::format("the entry '{}' is missing", entry));
        const std::uint64_t itemSize = c10::elementSize(described.type);
        std::uint64_t claimed = 0;
        if (__builtin_mul_overflow(static_cast<std::uint64_t>(described.storageCount), itemSize,
                                   &claimed) ||
            claimed > size->second || size->second - claimed >= itemSize) {
            return failed(ErrorCode::Malformed,
                          fmt::format("the entry '{}' has {} bytes, which is not what its {} "
                                      "elements need",
                                      entry, size->second, described.storageCount));
        }
        LOFTSCOPE_TRY(const at::Tensor bytes, storage(entry, size->second));
        if (described.type == at::kBool) {
            // Bytes other than 0 and 1 would be undefined.
            at::Tensor& bools = bools_[entry];
            if (!bools.defined()) bools = bytes.ne(0);
            return bools.as_strided(described.sizes, described.strides, described.offset);
        }
        if (claimed == 0) return at::empty(described.sizes, at::TensorOptions(described.type));
        return bytes.narrow(0, 0, static_cast<std::int64_t>(claimed))
            .view(described.type)
            .as_strided(described.sizes, described.strides, described.offset);
    }

private:
    Result<at::Tensor> storage(const std::string& entry, std::uint64_t size) {
        if (const auto known = storages_.find(entry); known != storages_.end())
            return known->second;
        at::Tensor bytes =
            at::empty({static_cast<std::int64_t>(size)}, at::TensorOptions(at::kByte));
        LOFTSCOPE_CHECK(archive_.read(entry, {reinterpret_cast<std::byte*>(bytes.data_ptr()),
                                              static_cast<std::size_t>(size)}));
        return storages_.emplace(entry, std::move(bytes)).first->second;
    }

    const ZipArchive& archive_;
    std::string folder_;
    std::map<std::string, at::Tensor> storages_; // as bytes, by entry
    std::map<std::string, at::Tensor> bools_;
};

/// The folder that PyTorch puts everything into, with its slash.
Result<std::string> folderOf(const ZipArchive& archive) {
    constexpr std::string_view pickleName = "data.pkl";
    std::optional<std::string> folder;
    for (const auto& [name, size] : archive.entries()) {
        if (!name.ends_with(pickleName)) continue;
        std::string before = name.substr(0, name.size() - pickleName.size());
        const bool atTop = before.empty() || before.find('/') == before.size() - 1;
        if (!atTop) continue;
        if (folder) return fail(ErrorCode::Malformed, "it has two data.pkl");
        folder = std::move(before);
    }
    if (folder) return *std::move(folder);
    const bool numpy = std::any_of(archive.entries().begin(), archive.entries().end(),
                                   [](const auto& entry) { return entry.first.ends_with(".npy"); });
    return fail(ErrorCode::Unsupported,
                numpy ? "it is a NumPy archive; save single arrays as .npy"
                      : "it is a zip archive without data.pkl; give a file made by torch.save");
}

Result<void> checkByteOrder(const ZipArchive& archive, const std::string& folder) {
    const std::string name = folder + "byteorder";
    if (!archive.entries().contains(name)) return {}; // older than PyTorch 2.1: always little
    LOFTSCOPE_TRY(const std::string order, archive.readText(name, 64));
    if (order == "little") return {};
    return fail(ErrorCode::Unsupported,
                "its numbers are big-endian; save it again on a little-endian machine");
}

Result<Described> chooseTensors(const PickleTree& tree, TensorFile& file) {
    if (tree.torchScript) {
        file.format = TensorFormat::TorchScript;
        return ModuleWalk().collect(*tree.root);
    }
    file.format = TensorFormat::TorchZip;
    LOFTSCOPE_TRY(std::vector<Candidate> candidates, CandidateSearch().search(*tree.root));
    if (candidates.empty()) return Described{};
    if (candidates.size() > 1) file.warnings.push_back(choiceWarning(candidates));
    return std::move(candidates.front().tensors);
}

Result<void> readPthChecked(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file) {
    LOFTSCOPE_TRY(const ZipArchive archive, ZipArchive::open(mapped));
    LOFTSCOPE_TRY(const std::string folder, folderOf(archive));
    LOFTSCOPE_CHECK(checkByteOrder(archive, folder));
    LOFTSCOPE_TRY(std::string pickle, archive.readText(folder + "data.pkl", largestPickle));
    LOFTSCOPE_TRY(const PickleTree tree, readPickle(std::move(pickle)));
    if (!tree.foreign.empty()) file.warnings.push_back(foreignWarning(tree.foreign));

    LOFTSCOPE_TRY(const Described described, chooseTensors(tree, file));
    if (described.empty())
        return fail(ErrorCode::NotFound, "it holds no tensors; give a checkpoint with weights");
    StorageReader storages(archive, folder);
    for (const auto& [name, tensor] : described) {
        LOFTSCOPE_TRY(file.tensors[name], storages.read(name, *tensor));
    }
    for (const std::string& prefix : stripCommonPrefixes(file.tensors))
        file.warnings.push_back(fmt::format("The prefix '{}' was removed from every key.", prefix));
    return {};
}

} // namespace

Result<void> readPth(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file) {
    const Result<void> read = readPthChecked(mapped, file);
    if (read) return {};
    return fail(read.error().code, fmt::format("'{}' is not a readable PyTorch file: {}.",
                                               file.path.string(), read.error().message));
}

} // namespace loftscope
