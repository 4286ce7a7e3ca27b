// SPDX-License-Identifier: Apache-2.0
// From a checkpoint on disk to a model that runs.
#pragma once

#include "core/backbone/backbone.h"
#include "core/backbone/vit_spec.h"
#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/upsample/feature_field.h"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Which file a result came from: written into every output.
struct ModelProvenance {
    std::string role; ///< "backbone" or "upsampler"
    std::string name; ///< as recognised, e.g. "DINOv2 ViT-S/14"
    std::filesystem::path path;
    std::string sha256;
};

struct LoadedBackbone {
    std::shared_ptr<const Backbone> model;
    VitSpec spec;
    ModelProvenance provenance;
    std::vector<std::string> warnings;
};

/// Recognises and loads a backbone; `rule` overrides how its layout's release resizes position
/// tables. Errors: those of reading the file, Unsupported (not a known backbone), Mismatch
/// (incomplete), Cancelled (while hashing).
Result<LoadedBackbone> loadBackbone(const std::filesystem::path& path, c10::Device device,
                                    std::optional<PositionRule> rule = std::nullopt,
                                    const RunContext& context = {});

struct LoadedUpsampler {
    std::shared_ptr<const Upsampler> model;
    std::optional<ModelProvenance> provenance; ///< nothing for methods without weights
    std::vector<std::string> warnings;
    c10::ScalarType arithmetic = c10::ScalarType::Float; ///< what it computes in
};

/// The method's name as a heading: "Bilinear", "LoftUp".
std::string titleOf(const Upsampler& upsampler);

/// How a method is asked for by name.
struct UpsamplerMethod {
    std::string_view name;
    bool needsWeights;
    std::string_view description;
};

/// Every method there is, in the order in which they are listed to users.
const std::vector<UpsamplerMethod>& upsamplerMethods();

/// `method`: one of upsamplerMethods(); `weights` is empty for methods without any. `arithmetic` is
/// a wish: a method that has only fp32 computes in that and warns.
/// Errors: InvalidArgument (unknown method, weights missing or superfluous), those of reading the
/// file.
Result<LoadedUpsampler> loadUpsampler(std::string_view method, const std::filesystem::path& weights,
                                      c10::Device device, const RunContext& context = {},
                                      c10::ScalarType arithmetic = c10::ScalarType::Float);

/// "auto", "cpu", "cuda", "cuda:1" -> a device that exists. Errors: Unsupported with what to do.
Result<c10::Device> deviceNamed(const std::string& name);

/// "cpu", "cuda:0", "cuda:1", ...
std::vector<std::string> availableDevices();

} // namespace loftscope
