// SPDX-License-Identifier: Apache-2.0
#include "core/weights/key_rules.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace loftscope {

const Sources& sourcesIn(const StateDict& state, const std::vector<Sources>& alternatives) {
    const auto used =
        std::find_if(alternatives.begin(), alternatives.end(), [&](const Sources& sources) {
            return std::any_of(sources.begin(), sources.end(),
                               [&](const std::string& key) { return state.contains(key); });
        });
    return used == alternatives.end() ? alternatives.front() : *used;
}

std::vector<std::int64_t> stackedShape(const StateDict& state, const Sources& sources) {
    std::vector<std::int64_t> shape;
    for (const std::string& key : sources) {
        const auto found = state.find(key);
        if (found == state.end()) return {};
        const std::vector<std::int64_t> part = found->second.sizes().vec();
        if (sources.size() == 1) return part;
        if (part.empty()) return {};
        if (shape.empty()) {
            shape = part;
        } else if (std::equal(shape.begin() + 1, shape.end(), part.begin() + 1, part.end())) {
            shape[0] += part[0];
        } else {
            return {};
        }
    }
    return shape;
}

StateDict applyRules(const StateDict& state, const std::vector<KeyRule>& rules) {
    StateDict canonical;
    std::set<std::string_view> used;
    for (const KeyRule& rule : rules) {
        const Sources& sources = sourcesIn(state, rule.alternatives);
        if (sources.size() == 1) {
            const auto found = state.find(sources.front());
            if (found == state.end()) continue;
            canonical[rule.canonical] = found->second;
        } else {
            if (stackedShape(state, sources).empty()) continue;
            std::vector<at::Tensor> parts;
            for (const std::string& key : sources)
                parts.push_back(state.find(key)->second);
            canonical[rule.canonical] = at::cat(parts, 0);
        }
        used.insert(sources.begin(), sources.end());
    }
    for (const auto& [key, tensor] : state) {
        if (!used.contains(key)) canonical.emplace(key, tensor);
    }
    return canonical;
}

WeightAccount accountOf(const StateDict& state, const std::vector<KeyRule>& rules) {
    WeightAccount account;
    std::set<std::string_view> known;
    for (const KeyRule& rule : rules) {
        const Sources& sources = sourcesIn(state, rule.alternatives);
        bool complete = true;
        for (const std::string& key : sources) {
            if (state.contains(key)) {
                known.insert(key);
            } else {
                complete = false;
                if (rule.required) account.missing.push_back(key);
            }
        }
        if (!complete) continue;
        const std::vector<std::int64_t> shape = stackedShape(state, sources);
        const bool fits = std::equal(
            shape.begin(), shape.end(), rule.shape.begin(), rule.shape.end(),
            [](std::int64_t has, std::int64_t wanted) { return wanted < 0 || has == wanted; });
        if (!fits) {
            account.misshapen.push_back(
                fmt::format("{}: has {}, needs {}", fmt::join(sources, " + "),
                            fmt::join(shape, " x "), fmt::join(rule.shape, " x ")));
        }
    }
    for (const auto& [key, tensor] : state) {
        if (!known.contains(key)) account.surplus.push_back(key);
    }
    return account;
}

std::optional<std::string> unknownInBlocks(const StateDict& state,
                                           const std::vector<KeyRule>& rules) {
    std::vector<std::string> blocks; // paths in the file, with a dot at the end
    for (const KeyRule& rule : rules) {
        constexpr std::string_view start = "blocks.";
        if (!rule.canonical.starts_with(start) || !rule.canonical.ends_with(".norm1.weight"))
            continue;
        const std::size_t dot = rule.canonical.find('.', start.size());
        const std::string number = fmt::format(
            ".{}.", std::string_view(rule.canonical).substr(start.size(), dot - start.size()));
        const std::string& key = sourcesIn(state, rule.alternatives).front();
        if (const auto at = key.rfind(number); at != std::string::npos)
            blocks.push_back(key.substr(0, at + number.size()));
    }
    for (std::string& key : accountOf(state, rules).surplus) {
        const bool inside = std::ranges::any_of(
            blocks, [&](const std::string& block) { return key.starts_with(block); });
        if (inside) return std::move(key);
    }
    return std::nullopt;
}

} // namespace loftscope
