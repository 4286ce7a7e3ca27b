// SPDX-License-Identifier: Apache-2.0
// Small checkpoints with both towers: the golden backbones beside the golden text towers.
#pragma once

#include "core/weights/tensor_sink.h"
#include "tests/support/golden.h"
#include "tests/weights/temp_folder.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace loftscope::test {

/// `family`: "clip" or "siglip".
inline StateDict twoTowers(const std::string& family) {
    const Golden images(family == "clip" ? "backbone.clip_openai.weights"
                                         : "backbone.siglip_timm.weights");
    const Golden texts("text." + family + ".weights");
    StateDict state = images.state();
    for (const auto& [key, tensor] : texts.state())
        state.insert_or_assign(key, tensor);
    return state;
}

inline std::filesystem::path writeState(const TempFolder& folder, const std::string& name,
                                        const StateDict& state) {
    const std::map<std::string, at::Tensor> tensors(state.begin(), state.end());
    const auto written = writeSafetensors(folder / name, tensors, {});
    if (!written) throw std::runtime_error(written.error().message);
    return folder / name;
}

/// Vocabularies that the user may have are not seen.
inline void hideUsersModels(const TempFolder& home) {
    for (const char* name : {"XDG_DATA_HOME", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME",
                             "HF_HUB_CACHE", "LOFTSCOPE_MODELS"})
        unsetenv(name);
    setenv("HOME", home.path().c_str(), 1);
}

/// Lays a golden vocabulary beside a checkpoint under its publisher's name.
inline void layVocabulary(const TempFolder& folder, const std::string& golden,
                          const std::string& name) {
    std::filesystem::copy_file(testData("golden/" + golden), folder / name);
}

} // namespace loftscope::test
