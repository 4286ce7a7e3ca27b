// SPDX-License-Identifier: Apache-2.0
#include "core/train/trainable_vit.h"

#include "core/backbone/conv_stem.h"
#include "core/backbone/position_table.h"
#include "core/weights/layers.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>

namespace loftscope {

namespace {

constexpr double vitLayerNormEps = 1e-6;
constexpr std::int64_t headWidth = 64;

/// Shapes of all parameters, by hub name.
std::map<std::string, std::vector<std::int64_t>> wantedParameters(const VitSpec& spec) {
    const std::int64_t c = spec.width;
    std::map<std::string, std::vector<std::int64_t>> wanted = stemShapes(spec.stem);
    const auto norm = [&](const std::string& name) {
        wanted[name + ".weight"] = {c};
        wanted[name + ".bias"] = {c};
    };
    const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in,
                            bool bias = true) {
        wanted[name + ".weight"] = {out, in};
        if (bias) wanted[name + ".bias"] = {out};
    };
    wanted["cls_token"] = {1, 1, c};
    wanted["pos_embed"] = {1, 1 + spec.positionGrid.area(), c};
    if (spec.registers > 0) wanted["register_tokens"] = {1, spec.registers, c};
    wanted["patch_embed.proj.weight"] = {c, spec.patchChannels(), spec.patchKernel(),
                                         spec.patchKernel()};
    wanted["patch_embed.proj.bias"] = {c};
    for (std::int64_t i = 0; i < spec.depth; ++i) {
        const std::string block = fmt::format("blocks.{}.", i);
        norm(block + "norm1");
        linear(block + "attn.qkv", 3 * c, c, spec.qkvBias);
        linear(block + "attn.proj", c, c);
        if (spec.layerScale) wanted[block + "ls1.gamma"] = {c};
        norm(block + "norm2");
        linear(block + "mlp.fc1", spec.hidden, c);
        linear(block + "mlp.fc2", c, spec.hidden);
        if (spec.layerScale) wanted[block + "ls2.gamma"] = {c};
    }
    norm("norm");
    return wanted;
}

} // namespace

Result<VitSpec> VitSize::spec() const {
    if (width < headWidth || width % headWidth != 0) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("A width of {} does not work: heads have {} channels, so use a "
                                "multiple of it.",
                                width, headWidth));
    }
    if (patch < 1 || depth < 1 || grid < 1 || mlp <= 0) {
        return fail(ErrorCode::InvalidArgument,
                    "Patch, depth, position grid and MLP ratio must be positive.");
    }
    const auto halvings = std::countr_zero(static_cast<std::uint64_t>(patch));
    if (stem.size() > static_cast<std::size_t>(halvings)) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("A stem of {} stages does not go with patches of {} pixels: each "
                                "stage halves the sides.",
                                stem.size(), patch));
    }
    VitSpec spec;
    spec.name = fmt::format("ViT-{}x{}/{}", width, depth, patch);
    spec.patch = patch;
    spec.stem = stem;
    spec.width = width;
    spec.depth = depth;
    spec.heads = width / headWidth;
    spec.hidden = std::lround(mlp * static_cast<double>(width));
    spec.layerScale = layerScale > 0;
    spec.positionGrid = {grid, grid};
    spec.positionIncludesClass = true;
    spec.positionRule = PositionRule::HubOffset;
    return spec;
}

TrainableVit TrainableVit::create(const VitSize& size, const VitSpec& spec, CounterRandom random,
                                  c10::Device device) {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.next());
    TrainableVit model;
    model.spec_ = spec;
    for (const auto& [key, shape] : wantedParameters(spec)) {
        at::Tensor values = at::zeros(shape);
        if (key.ends_with(".gamma")) {
            values.fill_(size.layerScale);
        } else if (key.ends_with(".weight") && shape.size() == 1) {
            values.fill_(1);
        } else if (shape.size() == 4) { // convolutions
            const double bound = 1 / std::sqrt(static_cast<double>(shape[1] * shape[2] * shape[3]));
            values.uniform_(-bound, bound, generator);
        } else if (!key.ends_with(".bias")) {
            // Two deviations hold 95 %; the rest is cut off.
            values.normal_(0, 0.02, generator).clamp_(-0.04, 0.04);
        }
        model.parameters_[key] = values.to(device).set_requires_grad(true);
    }
    return model;
}

Result<TrainableVit> TrainableVit::fromState(const StateDict& state, const VitSpec& spec,
                                             c10::Device device) {
    if (spec.swiglu) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("{} has a gated MLP (SwiGLU), which cannot be trained here: choose "
                                "a backbone with a plain one.",
                                spec.name));
    }
    TrainableVit model;
    model.spec_ = spec;
    const WeightScope root(state);
    for (const auto& [key, shape] : wantedParameters(spec))
        model.parameters_[key] = root(key, shape).to(device).clone().set_requires_grad(true);
    LOFTSCOPE_CHECK(requireComplete(root.account(), spec.name));
    return model;
}

