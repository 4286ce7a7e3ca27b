// SPDX-License-Identifier: Apache-2.0
#include "core/train/trainable_loftup.h"

#include "core/train/activation_checkpoint.h"
#include "core/upsample/coordinate_encoder.h"
#include "core/upsample/picture_rects.h"
#include "core/weights/layers.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr double layerNormEps = 1e-5;
constexpr double batchNormEps = 1e-5;
constexpr double finalNormEps = 1e-6; // ConvNeXt's channel norm
constexpr double statisticsMomentum = 0.1;

/// How PyTorch fills a parameter that is built by default.
enum class Fill { Ones, Zeros, Normal, Uniform };

struct Wanted {
    std::vector<std::int64_t> shape;
    Fill fill = Fill::Zeros;
    double bound = 0; ///< of the uniform distribution
};

/// Every trained parameter of the published module tree, by name.
std::map<std::string, Wanted> wantedParameters(const LoftUpSpec& spec) {
    const std::int64_t c = spec.channels;
    const std::int64_t d = spec.dim;
    const std::int64_t encoded = 2 * 5 * spec.frequencies + 3;
    std::map<std::string, Wanted> wanted;
    const auto norm = [&](const std::string& name, std::int64_t channels) {
        wanted[name + ".weight"] = {{channels}, Fill::Ones};
        wanted[name + ".bias"] = {{channels}, Fill::Zeros};
    };
    const auto linear = [&](const std::string& name, std::vector<std::int64_t> shape) {
        std::int64_t inputs = 1;
        for (std::size_t i = 1; i < shape.size(); ++i)
            inputs *= shape[i];
        const double bound = 1 / std::sqrt(static_cast<double>(inputs));
        wanted[name + ".bias"] = {{shape[0]}, Fill::Uniform, bound};
        wanted[name + ".weight"] = {std::move(shape), Fill::Uniform, bound};
    };
    wanted["upsampler.lr_pe.biases"] = {{2, 2, spec.lrFrequencies}, Fill::Normal};
    wanted["upsampler.fourier_feat.1.biases"] = {{2, 5, spec.frequencies}, Fill::Normal};
    norm("upsampler.first_conv.0.norm", encoded);
    linear("upsampler.first_conv.1", {d, encoded, 3, 3});
    norm("upsampler.first_conv.2", d);
    linear("upsampler.first_conv.4", {d, d, 3, 3});
    norm("upsampler.first_conv.5", d);
    for (std::int64_t i = 0; i < spec.depth; ++i) {
        const std::string layer = fmt::format("upsampler.ca_transformer.layers.{}", i);
        norm(layer + ".0.norm_q", d);
        norm(layer + ".0.norm_kv", d);
        wanted[layer + ".0.attention.in_proj_weight"] = {
            {3 * d, d}, Fill::Uniform, std::sqrt(6.0 / static_cast<double>(4 * d))};
        wanted[layer + ".0.attention.in_proj_bias"] = {{3 * d}, Fill::Zeros};
        linear(layer + ".0.attention.out_proj", {d, d});
        wanted[layer + ".0.attention.out_proj.bias"].fill = Fill::Zeros;
        norm(layer + ".1.net.0", d);
        linear(layer + ".1.net.1", {spec.hidden, d});
        linear(layer + ".1.net.4", {d, spec.hidden});
    }
    norm("upsampler.ca_transformer.norm", d);
    linear("upsampler.final_conv.0", {c, d, 1, 1});
    norm("upsampler.final_conv.1", c);
    return wanted;
}

constexpr std::array<std::int64_t, 2> batchNorms{2, 5}; // indices in `first_conv`

const std::string hiddenKey = "upsampler.hidden_coordinates";

StateDict freshBuffers(const LoftUpSpec& spec, c10::Device device) {
    StateDict buffers;
    const auto options = at::TensorOptions(device).dtype(at::kFloat);
    for (const std::int64_t index : batchNorms) {
        const std::string name = fmt::format("upsampler.first_conv.{}.", index);
        buffers[name + "running_mean"] = at::zeros({spec.dim}, options);
        buffers[name + "running_var"] = at::ones({spec.dim}, options);
        buffers[name + "num_batches_tracked"] =
            at::zeros({}, at::TensorOptions(device).dtype(at::kLong));
    }
    if (spec.hiddenCoordinates) buffers[hiddenKey] = at::ones({1}, options);
    if (spec.hasChannelNorm) {
        buffers["channelnorm.norm.weight"] = at::ones({spec.channels}, options);
        buffers["channelnorm.norm.bias"] = at::zeros({spec.channels}, options);
    }
    return buffers;
}

