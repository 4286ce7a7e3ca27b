// SPDX-License-Identifier: Apache-2.0
#include "app/scene_options.h"

#include "core/base/number.h"
#include "core/image/encode.h"
#include "core/image/map_file.h"
#include "core/store/model_places.h"
#include "core/upsample/interpolation.h"
#include "core/weights/tensor_sink.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

namespace loftscope::app {

namespace {

const std::map<std::string, FitRule> fitRules{{"whole", FitRule::Whole},
                                              {"crop", FitRule::CenterSquare}};
const std::map<std::string, AlphaRule> alphaRules{
    {"white", AlphaRule::OverWhite}, {"black", AlphaRule::OverBlack}, {"drop", AlphaRule::Drop}};
const std::map<std::string, PositionRule> positionRules{{"offset", PositionRule::HubOffset},
                                                        {"size", PositionRule::SizeNoAntialias},
                                                        {"antialias", PositionRule::SizeAntialias}};

const std::map<std::string, Normalisation> normalisations{
    {"imagenet", {}},
    {"clip", clipNormalisation},
    {"half", {{0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F}}},
    {"none", {{0, 0, 0}, {1, 1, 1}}}};
const std::map<std::string, Activation> activations{{"gelu", Activation::Gelu},
                                                    {"gelu-tanh", Activation::GeluTanh},
                                                    {"quickgelu", Activation::QuickGelu}};
const std::map<std::string, ClipTokens> clipTokens{{"values", ClipTokens::Values},
                                                   {"plain", ClipTokens::Plain}};

template <typename Rule>
std::vector<std::string> namesOf(const std::map<std::string, Rule>& rules) {
    std::vector<std::string> names;
    for (const auto& [name, rule] : rules)
        names.push_back(name);
    return names;
}

Result<std::int64_t> parseInteger(std::string_view text, std::string_view what) {
    const auto value = parsedNumber<std::int64_t>(text);
    if (!value)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is not a whole number in {}.", text, what));
    return *value;
}

Result<OutputSize> parseOutputSize(const std::string& text) {
    OutputSize size;
    const std::size_t cross = text.find('x');
    if (cross == std::string::npos) {
        LOFTSCOPE_TRY(size.shortSide, parseInteger(text, "--size N"));
        if (size.shortSide < 1)
            return fail(ErrorCode::InvalidArgument, "--size must be at least 1.");
        return size;
    }
    LOFTSCOPE_TRY(size.exact.width,
                  parseInteger(std::string_view(text).substr(0, cross), "--size WxH"));
    LOFTSCOPE_TRY(size.exact.height,
                  parseInteger(std::string_view(text).substr(cross + 1), "--size WxH"));
    return size;
}

/// The photo's own folder is looked into first.
ModelPlaces placesFor(const SceneOptions& options) {
    return modelPlaces(std::filesystem::path(options.image).parent_path());
}

} // namespace

void addBackboneOptions(CLI::App& command, SceneOptions& options,
                        const std::string& inputSizeNames) {
    command.add_option(
        "--backbone,-b", options.backbone,
        "Backbone: a checkpoint (safetensors, .pth or TorchScript), or the name of a "
        "known model (`loftscope models`)");
    command.add_option("--image,-i", options.image,
                       "Photo, or a 1 x 3 x H x W tensor (FILE.safetensors:KEY, FILE.npy) that is "
                       "fed to the backbone as it is");
    command
        .add_option(inputSizeNames, options.inputSize,
                    "Short side of the backbone's input in pixels, rounded to its patch")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command
        .add_option("--fit", options.fit,
                    "whole: keep the whole photo, sides rounded to the patch; crop: the centre "
                    "square, as the published example")
        ->capture_default_str()
        ->check(CLI::IsMember(namesOf(fitRules)));
    command
        .add_option("--alpha", options.alpha,
                    "What is put behind transparent pixels, or drop: ignore transparency")
        ->capture_default_str()
        ->check(CLI::IsMember(namesOf(alphaRules)));
    command
        .add_option("--position-rule", options.positionRule,
                    "How the position table is resized, instead of the rule of the file's layout: "
                    "offset (DINOv2 hub), size, antialias")
        ->check(CLI::IsMember(namesOf(positionRules)));
    command
        .add_option("--normalisation", options.normalisation,
                    "Of the backbone's input, instead of its release's: imagenet, clip, half "
                    "(mean and deviation 0.5), none (0..1)")
        ->check(CLI::IsMember(namesOf(normalisations)));
    command
        .add_option("--activation", options.activation,
                    "Where the checkpoint does not tell (CLIP, SigLIP): gelu, gelu-tanh, quickgelu")
        ->check(CLI::IsMember(namesOf(activations)));
    command
        .add_option("--clip-tokens", options.clipTokens,
                    "CLIP's patch tokens: values (of the last block, MaskCLIP) or plain (of the "
                    "whole network)")
        ->capture_default_str()
        ->check(CLI::IsMember(namesOf(clipTokens)));
    command.add_flag(
        "--run-torchscript", options.runTorchScript,
        "Run the TorchScript program in the backbone's file (picture to 1 x N x C or 1 "
        "x C x h x w): only for files that you trust");
}

void addFieldOptions(CLI::App& command, SceneOptions& scene, MethodOptions& method) {
    std::string names = "lowres (no upsampling)";
    for (const UpsamplerMethod& known : upsamplerMethods())
        names += fmt::format(", {}", known.name);
    command.add_option("--method,-m", method.method, "Upsampler: " + names)->required();
    command.add_option("--weights,-w", method.weights,
                       "Checkpoint of the upsampler, or a known model's name, where it needs one");
    command
        .add_option("--tile", method.tile,
                    "Side of the tiles that are computed at once; the result does not depend on it "
                    "[64, on a GPU 256]")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command.add_option("--features,-f", scene.features,
                       "Low-resolution features, C x h x w (FILE.npy or FILE.safetensors:KEY), "
                       "instead of --backbone");
    command.add_option(
        "--guidance,-g", scene.guidance,
        "Picture that guides the upsampler: a photo or a 3 x H x W tensor; --image if left out");
    command.add_option("--size", scene.outputSize,
                       "Output size: WxH, or N for the short side; the guidance's size if left "
                       "out, the backbone's input size with --image");
    addBackboneOptions(command, scene, "--input-size");
}

Result<c10::Device> computeDevice(const CommandContext& context) {
    const CommonOptions& options = context.options;
    LOFTSCOPE_TRY(const c10::Device device, deviceNamed(options.device));
    if (needsGpu(precisionOf(options)) && device.is_cpu()) {
        return fail(ErrorCode::Unsupported,
                    fmt::format("Precision {} needs a GPU: use --precision bf16 or fp32.",
                                options.precision));
    }
    context.warnOfEmulation(device);
    return device;
}

Precision precisionOf(const CommonOptions& options) {
    return precisionNamed(options.precision).value_or(Precision::Fp32);
}

Result<void> requireFullPrecision(const CommonOptions& options) {
    if (options.precision == "fp32") return {};
    return fail(ErrorCode::Unsupported,
                fmt::format("Only upsamplers compute in {}: leave out --precision here.",
                            options.precision));
}

Result<SceneRequest> sceneRequest(const SceneOptions& options, c10::Device device) {
    SceneRequest request;
    request.image = options.image;
    LOFTSCOPE_TRY(request.backbone, locateModel(options.backbone, placesFor(options)));
    request.features = options.features;
    request.guidance = options.guidance;
    request.inputSize = options.inputSize;
    request.fit = fitRules.at(options.fit);
    request.alpha = alphaRules.at(options.alpha);
    if (!options.positionRule.empty())
        request.backboneChoices.positionRule = positionRules.at(options.positionRule);
    if (!options.activation.empty())
        request.backboneChoices.activation = activations.at(options.activation);
    request.backboneChoices.clipTokens = clipTokens.at(options.clipTokens);
    request.backboneChoices.runTorchScript = options.runTorchScript;
    if (!options.normalisation.empty())
        request.normalisation = normalisations.at(options.normalisation);
    if (!options.outputSize.empty()) {
        LOFTSCOPE_TRY(request.output, parseOutputSize(options.outputSize));
    }
    request.device = device;
    return request;
}

Result<FieldOfScene> makeField(const SceneOptions& options, const MethodOptions& method,
                               CommandContext& context) {
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context));
    LOFTSCOPE_TRY(const SceneRequest request, sceneRequest(options, device));
    FieldOfScene result;
    result.tile = method.tile > 0 ? method.tile : usualTile(device);
    if (method.method == "lowres") {
        if (!method.weights.empty())
            return fail(ErrorCode::InvalidArgument,
                        "The method lowres has no weights: leave out --weights.");
        LOFTSCOPE_TRY(result.scene, makeScene(request, context.run));
        result.methodName = "low-res";
        result.field = makeGridField(result.scene.low);
    } else {
        // The checkpoint first: a wrong one is noticed before the backbone has run.
        LOFTSCOPE_TRY(const auto weights, locateModel(method.weights, placesFor(options)));
        LOFTSCOPE_TRY(const LoadedUpsampler upsampler,
                      loadUpsampler(method.method, weights, device, context.run,
                                    precisionOf(context.options)));
        LOFTSCOPE_TRY(result.scene, makeScene(request, context.run));
        warnOfFit(result.scene, upsampler);
        if (upsampler.provenance) result.scene.models.push_back(*upsampler.provenance);
        result.scene.warnings.insert(result.scene.warnings.end(), upsampler.warnings.begin(),
                                     upsampler.warnings.end());
        result.methodName = upsampler.model->name();
        result.precision = nameOf(upsampler.precision);
        LOFTSCOPE_TRY(result.field, bindField(result.scene, *upsampler.model, context.run));
    }
    reportScene(result.scene, context);
    context.result["method"] = result.methodName;
    context.result["precision"] = result.precision;
    return result;
}

