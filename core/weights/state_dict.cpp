// SPDX-License-Identifier: Apache-2.0
#include "core/weights/state_dict.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace loftscope {

namespace {

constexpr std::size_t namedInMessages = 3;

std::string describeShape(const std::vector<std::int64_t>& shape) {
    if (shape.empty()) return "one value";
    std::string text;
    for (const std::int64_t extent : shape) {
        if (!text.empty()) text += " x ";
        text += extent < 0 ? std::string("any") : std::to_string(extent);
    }
    return text;
}

bool fits(const at::Tensor& tensor, const std::vector<std::int64_t>& wanted) {
    return std::equal(wanted.begin(), wanted.end(), tensor.sizes().begin(), tensor.sizes().end(),
                      [](std::int64_t want, std::int64_t has) { return want < 0 || want == has; });
}

std::string firstFew(const std::vector<std::string>& names) {
    const std::size_t shown = std::min(names.size(), namedInMessages);
    std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
    if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
    return text;
}

} // namespace

at::Tensor asFloat(const at::Tensor& tensor) {
    return tensor.to(at::kCPU, at::kFloat).contiguous();
}

/// What all scopes of one root know together.
struct WeightScope::Shared {
    StateDict state; // the tensors themselves are shared with the caller's
    std::set<std::string, std::less<>> asked;
    std::set<std::string, std::less<>> missing;
    std::map<std::string, std::string, std::less<>> misshapen;
};

WeightScope::WeightScope(const StateDict& state)
    : shared_(std::make_shared<Shared>()) {
    shared_->state = state;
}

WeightScope::WeightScope(std::shared_ptr<Shared> shared, std::string prefix)
    : shared_(std::move(shared))
    , prefix_(std::move(prefix)) {}

WeightScope WeightScope::operator[](std::string_view name) const {
    return {shared_, key(name) + "."};
}

WeightScope WeightScope::operator[](std::int64_t index) const {
    return (*this)[std::string_view(std::to_string(index))];
}

std::string WeightScope::key(std::string_view name) const {
    return prefix_ + std::string(name);
}

bool WeightScope::has(std::string_view name) const {
    return shared_->state.contains(key(name));
}

void WeightScope::ignore(std::string_view name) const {
    shared_->asked.insert(key(name));
}

std::optional<at::Tensor> WeightScope::optional(std::string_view name,
                                                std::vector<std::int64_t> shape) const {
    const std::string full = key(name);
    shared_->asked.insert(full);
    const auto found = shared_->state.find(full);
    if (found == shared_->state.end()) return std::nullopt;
    if (!fits(found->second, shape)) {
        shared_->misshapen[full] =
            fmt::format("{}: has {}, needs {}", full, describeShape(found->second.sizes().vec()),
                        describeShape(shape));
        return std::nullopt;
    }
    return asFloat(found->second);
}

at::Tensor WeightScope::operator()(std::string_view name, std::vector<std::int64_t> shape) const {
    if (std::optional<at::Tensor> found = optional(name, shape)) return *std::move(found);
    if (!has(name)) shared_->missing.insert(key(name));
    for (std::int64_t& extent : shape)
        extent = std::max<std::int64_t>(extent, extent < 0 ? 1 : 0);
    return at::zeros(shape, at::kFloat);
}

WeightAccount WeightScope::account() const {
    WeightAccount account;
    account.missing.assign(shared_->missing.begin(), shared_->missing.end());
    for (const auto& [name, sentence] : shared_->misshapen)
        account.misshapen.push_back(sentence);
    for (const auto& [name, tensor] : shared_->state) {
        if (!shared_->asked.contains(name)) account.surplus.push_back(name);
    }
    return account;
}

Result<void> requireComplete(const WeightAccount& account, std::string_view what) {
    if (account.complete()) return {};
    std::vector<std::string> parts;
    if (!account.missing.empty())
        parts.push_back(fmt::format("lack {}", firstFew(account.missing)));
    if (!account.misshapen.empty())
        parts.push_back(fmt::format("do not fit at {}", firstFew(account.misshapen)));
    return fail(ErrorCode::Mismatch,
                fmt::format("The weights for {} {}; `loftscope inspect` lists every key.", what,
                            fmt::join(parts, " and ")));
}

std::vector<std::string> stripCommonPrefixes(StateDict& state) {
    static constexpr std::array<std::string_view, 5> wrappers{"module.", "_orig_mod.", "model.",
                                                              "state_dict.", "net."};
    std::vector<std::string> removed;
    const auto sharedByAll = [&state](std::string_view prefix) {
        return !state.empty() && std::all_of(state.begin(), state.end(), [&](const auto& entry) {
            return entry.first.size() > prefix.size() && entry.first.starts_with(prefix);
        });
    };
    for (;;) {
        const auto wrapper = std::find_if(wrappers.begin(), wrappers.end(), sharedByAll);
        if (wrapper == wrappers.end()) return removed;
        StateDict shorter;
        for (auto& [name, tensor] : state)
            shorter.emplace_hint(shorter.end(), name.substr(wrapper->size()), std::move(tensor));
        state = std::move(shorter);
        removed.emplace_back(*wrapper);
    }
}

} // namespace loftscope