constexpr std::int64_t convolutionMargin = 2; // two 3 x 3 convolutions

} // namespace

LoftUpSpec publishedLoftUp(std::int64_t channels) {
    LoftUpSpec spec;
    spec.name = fmt::format("LoftUp for {} channels", channels);
    spec.channels = channels;
    spec.frequencies = 20;
    spec.lrFrequencies = 5;
    spec.dim = channels + 2 * 2 * spec.lrFrequencies;
    spec.heads = 4;
    spec.depth = 2;
    spec.hidden = channels;
    spec.upsamplerPrefix = "upsampler.";
    spec.channelNormPrefix = "channelnorm.norm.";
    return spec;
}

TrainableLoftUp TrainableLoftUp::create(const LoftUpSpec& spec, CounterRandom random,
                                        c10::Device device) {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(random.next());
    TrainableLoftUp model;
    model.spec_ = spec;
    for (const auto& [key, wanted] : wantedParameters(spec)) {
        at::Tensor values = at::zeros(wanted.shape);
        switch (wanted.fill) {
        case Fill::Ones:
            values.fill_(1);
            break;
        case Fill::Zeros:
            break;
        case Fill::Normal:
            values.normal_(0, 1, generator);
            break;
        case Fill::Uniform:
            values.uniform_(-wanted.bound, wanted.bound, generator);
            break;
        }
        model.parameters_[key] = values.to(device).set_requires_grad(true);
    }
    model.buffers_ = freshBuffers(spec, device);
    return model;
}

Result<TrainableLoftUp> TrainableLoftUp::fromState(const StateDict& state, const LoftUpSpec& spec,
                                                   c10::Device device) {
    if (spec.lrPositions != LrPositions::Sine) {
        return fail(ErrorCode::Unsupported,
                    "This LoftUp has a learned position table for its tokens: only the sine "
                    "variant can be trained.");
    }
    TrainableLoftUp model;
    model.spec_ = spec;
    const WeightScope root(state);
    for (const auto& [key, wanted] : wantedParameters(spec)) {
        model.parameters_[key] = root(key, wanted.shape).to(device).clone().set_requires_grad(true);
    }
    model.buffers_ = freshBuffers(spec, device);
    for (auto& [key, buffer] : model.buffers_) {
        // Not every file keeps the count, and nothing depends on it.
        if (key.ends_with("num_batches_tracked")) {
            root.ignore(key);
            if (const auto found = state.find(key); found != state.end())
                buffer = found->second.to(at::kLong).to(device).clone().reshape({});
        } else {
            buffer = root(key, buffer.sizes().vec()).to(device).clone();
        }
    }
    LOFTSCOPE_CHECK(requireComplete(root.account(), spec.name));
    return model;
}

StateDict TrainableLoftUp::state() const {
    StateDict state = buffers_;
    for (const auto& [key, tensor] : parameters_)
        state[key] = tensor.detach();
    return state;
}

const at::Tensor& TrainableLoftUp::parameter(const std::string& key) const {
    return parameters_.at(key);
}

void TrainableLoftUp::hideCoordinates() {
    spec_.hiddenCoordinates = true;
    buffers_[hiddenKey] =
        at::ones({1}, parameter("upsampler.fourier_feat.1.biases").options()).detach();
}

at::Tensor TrainableLoftUp::channelNorm(const at::Tensor& low) const {
    if (!spec_.hasChannelNorm) return low;
    const c10::NoGradGuard noGrad;
    return at::layer_norm(low.permute({0, 2, 3, 1}), {spec_.channels},
                          buffers_.at("channelnorm.norm.weight"),
                          buffers_.at("channelnorm.norm.bias"), layerNormEps)
        .permute({0, 3, 1, 2});
}