void dropPictures(Scene& scene) {
    scene.picture = {};
    scene.guidance.picture.reset();
    scene.input.reset();
}

Result<std::vector<std::int64_t>> parseIntegers(const std::string& text, std::string_view what) {
    std::vector<std::int64_t> values;
    std::string_view rest = text;
    for (;;) {
        const std::size_t comma = rest.find(',');
        LOFTSCOPE_TRY(const std::int64_t value, parseInteger(rest.substr(0, comma), what));
        values.push_back(value);
        if (comma == std::string_view::npos) return values;
        rest.remove_prefix(comma + 1);
    }
}

Result<Pixel> parsePixel(const std::string& text) {
    LOFTSCOPE_TRY(const auto values, parseIntegers(text, "a pixel x,y"));
    if (values.size() != 2)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is not a pixel: write x,y.", text));
    return Pixel{values[0], values[1]};
}

Result<Rect> parseRect(const std::string& text) {
    LOFTSCOPE_TRY(const auto values, parseIntegers(text, "a rectangle x,y,w,h"));
    if (values.size() != 4)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' is not a rectangle: write x,y,w,h.", text));
    return Rect{values[0], values[1], values[2], values[3]};
}

Result<void> checkOutput(const std::string& path, OutputKind kind) {
    const std::filesystem::path file = path;
    const bool tensor = file.extension() == ".npy" || file.extension() == ".safetensors";
    const bool map = kind == OutputKind::Map && namesMapFile(file);
    if (!tensor && !map && !(kind != OutputKind::Tensor && namesPicture(file))) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' must end in .npy or .safetensors{}.", path,
                                kind != OutputKind::Tensor
                                    ? ", or in a picture's ending such as .png"
                                    : ""));
    }
    const std::filesystem::path folder = file.parent_path();
    std::error_code ignored;
    if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
        return fail(
            ErrorCode::NotFound,
            fmt::format("There is no folder '{}' for the output: make it first.", folder.string()));
    return {};
}

