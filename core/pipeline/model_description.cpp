// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/model_description.h"

#include "core/pipeline/models.h"

#include <fmt/format.h>

#include <system_error>

namespace loftscope {

namespace {

ModelDescription describe(const ModelProvenance& provenance, const std::string& device) {
    ModelDescription description;
    description.role = provenance.role;
    description.name = provenance.name;
    description.path = provenance.path;
    description.sha256 = provenance.sha256;
    description.device = device;
    description.precision = "fp32";
    std::error_code unknown;
    const auto bytes = std::filesystem::file_size(provenance.path, unknown);
    description.fileBytes = unknown ? 0 : static_cast<std::int64_t>(bytes);
    return description;
}

std::string threeOf(const std::array<float, 3>& values) {
    return fmt::format("{:.3f}, {:.3f}, {:.3f}", values[0], values[1], values[2]);
}

} // namespace

ModelDescription describe(const LoadedBackbone& backbone, const std::string& device) {
    ModelDescription description = describe(backbone.provenance, device);
    const Backbone& model = *backbone.model;
    description.facts = {
        {"Patch", fmt::format("{0} \u00d7 {0} px", model.patch())},
        {"Features", fmt::format("{} channels", model.channels())},
        {"Blocks", fmt::format("{} with {} heads each", model.depth(), model.heads())},
    };
    for (const auto& [name, value] : backbone.identity.facts) {
        const auto* const count = std::get_if<std::int64_t>(&value);
        if (name == "registers" && count != nullptr && *count > 0)
            description.facts.emplace_back("Register tokens", std::to_string(*count));
        if (const auto* grid = std::get_if<Extent>(&value); name == "position_grid" && grid)
            description.facts.emplace_back(
                "Trained on", fmt::format("{} \u00d7 {} patches", grid->width, grid->height));
    }
    const Normalisation normalisation = model.normalisation();
    description.facts.emplace_back("Input mean", threeOf(normalisation.mean));
    description.facts.emplace_back("Input std", threeOf(normalisation.std));
    return description;
}

ModelDescription describe(const LoadedUpsampler& upsampler, const std::string& device) {
    ModelDescription description =
        describe(upsampler.provenance.value_or(ModelProvenance{}), device);
    description.precision = nameOf(upsampler.precision);
    return description;
}

} // namespace loftscope
