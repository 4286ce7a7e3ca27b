// SPDX-License-Identifier: Apache-2.0
// LoftUp checkpoints: as published, as Lightning stores them, and without their channel norm.
#include "core/weights/key_rules.h"
#include "core/weights/recognise.h"
#include "core/weights/recognise_families.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace loftscope {

namespace {

constexpr std::int64_t colorsAndCoordinates = 5; // row, column, R, G, B
constexpr std::int64_t coordinates = 2;

/// Shape of a tensor of the file; empty if it is not there.
std::vector<std::int64_t> shapeOf(const StateDict& state, const std::string& key) {
    const auto found = state.find(key);
    return found == state.end() ? std::vector<std::int64_t>{} : found->second.sizes().vec();
}

std::optional<std::string> upsamplerPrefix(const StateDict& state) {
    constexpr std::string_view anchor = "ca_transformer.layers.0.0.attention.in_proj_weight";
    for (const auto& [key, tensor] : state) {
        if (!key.ends_with(anchor)) continue;
        const std::string prefix = key.substr(0, key.size() - anchor.size());
        if (prefix.empty() || prefix.ends_with('.')) return prefix;
    }
    return std::nullopt;
}

std::int64_t countBlocks(const StateDict& state, const std::string& prefix) {
    const std::string start = prefix + "ca_transformer.layers.";
    std::int64_t depth = 0;
    for (const auto& [key, tensor] : state) {
        if (!key.starts_with(start)) continue;
        std::int64_t index = -1;
        std::from_chars(key.data() + start.size(), key.data() + key.size(), index);
        constexpr std::int64_t mostBlocks = 256;
        if (index >= depth && index < mostBlocks) depth = index + 1;
    }
    return depth;
}

/// The channel norm lies beside the upsampler, or second in Lightning's sequence of backbone and
/// norm.
std::optional<std::string> channelNormPrefix(const StateDict& state, std::string_view upsampler) {
    constexpr std::string_view module = "upsampler.";
    std::string parent(upsampler);
    if (upsampler.ends_with(module)) parent.resize(parent.size() - module.size());
    for (const std::string_view name : {"channelnorm.norm.", "model.1.norm."}) {
        std::string prefix = parent + std::string(name);
        if (state.contains(prefix + "weight") || state.contains(prefix + "bias")) return prefix;
    }
    return std::nullopt;
}

std::vector<KeyRule> rulesFor(const LoftUpSpec& spec) {
    std::vector<KeyRule> rules;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape,
                         bool required = true) {
        rules.push_back(
            {"upsampler." + name, {{spec.upsamplerPrefix + name}}, std::move(shape), required});
    };
    const auto addNorm = [&](const std::string& module, std::int64_t channels) {
        add(module + ".weight", {channels});
        add(module + ".bias", {channels});
    };
    const auto addBatchNorm = [&](const std::string& module, std::int64_t channels) {
        addNorm(module, channels);
        add(module + ".running_mean", {channels});
        add(module + ".running_var", {channels});
        add(module + ".num_batches_tracked", {}, false);
    };
    const auto addConvolution = [&](const std::string& module, std::int64_t out, std::int64_t in,
                                    std::int64_t kernel) {
        add(module + ".weight", {out, in, kernel, kernel});
        add(module + ".bias", {out});
    };

    const std::int64_t c = spec.channels;
    const std::int64_t d = spec.dim;
    const std::int64_t coded = 2 * colorsAndCoordinates * spec.frequencies + 3;
    if (spec.hasChannelNorm) {
        for (const char* name : {"weight", "bias"})
            rules.push_back({std::string("channelnorm.norm.") + name,
                             {{spec.channelNormPrefix + name}},
                             {c},
                             true});
    }
    if (spec.lrPositions == LrPositions::Sine) {
        add("lr_pe.biases", {2, coordinates, spec.lrFrequencies});
    } else {
        add("lr_pe", {1, d - c, spec.lrGrid.height, spec.lrGrid.width});
    }
    add("fourier_feat.1.biases", {2, colorsAndCoordinates, spec.frequencies});
    add("hidden_coordinates", {1}, false);
    addNorm("first_conv.0.norm", coded);
    addConvolution("first_conv.1", d, coded, 3);
    addBatchNorm("first_conv.2", d);
    addConvolution("first_conv.4", d, d, 3);
    addBatchNorm("first_conv.5", d);
    for (std::int64_t i = 0; i < spec.depth; ++i) {
        const std::string layer = fmt::format("ca_transformer.layers.{}.", i);
        addNorm(layer + "0.norm_q", d);
        addNorm(layer + "0.norm_kv", d);
        add(layer + "0.attention.in_proj_weight", {3 * d, d});
        add(layer + "0.attention.in_proj_bias", {3 * d});
        add(layer + "0.attention.out_proj.weight", {d, d});
        add(layer + "0.attention.out_proj.bias", {d});
        addNorm(layer + "1.net.0", d);
        add(layer + "1.net.1.weight", {spec.hidden, d});
        add(layer + "1.net.1.bias", {spec.hidden});
        add(layer + "1.net.4.weight", {d, spec.hidden});
        add(layer + "1.net.4.bias", {d});
    }
    addNorm("ca_transformer.norm", d);
    addConvolution("final_conv.0", c, d, 1);
    addNorm("final_conv.1", c);
    return rules;
}

} // namespace