Result<void> writeArray(const std::string& path, const at::Tensor& values, const std::string& key,
                        const std::map<std::string, std::string>& metadata) {
    LOFTSCOPE_TRY(TensorSink sink, TensorSink::create(path, values.sizes().vec(), key, metadata));
    sink.writeAll(values.cpu());
    return sink.finish();
}

nlohmann::ordered_json modelJson(const ModelProvenance& model) {
    return {{"role", model.role},
            {"name", model.name},
            {"path", model.path.string()},
            {"sha256", model.sha256}};
}

void reportScene(const Scene& scene, CommandContext& context) {
    for (const std::string& warning : scene.warnings)
        context.warn(warning);
    context.result["low"] = {{"channels", scene.low.channels()},
                             {"width", scene.low.extent().width},
                             {"height", scene.low.extent().height}};
    for (const ModelProvenance& model : scene.models) {
        context.result["models"].push_back(modelJson(model));
    }
    if (!scene.notes.empty()) context.result["notes"] = scene.notes;
    if (!scene.warnings.empty()) context.result["warnings"] = scene.warnings;
}

std::map<std::string, std::string> programMetadata(const Scene& scene,
                                                   const std::string& precision) {
    std::map<std::string, std::string> metadata{{"program", "loftscope " LOFTSCOPE_VERSION},
                                                {"precision", precision}};
    std::string notes;
    for (const std::string& note : scene.notes)
        notes += (notes.empty() ? "" : " ") + note;
    if (!notes.empty()) metadata["notes"] = notes;
    return metadata;
}

std::map<std::string, std::string> provenanceMetadata(const Scene& scene, const std::string& method,
                                                      const std::string& precision) {
    std::map<std::string, std::string> metadata = programMetadata(scene, precision);
    if (!method.empty()) metadata["method"] = method;
    for (const ModelProvenance& model : scene.models) {
        metadata[model.role] = model.name;
        metadata[model.role + "_file"] = model.path.filename().string();
        metadata[model.role + "_sha256"] = model.sha256;
    }
    return metadata;
}

std::string sizeText(std::int64_t channels, const Extent& extent) {
    return fmt::format("{} x {} x {} (channels x height x width)", channels, extent.height,
                       extent.width);
}

} // namespace loftscope::app
