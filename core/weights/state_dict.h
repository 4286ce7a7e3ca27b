// SPDX-License-Identifier: Apache-2.0
// Named tensors of a checkpoint, and a reader that hands them to a model and keeps account of what
// was missing, misshapen or never asked for.
#pragma once

#include "core/base/error.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Tensors by their full key, in key order; values are on the CPU in the file's own type.
using StateDict = std::map<std::string, at::Tensor, std::less<>>;

/// The same values as contiguous fp32 on the CPU; shares memory where nothing has to change.
at::Tensor asFloat(const at::Tensor& tensor);

/// What did not fit when a model took its parameters from a state dict.
struct WeightAccount {
    std::vector<std::string> missing;   ///< keys that the model needs and the file lacks
    std::vector<std::string> misshapen; ///< "key: has 384 x 384, needs 192 x 192"
    std::vector<std::string> surplus;   ///< keys of the file that the model never asked for
    bool complete() const { return missing.empty() && misshapen.empty(); }
};

/// Reads a model's parameters, one scope per sub-module, so that code mirrors the checkpoint's key
/// path:
///     weights["blocks"][i]["attn"]("qkv.weight", {3 * width, width})
/// Every tensor comes out as contiguous fp32 on the CPU. A missing or misshapen key yields zeros of
/// the wanted shape and is noted in the account; the caller checks the account once, at the end.
class WeightScope {
public:
    explicit WeightScope(const StateDict& state);

    WeightScope operator[](std::string_view name) const;
    WeightScope operator[](std::int64_t index) const;

    /// The parameter `name` of this scope; a -1 in `shape` accepts any extent there.
    at::Tensor operator()(std::string_view name, std::vector<std::int64_t> shape) const;
    /// The parameter if it is there (with the wanted shape), else nothing, and nothing is noted as
    /// missing.
    std::optional<at::Tensor> optional(std::string_view name,
                                       std::vector<std::int64_t> shape) const;
    bool has(std::string_view name) const;
    /// Marks a key as known though the model does not use it (e.g. `num_batches_tracked`,
    /// `mask_token`).
    void ignore(std::string_view name) const;
    /// Full key of `name` in this scope.
    std::string key(std::string_view name) const;

    /// Account over all scopes that stem from the same root, taken now.
    WeightAccount account() const;

private:
    struct Shared;
    WeightScope(std::shared_ptr<Shared> shared, std::string prefix);
    std::shared_ptr<Shared> shared_;
    std::string prefix_;
};

/// `Result` error that names what is missing or misshapen (the first few, and how many more), or
/// success. `what` is the model, e.g. "DINOv2 ViT-S/14".
Result<void> requireComplete(const WeightAccount& account, std::string_view what);

/// Removes wrappers around a state dict's keys that training frameworks leave: a prefix shared by
/// every key such as `module.` (DataParallel), `model.`, `state_dict.`, `_orig_mod.`; returns what
/// was removed, outermost first.
std::vector<std::string> stripCommonPrefixes(StateDict& state);

} // namespace loftscope
