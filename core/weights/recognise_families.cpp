// SPDX-License-Identifier: Apache-2.0
#include "core/weights/recognise_families.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

namespace loftscope {

namespace {

struct Family {
    std::string_view name;
    std::vector<std::string_view> keys; ///< endings of keys that are typical of it
};

const std::vector<Family>& families() {
    static const std::vector<Family> all{
        {"LoftUp upsampler",
         {"ca_transformer.layers.0.0.attention.in_proj_weight",
          "ca_transformer.layers.0.1.net.1.weight", "fourier_feat.1.biases", "lr_pe.biases",
          "first_conv.1.weight", "final_conv.0.weight"}},
        {"ViT in the DINOv2 hub or timm layout",
         {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight",
          "blocks.0.norm1.weight", "norm.weight"}},
        {"DINOv2 in the Hugging Face layout",
         {"embeddings.cls_token", "embeddings.position_embeddings",
          "embeddings.patch_embeddings.projection.weight",
          "encoder.layer.0.attention.attention.query.weight", "encoder.layer.0.norm1.weight",
          "layernorm.weight"}},
        {"DINOv3 in its hub layout",
         {"cls_token", "storage_tokens", "rope_embed.periods", "patch_embed.proj.weight",
          "blocks.0.attn.qkv.weight", "blocks.0.norm1.weight", "norm.weight"}},
        {"DINOv3 in the Hugging Face layout",
         {"embeddings.cls_token", "embeddings.register_tokens",
          "embeddings.patch_embeddings.weight", "layer.0.attention.q_proj.weight",
          "layer.0.norm1.weight", "layer.0.layer_scale1.lambda1"}},
        {"CLIP ViT in OpenAI's layout",
         {"visual.class_embedding", "visual.positional_embedding", "visual.conv1.weight",
          "visual.proj", "visual.ln_post.weight",
          "visual.transformer.resblocks.0.attn.in_proj_weight"}},
        {"SigLIP ViT in the timm or open_clip layout",
         {"trunk.pos_embed", "trunk.patch_embed.proj.weight", "trunk.blocks.0.attn.qkv.weight",
          "trunk.blocks.0.norm1.weight", "trunk.norm.weight"}},
        {"AnyUp upsampler",
         {"key_features_encoder.0.basis", "image_encoder.0.weight", "key_encoder.0.weight",
          "query_encoder.0.weight"}},
        {"JAFAR upsampler",
         {"sft_key.gamma.weight", "sft_key.beta.weight", "key_features_encoder.0.weight",
          "image_encoder.0.weight", "cross_decode.conv2d.weight"}},
        {"NAF upsampler",
         {"image_encoder.sem_encoder.0.weight", "image_encoder.encoder.0.weight",
          "image_encoder.rope.periods"}},
        {"UPLiFT upsampler",
         {"encoder.block_0.blocks.0.conv.0.weight", "decoder.block_0.blocks.0.conv.0.weight",
          "decoder.up_1.up.weight", "attender.conv1.weight"}},
        {"FeatUp joint-bilateral stack",
         {"up1.range_proj.0.weight", "up2.range_proj.0.weight", "up1.range_temp",
          "up1.sigma_spatial", "fixup_proj.1.weight"}},
        {"RADIO",
         {"patch_generator.embedder.weight", "patch_generator.pos_embed",
          "patch_generator.cls_token.token", "blocks.0.attn.qkv.weight"}},
    };
    return all;
}

bool anyKeyEndsWith(const StateDict& state, std::string_view ending) {
    return std::any_of(state.begin(), state.end(), [&](const auto& entry) {
        const std::string& key = entry.first;
        return key.ends_with(ending) &&
               (key.size() == ending.size() || key[key.size() - ending.size() - 1] == '.');
    });
}

} // namespace

UnknownModel closestFamily(const StateDict& state) {
    UnknownModel closest;
    double best = 0.3; // less in common than this is coincidence
    for (const Family& family : families()) {
        std::vector<std::string> missing;
        for (const std::string_view key : family.keys) {
            if (!anyKeyEndsWith(state, key)) missing.emplace_back(key);
        }
        const double share =
            1.0 - static_cast<double>(missing.size()) / static_cast<double>(family.keys.size());
        if (share > best) {
            best = share;
            closest = {std::string(family.name), missing.empty() ? "" : "parts of it are missing",
                       std::move(missing)};
        }
    }
    return closest;
}

Error unknownModelError(const UnknownModel& model) {
    if (model.closest.empty()) {
        return {ErrorCode::Unsupported,
                "These weights belong to no model that is known here; `loftscope inspect --keys` "
                "lists them."};
    }
    std::string message =
        fmt::format("These weights are of no model that is known here; closest: {}, but {}",
                    model.closest, model.reason.empty() ? "its shapes do not fit" : model.reason);
    if (!model.missing.empty()) message += fmt::format(": {}", fmt::join(model.missing, ", "));
    return {ErrorCode::Unsupported, message + "."};
}

} // namespace loftscope
