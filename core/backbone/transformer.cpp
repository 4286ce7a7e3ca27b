// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/transformer.h"

#include "core/base/guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

namespace loftscope {

namespace {

at::Tensor scaled(const at::Tensor& x, const at::Tensor& gamma) {
    return gamma.defined() ? x * gamma : x;
}

} // namespace

at::Tensor activated(Activation activation, const at::Tensor& x) {
    switch (activation) {
    case Activation::Gelu:
        return at::gelu(x);
    case Activation::GeluTanh:
        return at::gelu(x, "tanh");
    case Activation::QuickGelu:
        return x * at::sigmoid(x * 1.702);
    }
    return x;
}

std::string_view nameOf(Activation activation) {
    switch (activation) {
    case Activation::Gelu:
        return "GELU";
    case Activation::GeluTanh:
        return "GELU (tanh)";
    case Activation::QuickGelu:
        return "QuickGELU";
    }
    return "unknown";
}

std::vector<TransformerBlock> readTransformerBlocks(const WeightScope& root, std::int64_t depth,
                                                    const VitBlockShape& shape, double eps,
                                                    c10::Device device) {
    const std::int64_t width = shape.width;
    std::vector<TransformerBlock> blocks;
    for (std::int64_t i = 0; i < depth; ++i) {
        const WeightScope scope = root["blocks"][i];
        const WeightScope mlp = scope["mlp"];
        const auto layerScale = [&](std::string_view name) {
            return shape.layerScale ? scope[name]("gamma", {width}).to(device) : at::Tensor();
        };
        blocks.push_back(
            {.norm1 = readLayerNorm(scope["norm1"], width, eps, device),
             .qkv = readLinear(scope["attn"]["qkv"], 3 * width, width, device, shape.qkvBias),
             .proj = readLinear(scope["attn"]["proj"], width, width, device),
             .ls1 = layerScale("ls1"),
             .norm2 = readLayerNorm(scope["norm2"], width, eps, device),
             .expand = shape.swiglu ? readLinear(mlp["w12"], 2 * shape.hidden, width, device)
                                    : readLinear(mlp["fc1"], shape.hidden, width, device),
             .contract = readLinear(mlp[shape.swiglu ? "w3" : "fc2"], width, shape.hidden, device),
             .swiglu = shape.swiglu,
             .ls2 = layerScale("ls2")});
    }
    return blocks;
}

Result<std::unique_ptr<Backbone>> buildTransformer(
    const StateDict& state, const std::vector<KeyRule>& rules, const std::string& name,
    std::int64_t depth, const VitBlockShape& shape, double eps, c10::Device device,
    const std::function<std::unique_ptr<Backbone>(const WeightScope& root,
                                                  std::vector<TransformerBlock> blocks)>& make) {
    return guarded("reading the backbone's weights", [&]() -> Result<std::unique_ptr<Backbone>> {
        if (const auto key = unknownInBlocks(state, rules)) {
            return fail(ErrorCode::Unsupported,
                        fmt::format("This looks like {}, but its blocks have parameters that are "
                                    "not known here, e.g. '{}'.",
                                    name, *key));
        }
        const StateDict canonical = applyRules(state, rules);
        const WeightScope root(canonical);
        auto backbone = make(root, readTransformerBlocks(root, depth, shape, eps, device));
        LOFTSCOPE_CHECK(requireComplete(root.account(), name));
        return backbone;
    });
}

at::Tensor patchRows(const at::Tensor& picture, const at::Tensor& weight, const at::Tensor& bias) {
    return at::conv2d(picture, weight, bias, weight.size(2)).flatten(2)[0].t();
}

TransformerBackbone::TransformerBackbone(TransformerShape shape,
                                         std::vector<TransformerBlock> blocks, c10::Device device)
    : shape_(std::move(shape))
    , blocks_(std::move(blocks))
    , device_(device) {}

Result<BackboneOutput> TransformerBackbone::run(const at::Tensor& picture, const BackboneTaps& taps,
                                                const RunContext& context) const {
    LOFTSCOPE_CHECK(checkInput(picture, taps));
    return guarded("running the backbone", [&] { return forward(picture, taps, context); });
}

TransformerBackbone::QueryKey TransformerBackbone::placed(QueryKey pair,
                                                          const Extent& /*grid*/) const {
    return pair;
}

Result<void> TransformerBackbone::checkInput(const at::Tensor& picture,
                                             const BackboneTaps& taps) const {
    LOFTSCOPE_CHECK(checkPicture(*this, picture));
    for (const std::int64_t layer : taps.layers) {
        if (layer < 0 || layer >= depth()) {
            return fail(ErrorCode::InvalidArgument, fmt::format("{} has layers 0 to {}, not {}.",
                                                                shape_.name, depth() - 1, layer));
        }
    }
    const Extent grid{picture.size(2) / shape_.patch, picture.size(3) / shape_.patch};
    if (taps.query && !contains(grid, *taps.query)) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("The query patch ({}, {}) is outside the {} x {} token grid.",
                                taps.query->x, taps.query->y, grid.width, grid.height));
    }
    if (taps.attention && !taps.query && shape_.prefixTokens == 0) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("{} has no CLS token: name a patch as the attending one.", shape_.name));
    }
    return {};
}