std::string_view nameOf(LrPositions positions) {
    switch (positions) {
    case LrPositions::Sine:
        return "sine";
    case LrPositions::Learnable:
        return "learnable";
    }
    return "unknown";
}

bool looksLikeLoftUp(const StateDict& state) {
    return upsamplerPrefix(state).has_value();
}

Result<LoftUpSpec> recogniseLoftUp(const StateDict& state) {
    const auto incomplete = [](std::string_view reason) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("This looks like a LoftUp upsampler, but {}.", reason));
    };
    const std::optional<std::string> prefix = upsamplerPrefix(state);
    if (!prefix) return std::unexpected(unknownModelError(closestFamily(state)));

    LoftUpSpec spec;
    spec.upsamplerPrefix = *prefix;
    const auto output = shapeOf(state, *prefix + "final_conv.0.weight");
    if (output.size() != 4) return incomplete("it has no final_conv.0.weight of four dimensions");
    spec.channels = output[0];
    spec.dim = output[1];
    if (spec.channels < 1 || spec.dim % spec.heads != 0) {
        return incomplete(
            fmt::format("its width {} does not divide into {} heads", spec.dim, spec.heads));
    }
    spec.depth = countBlocks(state, *prefix);

    if (const auto sine = shapeOf(state, *prefix + "lr_pe.biases"); sine.size() == 3) {
        spec.lrFrequencies = sine[2];
        if (spec.dim != spec.channels + 2 * coordinates * spec.lrFrequencies) {
            return incomplete(fmt::format("its width {} is not that of {} channels and {} position "
                                          "channels",
                                          spec.dim, spec.channels,
                                          2 * coordinates * spec.lrFrequencies));
        }
    } else if (const auto table = shapeOf(state, *prefix + "lr_pe"); table.size() == 4) {
        spec.lrPositions = LrPositions::Learnable;
        spec.lrGrid = {table[2], table[3]};
    } else {
        return incomplete("it has no position code `lr_pe` of a kind that is known here");
    }
    const auto phases = shapeOf(state, *prefix + "fourier_feat.1.biases");
    if (phases.size() != 3 || phases[1] != colorsAndCoordinates)
        return incomplete("it has no fourier_feat.1.biases for colour and coordinates");
    spec.frequencies = phases[2];
    spec.hiddenCoordinates = state.contains(*prefix + "hidden_coordinates");

    const auto inner = shapeOf(state, *prefix + "ca_transformer.layers.0.1.net.1.weight");
    spec.hidden = inner.size() == 2 ? inner[0] : spec.channels;
    const std::optional<std::string> norm = channelNormPrefix(state, *prefix);
    spec.hasChannelNorm = norm.has_value();
    spec.channelNormPrefix = norm.value_or("");
    spec.name = fmt::format("LoftUp for {} channels", spec.channels);
    return spec;
}

StateDict canonicalLoftUpState(const StateDict& state, const LoftUpSpec& spec) {
    return applyRules(state, rulesFor(spec));
}

WeightAccount accountOf(const StateDict& state, const LoftUpSpec& spec) {
    return accountOf(state, rulesFor(spec));
}

std::vector<std::string> warningsAbout(const LoftUpSpec& spec) {
    std::vector<std::string> warnings;
    if (!spec.hasChannelNorm) {
        warnings.emplace_back(
            "This LoftUp file has no channel norm (as a model.safetensors pushed without it): the "
            "result may differ from the published model's; prefer its pytorch_model.bin.");
    }
    return warnings;
}

} // namespace loftscope
