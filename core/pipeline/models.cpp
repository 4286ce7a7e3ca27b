// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/models.h"

#include "core/backbone/torchscript.h"
#include "core/store/model_places.h"
#include "core/text/text_tower.h"
#include "core/upsample/tf32_upsampler.h"
#include "core/weights/recognise_families.h"
#include "core/weights/tensor_file.h"

#include <ATen/Context.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#ifndef LOFTSCOPE_COMPUTE_ONLY // no OpenSSL there
#include "core/base/sha256.h"
#endif

namespace loftscope {

namespace {

/// What is worth a sentence about a file and the model in it.
std::vector<std::string> warningsOf(const TensorFile& file, const ModelIdentity& model) {
    std::vector<std::string> warnings = file.warnings;
    std::ranges::copy(model.warnings, std::back_inserter(warnings));
    const std::vector<std::string>& surplus = model.account.surplus;
    if (!surplus.empty())
        warnings.push_back(
            fmt::format("{} keys of the file do not belong to {} and were left out, e.g. '{}'.",
                        surplus.size(), model.name, surplus.front()));
    return warnings;
}

/// A file that is not what was asked for: a whole and known model of another kind is better called
/// that than unknown.
Error notWanted(const TensorFile& file, std::string_view wanted) {
    const RecognisedModel model = recogniseModel(file.tensors);
    const ModelIdentity* const found = identityOf(model);
    if (found == nullptr) return unknownModelError(std::get<UnknownModel>(model));
    const bool backbone = std::holds_alternative<BackboneCandidate>(model);
    return {ErrorCode::Mismatch,
            fmt::format("'{}' is {} ({}), not {}: choose another file.", file.path.string(),
                        backbone ? "a backbone" : "an upsampler", found->name, wanted)};
}

Result<LoadedBackbone> loadTorchScript(const std::filesystem::path& path, c10::Device device) {
    std::string sha256;
#ifndef LOFTSCOPE_COMPUTE_ONLY
    LOFTSCOPE_TRY(sha256, sha256OfFile(path));
#endif
    LoadedBackbone loaded;
    LOFTSCOPE_TRY(loaded.model, makeTorchScriptBackbone(path, device));
    loaded.identity = {
        .family = "torchscript",
        .name = loaded.model->name(),
        .facts = {{"patch", loaded.model->patch()}, {"channels", loaded.model->channels()}}};
    loaded.provenance = {"backbone", loaded.identity.name, path, std::move(sha256), {}};
    return loaded;
}

} // namespace

RecognisedModel recogniseModel(const StateDict& state) {
    std::optional<Error> unusable;
    for (const UpsamplerMethod& method : upsamplerMethods()) {
        if (!method.needsWeights()) continue;
        Recognition<UpsamplerCandidate> found = method.recognise(state);
        if (!found) {
            unusable = found.error();
        } else if (*found) {
            return RecognisedUpsampler{method.name, **std::move(found)};
        }
    }
    for (const BackboneFamily& family : backboneFamilies()) {
        Recognition<BackboneCandidate> found = family.recognise(state, {});
        if (!found) {
            unusable = found.error();
        } else if (*found) {
            return **std::move(found);
        }
    }
    UnknownModel unknown = closestFamily(state);
    if (unusable) unknown.reason = unusable->message;
    return unknown;
}

const ModelIdentity* identityOf(const RecognisedModel& model) {
    if (const auto* backbone = std::get_if<BackboneCandidate>(&model)) return &backbone->identity;
    if (const auto* upsampler = std::get_if<RecognisedUpsampler>(&model))
        return &upsampler->candidate.identity;
    return nullptr;
}

std::optional<std::string> fitWarning(const ModelProvenance& backbone,
                                      const ModelProvenance& upsampler) {
    const TrainedFor& wanted = upsampler.features;
    if (!wanted.backboneSha256.empty()) {
        if (wanted.backboneSha256 == backbone.sha256) return std::nullopt;
        return fmt::format("{} was trained for another backbone ({}, SHA-256 {}...) than '{}': its "
                           "maps may mean little.",
                           upsampler.name, wanted.backbone, wanted.backboneSha256.substr(0, 12),
                           backbone.path.filename().string());
    }
    if (wanted.lineage.empty() || backbone.features.lineage.empty() ||
        wanted.lineage == backbone.features.lineage)
        return std::nullopt;
    return fmt::format(
        "{} ('{}') was trained for features of {}, but the backbone's are of {}: the "
        "widths fit, the maps may mean little.",
        upsampler.name, upsampler.path.filename().string(), wanted.lineage,
        backbone.features.lineage);
}

Result<LoadedBackbone> loadBackbone(const std::filesystem::path& given, c10::Device device,
                                    const BackboneChoices& choices, const RunContext& context) {
    LOFTSCOPE_TRY(const std::filesystem::path path, locateModel(given, modelPlaces()));
    if (choices.runTorchScript) return loadTorchScript(path, device);
    const auto program = [&] {
        return fail(ErrorCode::Unsupported,
                    fmt::format("The parameters in '{}' are of no backbone that is known here; if "
                                "you trust the TorchScript program in it, --run-torchscript runs "
                                "it.",
                                path.string()));
    };
    Result<TensorFile> read = readTensorFile(path, context);
    // A program may do without parameters, or keep some that no checkpoint has.
    if (!read && read.error().code != ErrorCode::Cancelled && holdsTorchScript(path))
        return program();
    LOFTSCOPE_TRY(const TensorFile file, std::move(read));
    for (const BackboneFamily& family : backboneFamilies()) {
        LOFTSCOPE_TRY(const auto candidate, family.recognise(file.tensors, choices));
        if (!candidate) continue;
        LoadedBackbone loaded;
        loaded.identity = candidate->identity;
        loaded.warnings = warningsOf(file, candidate->identity);
        loaded.hasTextTower = holdsTextTower(file.tensors);
        LOFTSCOPE_TRY(loaded.model, candidate->build(device));
        loaded.provenance = {"backbone",
                             candidate->identity.name,
                             path,
                             file.sha256,
                             {candidate->identity.lineage, candidate->identity.name, file.sha256}};
        return loaded;
    }
    if (file.format == TensorFormat::TorchScript) return program();
    return std::unexpected(notWanted(file, "a backbone"));
}

std::string titleOf(const Upsampler& upsampler) {
    std::string title = upsampler.name();
    if (!title.empty())
        title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
    return title;
}

Result<LoadedUpsampler> loadUpsampler(std::string_view method, const std::filesystem::path& weights,
                                      c10::Device device, const RunContext& context,
                                      Precision precision) {
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
    if (known->needsWeights() && weights.empty()) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("The method {} needs a checkpoint: give its weights file.", method));
    }
    if (!known->needsWeights() && !weights.empty()) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("The method {} has no weights: leave out '{}'.", method, weights.string()));
    }
    LoadedUpsampler loaded;
    const auto warnOfPrecision = [&] {
        if (precision != Precision::Fp32)
            loaded.warnings.push_back(
                fmt::format("The method {} computes in fp32 whatever the precision.", method));
    };
    if (!known->needsWeights()) {
        loaded.model = known->make();
        warnOfPrecision();
        return loaded;
    }
    LOFTSCOPE_TRY(const std::filesystem::path path, locateModel(weights, modelPlaces()));
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path, context));
    LOFTSCOPE_TRY(const auto candidate, known->recognise(file.tensors));
    if (!candidate)
        return std::unexpected(notWanted(file, fmt::format("weights of {}", known->title)));
    loaded.warnings = warningsOf(file, candidate->identity);
    if (!candidate->anyArithmetic) {
        warnOfPrecision();
    } else if (precision == Precision::Tf32 && device.is_cpu()) {
        loaded.warnings.push_back("Only a GPU has TF32: computing in fp32.");
    } else {
        loaded.precision = precision;
    }
    LOFTSCOPE_TRY(auto model, candidate->build(device, scalarTypeOf(loaded.precision)));
    if (loaded.precision == Precision::Tf32) model = makeTf32Upsampler(std::move(model));
    loaded.model = std::move(model);
    loaded.provenance =
        ModelProvenance{"upsampler", candidate->identity.name, path, file.sha256, trainedFor(file)};
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
