// SPDX-License-Identifier: Apache-2.0
// From a checkpoint on disk to a model that runs.
#pragma once

#include "core/backbone/backbone.h"
#include "core/backbone/backbone_families.h"
#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/pipeline/trained_for.h"
#include "core/upsample/feature_field.h"
#include "core/upsample/precision.h"
#include "core/upsample/upsampler_methods.h"
#include "core/weights/recognise.h"

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace loftscope {

/// An upsampler of a checkpoint, and the method that asks for it by name.
struct RecognisedUpsampler {
    std::string_view method;
    UpsamplerCandidate candidate;
};

/// What a state dict holds, from its keys and shapes alone. A file with an upsampler and a backbone
/// (a training checkpoint) counts as an upsampler. Keys of a model may be missing: its description
/// names them.
using RecognisedModel = std::variant<BackboneCandidate, RecognisedUpsampler, UnknownModel>;
RecognisedModel recogniseModel(const StateDict& state);

/// The description of a backbone or upsampler; null if the model is unknown.
const ModelIdentity* identityOf(const RecognisedModel& model);

/// Which file a result came from: written into every output.
struct ModelProvenance {
    std::string role; ///< "backbone" or "upsampler"
    std::string name; ///< as recognised, e.g. "DINOv2 ViT-S/14"
    std::filesystem::path path;
    std::string sha256;
    TrainedFor features = {}; ///< a backbone's own lineage, or what an upsampler was trained for
};

/// A sentence where an upsampler was trained for other features than this backbone's, as far as the
/// files tell; widths are checked when it is bound.
std::optional<std::string> fitWarning(const ModelProvenance& backbone,
                                      const ModelProvenance& upsampler);

struct LoadedBackbone {
    std::shared_ptr<const Backbone> model;
    ModelIdentity identity;
    ModelProvenance provenance;
    std::vector<std::string> warnings;
    bool hasTextTower = false; ///< in its file: texts can be asked about its features
};

/// Recognises and loads a backbone; `given` is a file or a known model's name (core/store). With
/// `choices.runTorchScript` the file is run as the TorchScript program that it must be. Errors:
/// those of reading the file, Unsupported (not a known backbone), Mismatch (incomplete), Cancelled
/// (while hashing).
Result<LoadedBackbone> loadBackbone(const std::filesystem::path& given, c10::Device device,
                                    const BackboneChoices& choices = {},
                                    const RunContext& context = {});

struct LoadedUpsampler {
    std::shared_ptr<const Upsampler> model;
    std::optional<ModelProvenance> provenance; ///< nothing for methods without weights
    std::vector<std::string> warnings;
    Precision precision = Precision::Fp32; ///< what it computes in
};

/// The method's name as a heading: "Bilinear", "LoftUp".
std::string titleOf(const Upsampler& upsampler);

/// `method`: one of upsamplerMethods(); `weights`, a file or a known model's name, is empty for
/// methods without any. `precision` is a wish: a method (or, for TF32, a device) that has only fp32
/// computes in that and warns. Errors: InvalidArgument (unknown method, weights missing or
/// superfluous), those of reading the file, Mismatch (a file of another kind).
Result<LoadedUpsampler> loadUpsampler(std::string_view method, const std::filesystem::path& weights,
                                      c10::Device device, const RunContext& context = {},
                                      Precision precision = Precision::Fp32);

/// "auto", "cpu", "cuda", "cuda:1" -> a device that exists. Errors: Unsupported with what to do.
Result<c10::Device> deviceNamed(const std::string& name);

/// "cpu", "cuda:0", "cuda:1", ...
std::vector<std::string> availableDevices();

} // namespace loftscope