at::Tensor TrainableLoftUp::convolution(const at::Tensor& x, std::int64_t index,
                                        const LoftUpPass& pass) const {
    const std::string conv = fmt::format("upsampler.first_conv.{}.", index);
    const std::string norm = fmt::format("upsampler.first_conv.{}.", index + 1);
    const at::Tensor weight =
        parameter(conv + "weight").to(pass.arithmetic).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor convolved =
        at::conv2d(x, weight, parameter(conv + "bias").to(pass.arithmetic), 1, 1);
    const at::Tensor& gamma = parameter(norm + "weight");
    const at::Tensor& beta = parameter(norm + "bias");
    if (!pass.training) {
        return at::relu(at::batch_norm(convolved, gamma, beta, buffers_.at(norm + "running_mean"),
                                       buffers_.at(norm + "running_var"), false, statisticsMomentum,
                                       batchNormEps, true));
    }
    const auto [normalised, mean, inverseDeviation] = at::native_batch_norm(
        convolved, gamma, beta, {}, {}, true, statisticsMomentum, batchNormEps);
    {
        const c10::NoGradGuard noGrad;
        const auto count = static_cast<double>(convolved.numel() / convolved.size(1));
        const at::Tensor variance =
            (inverseDeviation.pow(-2) - batchNormEps) * (count / std::max(1.0, count - 1));
        BatchStatistics& gathered = gathered_[index + 1];
        gathered.mean = gathered.passes == 0 ? mean.clone() : gathered.mean + mean;
        gathered.variance = gathered.passes == 0 ? variance : gathered.variance + variance;
        ++gathered.passes;
    }
    return at::relu(normalised);
}

at::Tensor TrainableLoftUp::block(const at::Tensor& x, const at::Tensor& tokens, std::int64_t index,
                                  const LoftUpPass& pass) const {
    const std::string layer = fmt::format("upsampler.ca_transformer.layers.{}.", index);
    const std::int64_t dim = spec_.dim;
    const auto typed = [&](const at::Tensor& tensor) { return tensor.to(pass.arithmetic); };
    const auto norm = [&](const at::Tensor& rows, const std::string& name) {
        return at::layer_norm(rows, {dim}, parameter(layer + name + ".weight"),
                              parameter(layer + name + ".bias"), layerNormEps);
    };
    const auto linear = [&](const at::Tensor& rows, const std::string& name) {
        return at::linear(typed(rows), typed(parameter(layer + name + ".weight")),
                          typed(parameter(layer + name + ".bias")));
    };

    const at::Tensor weight = typed(parameter(layer + "0.attention.in_proj_weight"));
    const at::Tensor bias = typed(parameter(layer + "0.attention.in_proj_bias"));
    const at::Tensor keyed = typed(norm(tokens, "0.norm_kv"));
    const at::Tensor query =
        at::linear(typed(norm(x, "0.norm_q")), weight.narrow(0, 0, dim), bias.narrow(0, 0, dim));
    const at::Tensor keysValues =
        at::linear(keyed, weight.narrow(0, dim, 2 * dim), bias.narrow(0, dim, 2 * dim));
    const at::Tensor attended = at::scaled_dot_product_attention(
        splitHeads(query, spec_.heads), splitHeads(keysValues.narrow(2, 0, dim), spec_.heads),
        splitHeads(keysValues.narrow(2, dim, dim), spec_.heads));
    const at::Tensor middle =
        x + linear(attended.transpose(1, 2).reshape(query.sizes()), "0.attention.out_proj");
    return middle + linear(at::gelu(linear(norm(middle, "1.net.0"), "1.net.1")), "1.net.4");
}

at::Tensor TrainableLoftUp::forward(const at::Tensor& normalised, const at::Tensor& guidance,
                                    const LoftUpPass& pass) const {
    return forward(normalised, guidance, pass, wholeOf({guidance.size(2), guidance.size(3)}));
}

