// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/models.h"

#include "core/backbone/dinov2.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/joint_bilateral.h"
#include "core/upsample/loftup.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"

#include <ATen/Context.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace loftscope {

namespace {

std::vector<std::string> surplusWarning(const WeightAccount& account, std::string_view what) {
    if (account.surplus.empty()) return {};
    return {fmt::format("{} keys of the file do not belong to {} and were left out, e.g. '{}'.",
                        account.surplus.size(), what, account.surplus.front())};
}

void append(std::vector<std::string>& to, std::vector<std::string> more) {
    std::ranges::move(more, std::back_inserter(to));
}

/// A whole and known model, but not of the kind that was asked for: better said so than called
/// unknown.
std::optional<Error> otherKind(const TensorFile& file, std::string_view wanted) {
    const RecognisedModel model = recogniseModel(file.tensors);
    std::string found;
    if (const auto* vit = std::get_if<VitSpec>(&model))
        found = fmt::format("a backbone ({})", vit->name);
    if (const auto* loftUp = std::get_if<LoftUpSpec>(&model))
        found = fmt::format("an upsampler ({})", loftUp->name);
    if (found.empty()) return std::nullopt;
    return Error{ErrorCode::Mismatch, fmt::format("'{}' is {}, not {}: choose another file.",
                                                  file.path.string(), found, wanted)};
}

Result<LoadedUpsampler> loadLoftUp(const std::filesystem::path& path, c10::Device device,
                                   c10::ScalarType arithmetic, const RunContext& context) {
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path, context));
    const Result<LoftUpSpec> recognised = recogniseLoftUp(file.tensors);
    if (!recognised)
        return std::unexpected(otherKind(file, "a LoftUp upsampler").value_or(recognised.error()));
    const LoftUpSpec& spec = *recognised;
    LoadedUpsampler loaded;
    loaded.warnings = file.warnings;
    append(loaded.warnings, warningsAbout(spec));
    append(loaded.warnings, surplusWarning(accountOf(file.tensors, spec), spec.name));
    LOFTSCOPE_TRY(loaded.model,
                  makeLoftUp(canonicalLoftUpState(file.tensors, spec), spec, device, arithmetic));
    loaded.arithmetic = arithmetic;
    loaded.provenance = ModelProvenance{"upsampler", spec.name, path, file.sha256};
    return loaded;
}

} // namespace

Result<LoadedBackbone> loadBackbone(const std::filesystem::path& path, c10::Device device,
                                    std::optional<PositionRule> rule, const RunContext& context) {
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path, context));
    LoadedBackbone loaded;
    const Result<VitSpec> recognised = recogniseVit(file.tensors);
    if (!recognised)
        return std::unexpected(otherKind(file, "a backbone").value_or(recognised.error()));
    loaded.spec = *recognised;
    if (rule) loaded.spec.positionRule = *rule;
    loaded.warnings = file.warnings;
    append(loaded.warnings, surplusWarning(accountOf(file.tensors, loaded.spec), loaded.spec.name));
    LOFTSCOPE_TRY(loaded.model,
                  makeDinov2(canonicalVitState(file.tensors, loaded.spec), loaded.spec, device));
    loaded.provenance = {"backbone", loaded.spec.name, path, file.sha256};
    return loaded;
}

std::string titleOf(const Upsampler& upsampler) {
    std::string title = upsampler.name();
    if (!title.empty())
        title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
    return title;
}

const std::vector<UpsamplerMethod>& upsamplerMethods() {
    static const std::vector<UpsamplerMethod> methods{
        {"nearest", false, "the feature of the nearest patch"},
        {"bilinear", false, "bilinear interpolation"},
        {"bicubic", false, "bicubic interpolation"},
        {"jbu", false,
         "joint bilateral upsampling, guided by the picture's colours, without training"},
        {"loftup", true, "LoftUp: cross-attention from pixels to patch tokens"},
    };
    return methods;
}

Result<LoadedUpsampler> loadUpsampler(std::string_view method, const std::filesystem::path& weights,
                                      c10::Device device, const RunContext& context,
                                      c10::ScalarType arithmetic) {
    const auto& methods = upsamplerMethods();
    const auto known = std::ranges::find(methods, method, &UpsamplerMethod::name);
    if (known == methods.end()) {
        std::vector<std::string_view> names;
        for (const UpsamplerMethod& each : methods)
            names.push_back(each.name);
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("There is no upsampling method '{}': choose one of {}.", method,
                                fmt::join(names, ", ")));
    }
    if (known->needsWeights && weights.empty()) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("The method {} needs a checkpoint: give its weights file.", method));
    }
    if (!known->needsWeights && !weights.empty()) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("The method {} has no weights: leave out '{}'.", method, weights.string()));
    }
    if (method == "loftup") return loadLoftUp(weights, device, arithmetic, context);
    LoadedUpsampler loaded;
    if (arithmetic != c10::ScalarType::Float)
        loaded.warnings.push_back(
            fmt::format("The method {} computes in fp32 whatever the precision.", method));
    const auto interpolation = interpolationNamed(method);
    loaded.model = interpolation ? makeInterpolation(*interpolation) : makeJointBilateral();
    return loaded;
}

Result<c10::Device> deviceNamed(const std::string& name) {
    if (name == "cpu" || (name == "auto" && !at::hasCUDA())) return c10::Device(c10::kCPU);
    if (!at::hasCUDA()) {
        return fail(ErrorCode::Unsupported,
                    "No CUDA device can be used here (no NVIDIA GPU, no driver, or a LibTorch "
                    "without CUDA): use --device cpu.");
    }
    // TF32 would change features in the third digit without being asked for.
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    int index = 0;
    if (name.starts_with("cuda:"))
        std::from_chars(name.data() + 5, name.data() + name.size(), index);
    const auto count = static_cast<int>(at::detail::getCUDAHooks().deviceCount());
    if (index >= count) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("There is no device cuda:{}: this machine has {} (cuda:0 to cuda:{}).",
                        index, count, count - 1));
    }
    return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

std::vector<std::string> availableDevices() {
    std::vector<std::string> names{"cpu"};
    const int count =
        at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
    for (int index = 0; index < count; ++index)
        names.push_back(fmt::format("cuda:{}", index));
    return names;
}

} // namespace loftscope
