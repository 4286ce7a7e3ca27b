// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/trained_for.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace loftscope {

namespace {

/// A piece of a published file's name, or of its folder's, and whose features that is for. Longer
/// pieces stand before those that they contain.
struct PublishedName {
    std::string_view piece;
    std::string_view lineage;
};

constexpr std::array<PublishedName, 17> publishedNames{{
    {"loftup_dinov2s_reg", "DINOv2 with registers"},
    {"loftup_dinov2b_reg", "DINOv2 with registers"},
    {"loftup_dinov2s", "DINOv2"},
    {"loftup_dinov2b", "DINOv2"},
    {"loftup_siglip2", "SigLIP 2"},
    {"loftup_siglip", "SigLIP"},
    {"loftup_clip", "CLIP values"},
    {"jafar_dinov2s_reg", "DINOv2 with registers"},
    {"jafar_dinov2", "DINOv2"},
    {"jafar_dinov3", "DINOv3"},
    {"uplift_dinov2", "DINOv2"},
    {"uplift_dinov3", "DINOv3"},
    {"maskclip_jbu_stack", "CLIP values"},
    {"clip_jbu_stack", "CLIP"},
    {"dinov2_jbu_stack", "DINOv2"},
    {"dino16_jbu_stack", "DINO"},
    {"resnet50_jbu_stack", "ResNet-50"},
}};

struct PublishedFile {
    std::string_view sha256;
    std::string_view lineage;
};

constexpr std::array<PublishedFile, 1> publishedFiles{{
    // FeatUp, maskclip_jbu_stack_cocostuff.ckpt without channel norm
    {"1412eba0a7d08ba0dbe140afdaf479ad819e00bacf5e229ea7446d948637d787", "CLIP values"},
}};

} // namespace

TrainedFor trainedFor(const TensorFile& file) {
    TrainedFor result;
    const auto metadata = [&](const char* name) {
        const auto found = file.metadata.find(name);
        return found == file.metadata.end() ? std::string() : found->second;
    };
    result.backbone = metadata("backbone");
    result.backboneSha256 = metadata("backbone_sha256");
    std::string path = file.path.string();
    std::ranges::transform(path, path.begin(), [](unsigned char letter) {
        return letter == '-' ? '_' : static_cast<char>(std::tolower(letter));
    });
    const auto name = std::ranges::find_if(publishedNames, [&](const PublishedName& published) {
        return path.find(published.piece) != std::string::npos;
    });
    if (name != publishedNames.end()) result.lineage = name->lineage;
    const auto known = std::ranges::find(publishedFiles, file.sha256, &PublishedFile::sha256);
    if (known != publishedFiles.end()) result.lineage = known->lineage;
    return result;
}

} // namespace loftscope
