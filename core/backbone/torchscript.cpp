// SPDX-License-Identifier: Apache-2.0
#include "core/backbone/torchscript.h"

#include "core/base/guard.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <caffe2/serialize/inline_container.h>
#include <cmath>
#include <optional>

namespace loftscope {

namespace {

/// Sides of the pictures that a program is tried with: the usual training sizes.
constexpr std::int64_t triedSides[] = {224, 256, 384, 512, 518};
/// More tokens than these in front of the patches are none.
constexpr std::int64_t mostPrefixTokens = 16;

std::string shapeText(const at::Tensor& tensor) {
    return fmt::format("{}", fmt::join(tensor.sizes(), " x "));
}

/// How a program's output is laid out.
struct TokenLayout {
    std::int64_t channels = 0;
    std::int64_t patch = 0;
    std::int64_t prefixTokens = 0;
    bool map = false; ///< 1 x C x h x w
};

/// From the output for a square picture; nothing where it is not of that kind.
std::optional<TokenLayout> layoutOf(const at::Tensor& output, std::int64_t side) {
    TokenLayout layout;
    std::int64_t grid = 0;
    if (output.dim() == 4 && output.size(0) == 1 && output.size(2) == output.size(3)) {
        layout.map = true;
        layout.channels = output.size(1);
        grid = output.size(2);
    } else if (output.dim() == 3 && output.size(0) == 1) {
        layout.channels = output.size(2);
        const std::int64_t tokens = output.size(1);
        grid = static_cast<std::int64_t>(std::sqrt(static_cast<double>(tokens)));
        layout.prefixTokens = tokens - grid * grid;
        if (layout.prefixTokens > mostPrefixTokens) return std::nullopt;
    }
    if (grid < 1 || layout.channels < 1 || side % grid != 0) return std::nullopt;
    layout.patch = side / grid;
    return layout;
}

class TorchScriptBackbone final : public Backbone {
public:
    TorchScriptBackbone(torch::jit::Module module, std::string name, const TokenLayout& layout,
                        c10::Device device)
        : module_(std::move(module))
        , name_(std::move(name))
        , layout_(layout)
        , device_(device) {}

    std::string name() const override { return name_; }
    std::int64_t patch() const override { return layout_.patch; }
    std::int64_t channels() const override { return layout_.channels; }

    Result<BackboneOutput> run(const at::Tensor& picture, const BackboneTaps& taps,
                               const RunContext& context) const override {
        LOFTSCOPE_CHECK(checkPicture(*this, picture));
        LOFTSCOPE_CHECK(refuseTaps(*this, taps));
        return guarded(fmt::format("running {}", name_), [&]() -> Result<BackboneOutput> {
            const at::NoGradGuard noGrad;
            context.throwIfStopped();
            const at::Tensor output = outputOf(module_, picture.to(device_));
            const Extent grid{picture.size(2) / layout_.patch, picture.size(3) / layout_.patch};
            const std::vector<std::int64_t> asMap{1, layout_.channels, grid.height, grid.width};
            const std::vector<std::int64_t> asRows{1, layout_.prefixTokens + grid.area(),
                                                   layout_.channels};
            if (output.sizes() != at::IntArrayRef(layout_.map ? asMap : asRows)) {
                return fail(ErrorCode::Mismatch,
                            fmt::format("{} made {} of a picture of {} x {} pixels instead of {}: "
                                        "it may work for square pictures of one size alone.",
                                        name_, shapeText(output), picture.size(3), picture.size(2),
                                        fmt::join(layout_.map ? asMap : asRows, " x ")));
            }
            BackboneOutput result;
            result.tokens.values = layout_.map
                                       ? output[0].to(at::kFloat).contiguous()
                                       : output[0]
                                             .slice(0, layout_.prefixTokens)
                                             .t()
                                             .reshape({layout_.channels, grid.height, grid.width})
                                             .to(at::kFloat)
                                             .contiguous();
            return result;
        });
    }

    /// The program's first output, if that is a tensor. Throws as LibTorch does.
    static at::Tensor outputOf(const torch::jit::Module& module, const at::Tensor& picture) {
        torch::jit::Module callable = module; // shares all parameters
        c10::IValue value = callable.forward({picture});
        if (value.isTuple() && !value.toTuple()->elements().empty())
            value = value.toTuple()->elements()[0];
        if (value.isTensorList() && value.toTensorList().size() > 0)
            return value.toTensorList().get(0);
        return value.toTensor();
    }

private:
    torch::jit::Module module_;
    std::string name_;
    TokenLayout layout_;
    c10::Device device_;
};

} // namespace

bool holdsTorchScript(const std::filesystem::path& path) {
    return guarded("looking into an archive",
                   [&] {
                       caffe2::serialize::PyTorchStreamReader archive(path.string());
                       return archive.hasRecord("constants.pkl");
                   })
        .value_or(false);
}

Result<std::unique_ptr<Backbone>> makeTorchScriptBackbone(const std::filesystem::path& path,
                                                          c10::Device device) {
    const std::string name = path.stem().string();
    Result<torch::jit::Module> module =
        guarded(fmt::format("loading the TorchScript program '{}'", path.string()), [&] {
            torch::jit::Module loaded = torch::jit::load(path.string(), device);
            loaded.eval();
            return loaded;
        });
    if (!module) return std::unexpected(module.error());
    std::string seen;
    for (const std::int64_t side : triedSides) {
        const Result<at::Tensor> output =
            guarded(fmt::format("trying the TorchScript program '{}'", path.string()), [&] {
                const at::NoGradGuard noGrad;
                return TorchScriptBackbone::outputOf(
                    *module, at::zeros({1, 3, side, side}, at::device(device)));
            });
        if (!output) {
            seen = output.error().message;
            continue;
        }
        if (const auto layout = layoutOf(*output, side))
            return std::make_unique<TorchScriptBackbone>(*std::move(module), name, *layout, device);
        seen = fmt::format("It made {} of a picture of {} x {} pixels.", shapeText(*output), side,
                           side);
    }
    return fail(
        ErrorCode::Unsupported,
        fmt::format("The TorchScript program '{}' does not make patch tokens (1 x N x C) or "
                    "a map (1 x C x h x w) of a picture. {}",
                    path.string(), seen));
}

} // namespace loftscope