at::Tensor TransformerBackbone::feedForward(const TransformerBlock& block,
                                            const at::Tensor& x) const {
    const at::Tensor hidden = block.expand(x);
    if (!block.swiglu) return block.contract(activated(shape_.activation, hidden));
    const std::vector<at::Tensor> halves = hidden.chunk(2, -1);
    return block.contract(at::silu(halves[0]) * halves[1]);
}

BackboneOutput TransformerBackbone::forward(const at::Tensor& picture, const BackboneTaps& taps,
                                            const RunContext& context) const {
    const at::NoGradGuard noGrad;
    const Extent grid{picture.size(2) / shape_.patch, picture.size(3) / shape_.patch};
    const std::int64_t prefix = shape_.prefixTokens;
    const auto asGrid = [&](const at::Tensor& tokens) {
        return FeatureGrid{tokens.slice(0, prefix)
                               .t()
                               .reshape({tokens.size(1), grid.height, grid.width})
                               .contiguous()};
    };

    BackboneOutput output;
    output.layers.resize(taps.layers.size());
    std::vector<at::Tensor> attention;
    at::Tensor x = embed(picture.to(device_), grid);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        context.throwIfStopped();
        context.progress("backbone", static_cast<double>(i) / static_cast<double>(blocks_.size()));
        const TransformerBlock& block = blocks_[i];
        const at::Tensor qkv = block.qkv(block.norm1(x));
        const auto third = [&](std::int64_t k) {
            return qkv.slice(1, k * shape_.width, (k + 1) * shape_.width);
        };
        const auto [query, key] =
            placed({splitHeads(third(0), shape_.heads), splitHeads(third(1), shape_.heads)}, grid);
        if (taps.attention) {
            const std::int64_t row =
                taps.query ? prefix + taps.query->y * grid.width + taps.query->x : 0;
            attention.push_back(
                attentionWeights(query.slice(1, row, row + 1), key).squeeze(1)); // heads x N
        }
        if (shape_.lastBlock == LastBlock::Values && i + 1 == blocks_.size()) {
            x = block.proj(third(2));
        } else {
            const at::Tensor value = splitHeads(third(2), shape_.heads);
            x = x + scaled(block.proj(joinHeads(attend(query, key, value))), block.ls1);
            x = x + scaled(feedForward(block, block.norm2(x)), block.ls2);
        }
        for (std::size_t k = 0; k < taps.layers.size(); ++k)
            if (taps.layers[k] == static_cast<std::int64_t>(i)) output.layers[k] = asGrid(x);
    }
    output.tokens = asGrid(finish(x));
    if (taps.attention) {
        const at::Tensor all = at::stack(attention); // depth x heads x N
        output.attention = all.slice(2, prefix)
                               .reshape({depth(), shape_.heads, grid.height, grid.width})
                               .contiguous();
        output.attentionElsewhere = all.slice(2, 0, prefix).sum(2);
    }
    context.progress("backbone", 1.0);
    return output;
}

} // namespace loftscope
