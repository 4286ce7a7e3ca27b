// SPDX-License-Identifier: Apache-2.0
// A loaded model in words, for people who want to know what exactly computed a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace loftscope {

struct LoadedBackbone;
struct LoadedUpsampler;

struct ModelDescription {
    std::string role; ///< "backbone" or "upsampler"
    std::string name; ///< as recognised: "DINOv2 ViT-S/14"
    std::filesystem::path path;
    std::int64_t fileBytes = 0;
    std::string sha256;
    std::string device;    ///< "cpu", "cuda:0"
    std::string precision; ///< "fp32", "bf16"
    /// What it is made of, as name and value: "Blocks" and "12 with 6 heads each".
    std::vector<std::pair<std::string, std::string>> facts;
};

ModelDescription describe(const LoadedBackbone& backbone, const std::string& device);
/// Of a method with weights.
ModelDescription describe(const LoadedUpsampler& upsampler, const std::string& device);

} // namespace loftscope
