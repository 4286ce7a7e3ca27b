// SPDX-License-Identifier: Apache-2.0
// A pickle machine that builds data and nothing else. Python's own calls whatever a file names;
// this one knows how PyTorch writes tensors, dictionaries and modules, and makes everything else an
// inert record.
#pragma once

#include "core/base/error.h"

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// A tensor as the pickle describes it: a view of a storage that lies elsewhere in the file. The
/// view has been checked against the storage's own count.
struct PickledTensor {
    std::string_view storage; ///< the storage's name in the archive
    at::ScalarType type = at::kFloat;
    std::int64_t storageCount = 0; ///< elements of the storage, to be checked against its bytes
    std::int64_t offset = 0;       ///< in elements
    std::vector<std::int64_t> sizes;
    std::vector<std::int64_t> strides;
};

enum class PickleKind {
    None,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Tuple,
    List,
    Set,
    Dict,
    Global,  ///< a class or function that is only named
    Storage, ///< the storage of a tensor, not seen outside of one in practice
    Tensor,
    Record, ///< an object that was not made: its class, items and state
};

/// One object of a pickle. Objects may contain each other in circles.
struct PickleNode {
    PickleKind kind = PickleKind::None;
    std::int64_t integer = 0; ///< Bool, Int
    double real = 0;
    std::string_view text; ///< Text, Bytes; Global, Record: the module
    std::string_view name; ///< Global, Record: the class
    std::vector<PickleNode*>
        items;                   ///< Tuple, List, Set; Dict and Record: key, value, key, value, ...
    PickleNode* state = nullptr; ///< Record: what its attributes would become, if given
    std::unique_ptr<PickledTensor> tensor; ///< Storage, Tensor

    bool isText(std::string_view wanted) const {
        return kind == PickleKind::Text && text == wanted;
    }
};

/// A whole pickle. Owns every node and the text that they point to.
struct PickleTree {
    std::unique_ptr<std::string> bytes;
    std::deque<std::string> decoded; ///< texts that were written with escapes
    std::deque<PickleNode> nodes;
    PickleNode* root = nullptr;
    std::vector<std::string> foreign; ///< classes that are not known here: sorted, each once
    bool torchScript = false;         ///< it has objects of compiled classes
};

/// Runs the pickle in `bytes`. Errors: Malformed, for anything that Python would refuse and for
/// what no checkpoint has (too many objects, views outside of their storage).
Result<PickleTree> readPickle(std::string bytes);

} // namespace loftscope
