// SPDX-License-Identifier: Apache-2.0
#include "core/train/local_start.h"

#include "core/train/normalised_pictures.h"
#include "core/train/sample_stream.h"
#include "core/upsample/coordinate_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/sin.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

namespace loftscope {

namespace {

/// exponent, a_f: together a bump some half a token wide on a grid of 14, one token wide on 30.
struct BumpTerm {
    double exponent;
    double amplitude;
};
constexpr std::array<BumpTerm, 3> bump{{{1, 5.0}, {2, 2.5}, {3, 0.5}}};

/// The same for each colour, whose range is 1: patches as far apart as a quarter of it hardly mix.
constexpr std::array<BumpTerm, 2> colorBump{{{1, 4.0}, {2, 2.0}}};
constexpr double widerBump = 0.6; // amplitude of place where colour takes part

constexpr double lift = 2.5;         // keeps a wave above zero, where ReLU is linear
constexpr double encodedScale = 0.7; // deviation that the first LayerNorm divides waves by
// BatchNorm divides by nothing yet: what the convolutions leave is brought to some 1 and some 0.1.
constexpr double firstGain = 1.7;
constexpr double secondGain = 0.5;
constexpr double featureScale = 2;   // of attended features over what the picture left there
constexpr double secondShare = 0.5;  // of what later blocks add
constexpr double randomLogits = 0.5; // of the random part of queries and keys
constexpr double feedForwardShare = 0.1;

std::optional<std::int64_t> indexOf(std::int64_t count, double exponent) {
    const std::vector<float> frequencies = encoderFrequencies(count);
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        if (std::abs(std::log(static_cast<double>(frequencies[i])) - exponent) < 1e-4)
            return static_cast<std::int64_t>(i);
    }
    return std::nullopt;
}

/// One sine or cosine of one coordinate or colour, where a query finds it and what its key is.
struct Wave {
    std::int64_t pixelChannel; ///< in the pixels' code
    double amplitude;
    std::int64_t tokenChannel = -1; ///< in the tokens' code: a coordinate
    std::int64_t colorRow = -1;     ///< of ColorKeys: a colour
};

/// The sines, then the cosines, of three colours: 12 x H x W of a picture that is scaled to
/// -0.5..0.5.
at::Tensor colorWaves(const at::Tensor& scaled) {
    std::vector<at::Tensor> waves;
    for (const BumpTerm& term : colorBump) {
        const at::Tensor angles = scaled * std::exp(term.exponent);
        waves.push_back(at::sin(angles));
        waves.push_back(at::cos(angles));
    }
    return at::cat(waves, 0);
}

Error unshared(const LoftUpSpec& spec) {
    return {
        ErrorCode::Unsupported,
        fmt::format("A local start needs codes that share the frequencies e, e^2 and e^3, as {} "
                    "of each do, but there are {} and {}.",
                    localStartFrequencies, spec.frequencies, spec.lrFrequencies)};
}

Result<std::vector<Wave>> wavesOf(const LoftUpSpec& spec, bool colored) {
    std::vector<Wave> waves;
    for (const auto& [exponent, amplitude] : bump) {
        const auto pixel = indexOf(spec.frequencies, exponent);
        const auto token = indexOf(spec.lrFrequencies, exponent);
        if (!pixel || !token) return std::unexpected(unshared(spec));
        for (const std::int64_t wave : {0, 1}) {
            for (const std::int64_t axis : {0, 1}) {
                waves.push_back({.pixelChannel = (wave * spec.frequencies + *pixel) * 5 + axis,
                                 .amplitude = amplitude * (colored ? widerBump : 1),
                                 .tokenChannel = (wave * spec.lrFrequencies + *token) * 2 + axis});
            }
        }
    }
    std::int64_t row = 0;
    for (const auto& [exponent, amplitude] : colorBump) {
        if (!colored) break;
        const auto pixel = indexOf(spec.frequencies, exponent);
        if (!pixel) return std::unexpected(unshared(spec));
        for (const std::int64_t wave : {0, 1}) {
            for (const std::int64_t color : {0, 1, 2}) {
                waves.push_back({.pixelChannel = (wave * spec.frequencies + *pixel) * 5 + 2 + color,
                                 .amplitude = amplitude,
                                 .colorRow = row++});
            }
        }
    }
    return waves;
}

} // namespace

Result<ColorKeys> fitColorKeys(const Backbone& backbone, const PhotoSource& photos,
                               std::int64_t count, std::int64_t size, std::uint64_t seed) {
    const c10::NoGradGuard noGrad;
    Augmentation augmentation;
    augmentation.masks = false;
    std::vector<at::Tensor> features;
    std::vector<at::Tensor> waves;
    for (std::int64_t i = 0; i < count; ++i) {
        CounterRandom random(seed, RandomPurpose::ColorFit, static_cast<std::uint64_t>(i));
        const auto photo = photos.load(random.below(photos.size()));
        if (!photo) continue; // training counts and names broken photos
        const at::Tensor picture = cutSample(*photo, {size, size}, augmentation, random).picture;
        const at::Tensor normalised =
            normalisedPictures(picture.unsqueeze(0), backbone.normalisation());
        LOFTSCOPE_TRY(const BackboneOutput output, backbone.run(normalised, {}, {}));
        const at::Tensor tokens = output.tokens.values.to(at::kCPU).flatten(1).t();
        features.push_back(at::layer_norm(tokens, {tokens.size(1)}));
        waves.push_back(at::avg_pool2d(colorWaves(scaleToUnitRange(normalised[0])).unsqueeze(0),
                                       {backbone.patch(), backbone.patch()})[0]
                            .flatten(1)
                            .t());
    }
    if (features.empty()) {
        return fail(
            ErrorCode::Malformed,
            "No training photo could be read to learn patches' colours from: check the data.");
    }
    const at::Tensor x = at::cat(features).to(at::kDouble);
    const at::Tensor y = at::cat(waves).to(at::kDouble);
    const at::Tensor meanX = x.mean(0);
    const at::Tensor meanY = y.mean(0);
    const at::Tensor centred = x - meanX;
    const at::Tensor gram = centred.t().mm(centred);
    const at::Tensor ridge =
        at::eye(gram.size(0), gram.options()) * (1e-3 * gram.diagonal().mean());
    const at::Tensor weight = at::linalg_solve(gram + ridge, centred.t().mm(y - meanY)).t();
    const at::Tensor bias = meanY - weight.mv(meanX);
    const at::Tensor rest = y - x.mm(weight.t()) - bias;
    return ColorKeys{weight.to(at::kFloat), bias.to(at::kFloat),
                     1 - (rest.square().sum() / (y - meanY).square().sum()).item<double>()};
}