at::Tensor TrainableLoftUp::forward(const at::Tensor& normalised, const at::Tensor& guidance,
                                    const LoftUpPass& pass, const Rect& window) const {
    const std::int64_t batch = guidance.size(0);
    const Extent extent{guidance.size(2), guidance.size(3)};
    const Extent grid{normalised.size(2), normalised.size(3)};

    // Query tokens: coordinates and colour of every pixel, seen through two convolutions. Angles
    // stay in fp32. The convolutions see two pixels beyond the window.
    const Rect seen = grown(window, convolutionMargin, extent);
    const CoordinateEncoder encoder(parameter("upsampler.fourier_feat.1.biases"),
                                    spec_.hiddenCoordinates);
    const CoordinateEncoder::Tables tables = encoder.tables(extent);
    std::vector<at::Tensor> encoded;
    for (std::int64_t b = 0; b < batch; ++b)
        encoded.push_back(
            encoder.encode(tables, UnitRangePicture(guidance.select(0, b)).scaled(seen), seen));
    const at::Tensor fourier = at::layer_norm(
        at::stack(encoded), {encoder.channels()}, parameter("upsampler.first_conv.0.norm.weight"),
        parameter("upsampler.first_conv.0.norm.bias"), layerNormEps);
    at::Tensor picture = fourier.to(pass.arithmetic)
                             .view({batch, seen.height, seen.width, encoder.channels()})
                             .permute({0, 3, 1, 2});
    picture = convolution(convolution(picture, 1, pass), 4, pass)
                  .narrow(2, window.y - seen.y, window.height)
                  .narrow(3, window.x - seen.x, window.width);
    at::Tensor x =
        picture.permute({0, 2, 3, 1}).reshape({batch, window.area(), spec_.dim}).to(at::kFloat);

    // Tokens: the low-resolution features and where they are.
    const CoordinateEncoder positionEncoder(parameter("upsampler.lr_pe.biases"));
    const at::Tensor positions =
        positionEncoder.encode(positionEncoder.tables(grid), {}, wholeOf(grid));
    const at::Tensor tokens =
        at::cat({normalised.flatten(2).transpose(1, 2),
                 positions.unsqueeze(0).expand({batch, grid.area(), positions.size(1)})},
                2);

    for (std::int64_t i = 0; i < spec_.depth; ++i) {
        const auto apply = [this, i, pass](const at::Tensor& input, const at::Tensor& keys) {
            return block(input, keys, i, pass);
        };
        x = pass.checkpointing && at::GradMode::is_enabled()
                ? recomputedInBackward(apply, x, tokens)
                : apply(x, tokens);
    }
    x = at::layer_norm(x, {spec_.dim}, parameter("upsampler.ca_transformer.norm.weight"),
                       parameter("upsampler.ca_transformer.norm.bias"), layerNormEps);
    const at::Tensor output =
        at::linear(x.to(pass.arithmetic),
                   parameter("upsampler.final_conv.0.weight").flatten(1).to(pass.arithmetic),
                   parameter("upsampler.final_conv.0.bias").to(pass.arithmetic))
            .to(at::kFloat);
    return at::layer_norm(output, {spec_.channels}, parameter("upsampler.final_conv.1.weight"),
                          parameter("upsampler.final_conv.1.bias"), finalNormEps)
        .view({batch, window.height, window.width, spec_.channels})
        .permute({0, 3, 1, 2});
}

Result<void> TrainableLoftUp::updateStatistics(const ProcessGroup& group) {
    const c10::NoGradGuard noGrad;
    std::vector<at::Tensor> sums;
    for (const auto& [index, gathered] : gathered_) {
        sums.push_back(gathered.mean);
        sums.push_back(gathered.variance);
    }
    LOFTSCOPE_CHECK(group.sum(sums));
    for (const auto& [index, gathered] : gathered_) {
        const std::string name = fmt::format("upsampler.first_conv.{}.", index);
        const auto passes = static_cast<double>(gathered.passes * group.size());
        buffers_.at(name + "running_mean").lerp_(gathered.mean / passes, statisticsMomentum);
        buffers_.at(name + "running_var").lerp_(gathered.variance / passes, statisticsMomentum);
        buffers_.at(name + "num_batches_tracked").add_(1);
    }
    gathered_.clear();
    return {};
}

void TrainableLoftUp::average(const TrainableLoftUp& other, double decay) {
    const c10::NoGradGuard noGrad;
    for (auto& [key, tensor] : parameters_)
        tensor.lerp_(other.parameters_.at(key), 1 - decay);
    for (auto& [key, tensor] : buffers_) {
        if (tensor.is_floating_point()) {
            tensor.lerp_(other.buffers_.at(key), 1 - decay);
        } else {
            tensor.copy_(other.buffers_.at(key));
        }
    }
}

TrainableLoftUp TrainableLoftUp::clone() const {
    TrainableLoftUp copy;
    copy.spec_ = spec_;
    for (const auto& [key, tensor] : parameters_)
        copy.parameters_[key] = tensor.detach().clone().set_requires_grad(true);
    for (const auto& [key, tensor] : buffers_)
        copy.buffers_[key] = tensor.clone();
    return copy;
}

} // namespace loftscope
