// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/conv_stem.h"

#include "core/base/number.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace loftscope {

namespace {

constexpr double convStemLayerNormEps = 1e-6;
constexpr std::int64_t downKernel = 4; // even, so that stride 2 does not move the cells' centres
constexpr std::int64_t blockKernel = 3;

} // namespace

std::string textOf(const std::vector<StemStage>& stages) {
    std::string text;
    for (const StemStage& stage : stages) {
        text += fmt::format("{}{}", text.empty() ? "" : ",", stage.channels);
        if (stage.blocks > 0) text += fmt::format("x{}", stage.blocks);
    }
    return text;
}

Result<std::vector<StemStage>> stemFrom(const std::string& text) {
    std::vector<StemStage> stages;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        const std::size_t cross = part.find('x');
        const bool hasBlocks = cross != std::string_view::npos;
        const auto channels = parsedNumber<std::int64_t>(part.substr(0, cross)).value_or(0);
        const auto blocks =
            hasBlocks ? parsedNumber<std::int64_t>(part.substr(cross + 1)).value_or(0) : 0;
        if (channels < 1 || blocks < (hasBlocks ? 1 : 0)) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' is no stem: give channels, and residual blocks where "
                                    "there are some, for every halving, as 24,48x1,96x2,192x2.",
                                    text));
        }
        stages.push_back({channels, blocks});
    }
    return stages;
}

std::map<std::string, std::vector<std::int64_t>> stemShapes(const std::vector<StemStage>& stages) {
    std::map<std::string, std::vector<std::int64_t>> shapes;
    std::int64_t in = 3;
    for (std::size_t s = 0; s < stages.size(); ++s) {
        const std::int64_t c = stages[s].channels;
        const std::string stage = fmt::format("stem.{}.", s);
        const auto convolution = [&](const std::string& name, std::int64_t from,
                                     std::int64_t side) {
            shapes[stage + name + ".weight"] = {c, from, side, side};
            shapes[stage + name + ".bias"] = {c};
        };
        const auto norm = [&](const std::string& name) {
            shapes[stage + name + ".weight"] = {c};
            shapes[stage + name + ".bias"] = {c};
        };
        convolution("down", in, downKernel);
        for (std::int64_t b = 0; b < stages[s].blocks; ++b) {
            norm(fmt::format("blocks.{}.norm", b));
            convolution(fmt::format("blocks.{}.conv", b), c, blockKernel);
        }
        norm("norm");
        in = c;
    }
    return shapes;
}

at::Tensor convStem(const std::vector<StemStage>& stages,
                    const std::function<at::Tensor(const std::string&)>& parameter,
                    const at::Tensor& pictures, at::ScalarType arithmetic) {
    if (stages.empty()) return pictures;
    const auto convolve = [&](const at::Tensor& x, const std::string& key, std::int64_t stride) {
        return at::conv2d(x.to(arithmetic), parameter(key + ".weight").to(arithmetic),
                          parameter(key + ".bias").to(arithmetic), stride, 1);
    };
    const auto activatedNorm = [&](const at::Tensor& x, const std::string& key) {
        const at::Tensor pixels = x.permute({0, 2, 3, 1});
        const at::Tensor normed =
            at::layer_norm(pixels, {pixels.size(3)}, parameter(key + ".weight"),
                           parameter(key + ".bias"), convStemLayerNormEps);
        return at::gelu(normed.to(arithmetic)).permute({0, 3, 1, 2});
    };
    at::Tensor x = pictures.contiguous(at::MemoryFormat::ChannelsLast);
    for (std::size_t s = 0; s < stages.size(); ++s) {
        const std::string stage = fmt::format("stem.{}.", s);
        x = convolve(x, stage + "down", 2).to(at::kFloat);
        for (std::int64_t b = 0; b < stages[s].blocks; ++b) {
            const std::string block = fmt::format("{}blocks.{}.", stage, b);
            x = x + convolve(activatedNorm(x, block + "norm"), block + "conv", 1);
        }
        x = activatedNorm(x, stage + "norm");
    }
    return x.to(at::kFloat);
}

} // namespace loftscope