Result<void> beginLocal(const StateDict& parameters, const LoftUpSpec& spec,
                        const ColorKeys* colors) {
    const c10::NoGradGuard noGrad;
    const auto at = [&](const std::string& key) { return parameters.at("upsampler." + key); };
    LOFTSCOPE_TRY(const std::vector<Wave> waves, wavesOf(spec, colors != nullptr));
    const auto room = std::min(spec.dim - spec.channels, spec.dim / spec.heads);
    if (static_cast<std::int64_t>(waves.size()) > room) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("A start of {} waves does not fit into a LoftUp of {} channels: it "
                                "has room for {} per head.",
                                waves.size(), spec.channels, room));
    }
    // Equal phases in both codes.
    at("lr_pe.biases").zero_();
    at("fourier_feat.1.biases").zero_();

    // The picture's branch carries the waves through in the channels behind the features'.
    const std::int64_t first = spec.channels;
    const auto count = static_cast<std::int64_t>(waves.size());
    const at::Tensor conv1 = at("first_conv.1.weight");
    const at::Tensor conv2 = at("first_conv.4.weight");
    for (const char* index : {"1", "4"}) {
        at(fmt::format("first_conv.{}.weight", index)).narrow(0, first, count).zero_();
        at(fmt::format("first_conv.{}.bias", index)).narrow(0, first, count).zero_();
    }
    for (std::int64_t i = 0; i < count; ++i) {
        conv1[first + i][waves[static_cast<std::size_t>(i)].pixelChannel][1][1] = 1;
        conv2[first + i][first + i][1][1] = 1;
    }
    at("first_conv.2.bias").narrow(0, first, count).fill_(lift);
    at("first_conv.2.weight").mul_(firstGain).narrow(0, first, count).fill_(1);
    at("first_conv.5.weight").mul_(secondGain).narrow(0, first, count).fill_(1);

    const std::int64_t dim = spec.dim;
    const std::int64_t headDim = dim / spec.heads;
    const std::int64_t features = spec.channels / spec.heads; // that a head carries
    for (std::int64_t layer = 0; layer < spec.depth; ++layer) {
        const std::string block = fmt::format("ca_transformer.layers.{}.", layer);
        // What norm_q divides by: waves on their lift in few channels, later the features too.
        const auto dims = static_cast<double>(dim);
        const double lifted = static_cast<double>(count) * lift * lift / dims;
        const double mean = static_cast<double>(count) * lift / dims;
        const double attended =
            layer == 0 ? 0 : 0.6 * featureScale * featureScale * static_cast<double>(first) / dims;
        const double deviation = std::sqrt(lifted - mean * mean + attended + 0.03);

        const at::Tensor weight = at(block + "0.attention.in_proj_weight");
        const at::Tensor bias = at(block + "0.attention.in_proj_bias");
        weight.narrow(0, 0, 2 * dim).mul_(randomLogits);
        weight.narrow(0, 2 * dim, dim).zero_();
        const at::Tensor out = at(block + "0.attention.out_proj.weight");
        out.zero_();
        const double share = layer == 0 ? featureScale : secondShare;
        for (std::int64_t head = 0; head < spec.heads; ++head) {
            for (std::int64_t i = 0; i < count; ++i) {
                const Wave& wave = waves[static_cast<std::size_t>(i)];
                const double gain =
                    std::sqrt(wave.amplitude * std::sqrt(static_cast<double>(headDim)) *
                              encodedScale * deviation);
                const std::int64_t query = head * headDim + i;
                const std::int64_t key = dim + query;
                weight[query].zero_();
                weight[query][first + i] = gain;
                bias[query] = -gain * (lift - mean) / deviation;
                weight[key].zero_();
                if (wave.colorRow < 0) {
                    weight[key][spec.channels + wave.tokenChannel] = gain;
                } else {
                    weight[key].narrow(0, 0, spec.channels).copy_(colors->weight[wave.colorRow]);
                    weight[key].mul_(gain);
                    bias[key] = gain * colors->bias[wave.colorRow].item<double>();
                }
            }
            for (std::int64_t i = 0; i < features; ++i) {
                const std::int64_t channel = head * features + i;
                weight[2 * dim + head * headDim + i][channel] = 1;
                out[channel][head * headDim + i] = share;
            }
        }
        at(block + "1.net.4.weight").mul_(feedForwardShare);
        at(block + "1.net.4.bias").mul_(feedForwardShare);
    }

    const at::Tensor last = at("final_conv.0.weight");
    last.zero_();
    at("final_conv.0.bias").zero_();
    for (std::int64_t i = 0; i < spec.channels; ++i)
        last[i][i][0][0] = 1;
    return {};
}

} // namespace loftscope