StateDict TrainableVit::state() const {
    StateDict state;
    for (const auto& [key, tensor] : parameters_)
        state[key] = tensor.detach();
    return state;
}

StateDict TrainableVit::exported() const {
    StateDict state;
    for (const auto& [key, tensor] : parameters_)
        state[key] = tensor.detach().to(at::kCPU).to(at::kHalf).contiguous();
    state["mask_token"] = at::zeros({1, spec_.width}, at::kHalf);
    return state;
}

at::Tensor TrainableVit::block(const at::Tensor& x, std::int64_t index,
                               at::ScalarType arithmetic) const {
    const std::string name = fmt::format("blocks.{}.", index);
    const std::int64_t width = spec_.width;
    const auto parameter = [&](const std::string& key) -> at::Tensor {
        const auto found = parameters_.find(name + key);
        return found == parameters_.end() ? at::Tensor() : found->second;
    };
    const auto norm = [&](const at::Tensor& rows, const std::string& key) {
        return at::layer_norm(rows, {width}, parameter(key + ".weight"), parameter(key + ".bias"),
                              vitLayerNormEps);
    };
    const auto linear = [&](const at::Tensor& rows, const std::string& key) {
        const at::Tensor bias = parameter(key + ".bias");
        return at::linear(rows.to(arithmetic), parameter(key + ".weight").to(arithmetic),
                          bias.defined() ? bias.to(arithmetic) : bias);
    };
    const auto added = [&](const at::Tensor& rows, const at::Tensor& change,
                           const std::string& gamma) {
        const at::Tensor scale = parameter(gamma);
        return scale.defined() ? rows + change * scale : rows + change;
    };
    const at::Tensor qkv = linear(norm(x, "norm1"), "attn.qkv");
    const auto third = [&](std::int64_t k) {
        return splitHeads(qkv.narrow(2, k * width, width), spec_.heads);
    };
    const at::Tensor attended =
        at::scaled_dot_product_attention(third(0), third(1), third(2)).transpose(1, 2);
    const at::Tensor middle =
        added(x, linear(attended.reshape(x.sizes()), "attn.proj"), "ls1.gamma");
    return added(middle, linear(at::gelu(linear(norm(middle, "norm2"), "mlp.fc1")), "mlp.fc2"),
                 "ls2.gamma");
}

at::Tensor TrainableVit::forward(const at::Tensor& pictures, at::ScalarType arithmetic) const {
    const std::int64_t batch = pictures.size(0);
    const Extent grid{pictures.size(2) / spec_.patch, pictures.size(3) / spec_.patch};
    const auto& parameters = parameters_;
    const auto ofStem = [&](const std::string& key) { return parameters.at(key); };
    const at::Tensor seen = convStem(spec_.stem, ofStem, pictures, arithmetic);
    const at::Tensor patches =
        at::conv2d(seen.to(arithmetic), parameters.at("patch_embed.proj.weight").to(arithmetic),
                   parameters.at("patch_embed.proj.bias").to(arithmetic), spec_.patchKernel())
            .flatten(2)
            .transpose(1, 2)
            .to(at::kFloat);
    const at::Tensor positions = resizedPositionTable(parameters.at("pos_embed"),
                                                      spec_.positionGrid, grid, spec_.positionRule);
    at::Tensor x =
        at::cat({parameters.at("cls_token").expand({batch, 1, spec_.width}), patches}, 1) +
        positions;
    if (spec_.registers > 0) {
        x = at::cat({x.slice(1, 0, 1),
                     parameters.at("register_tokens").expand({batch, spec_.registers, spec_.width}),
                     x.slice(1, 1)},
                    1);
    }
    for (std::int64_t i = 0; i < spec_.depth; ++i)
        x = block(x, i, arithmetic);
    return at::layer_norm(x.slice(1, 1 + spec_.registers), {spec_.width},
                          parameters.at("norm.weight"), parameters.at("norm.bias"),
                          vitLayerNormEps);
}

void TrainableVit::average(const TrainableVit& other, double decay) {
    const c10::NoGradGuard noGrad;
    for (auto& [key, tensor] : parameters_)
        tensor.lerp_(other.parameters_.at(key), 1 - decay);
}

TrainableVit TrainableVit::clone() const {
    TrainableVit copy;
    copy.spec_ = spec_;
    for (const auto& [key, tensor] : parameters_)
        copy.parameters_[key] = tensor.detach().clone().set_requires_grad(true);
    return copy;
}

} // namespace loftscope
