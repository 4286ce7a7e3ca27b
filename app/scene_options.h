// SPDX-License-Identifier: Apache-2.0
// Options that say which picture, features and method a command works on; shared by most commands.
#pragma once

#include "app/command.h"
#include "core/base/geometry.h"
#include "core/pipeline/scene.h"
#include "core/upsample/precision.h"
#include "core/upsample/tiles.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace loftscope::app {

/// As typed; `sceneRequest` turns it into what core understands.
struct SceneOptions {
    std::string backbone;
    std::string image;
    std::string features;
    std::string guidance;
    std::int64_t inputSize = 224;
    std::string fit = "whole";
    std::string alpha = "white";
    std::string positionRule;
    std::string normalisation; ///< empty: the backbone's own
    std::string activation;    ///< empty: what the checkpoint's release uses
    std::string clipTokens = "values";
    bool runTorchScript = false;
    std::string outputSize; ///< "WxH" or "N"
};

struct MethodOptions {
    std::string method;
    std::string weights;
    std::int64_t tile = 0; ///< 0: as suits the device
};

/// --backbone, --image, --fit, --alpha, --position-rule, --input-size (with the aliases in
/// `inputSizeNames`).
void addBackboneOptions(CLI::App& command, SceneOptions& options,
                        const std::string& inputSizeNames);
/// What a command that works on one field takes: --method, --weights, --tile, --features,
/// --guidance, --size, and the backbone's options.
void addFieldOptions(CLI::App& command, SceneOptions& scene, MethodOptions& method);

Result<SceneRequest> sceneRequest(const SceneOptions& options, c10::Device device);
/// The device that --device names. Errors: Unsupported (no such device; tf32 or fp16 on a CPU).
Result<c10::Device> computeDevice(const CommandContext& context);
/// What --precision says upsamplers shall compute in.
Precision precisionOf(const CommonOptions& options);
/// For commands without an upsampler: backbones compute in fp32 only.
Result<void> requireFullPrecision(const CommonOptions& options);

/// A scene and the field of one method over it, as most commands need it.
struct FieldOfScene {
    Scene scene;
    std::string methodName;         ///< as shown: "LoftUp"
    std::string precision = "fp32"; ///< that the method computes in
    std::unique_ptr<FeatureField> field;
    std::int64_t tile = defaultTile; ///< side of the tiles that it is computed in
};
/// Lets go of the pictures, which a bound field does not need: large ones take as much memory as
/// all else. Sizes and notes stay.
void dropPictures(Scene& scene);
/// `method` may also be "lowres": the grid itself as a field.
Result<FieldOfScene> makeField(const SceneOptions& options, const MethodOptions& method,
                               CommandContext& context);

/// "x,y" -> pixel; "x,y,w,h" -> rectangle. Errors: InvalidArgument.
Result<Pixel> parsePixel(const std::string& text);
Result<Rect> parseRect(const std::string& text);
/// "0,1,2" -> numbers.
Result<std::vector<std::int64_t>> parseIntegers(const std::string& text, std::string_view what);

/// Which kinds of file a command can write.
enum class OutputKind { Tensor, TensorOrPicture, Map /**< also .exr and .csv */ };
/// Looks at an output's name and folder before anything is computed. Errors: InvalidArgument
/// (ending), NotFound (folder).
Result<void> checkOutput(const std::string& path, OutputKind kind);

/// Writes a whole array as .npy, or as .safetensors under `key`.
Result<void> writeArray(const std::string& path, const at::Tensor& values, const std::string& key,
                        const std::map<std::string, std::string>& metadata);

nlohmann::ordered_json modelJson(const ModelProvenance& model);
/// Warnings go to stderr, notes and models into the result.
void reportScene(const Scene& scene, CommandContext& context);
/// What of a result's origin is not its models, for the metadata of output files.
std::map<std::string, std::string> programMetadata(const Scene& scene,
                                                   const std::string& precision);
/// Where a result came from, models included.
std::map<std::string, std::string> provenanceMetadata(const Scene& scene, const std::string& method,
                                                      const std::string& precision = "fp32");

/// "LoftUp: 192 x 224 x 336" and the like.
std::string sizeText(std::int64_t channels, const Extent& extent);

} // namespace loftscope::app
