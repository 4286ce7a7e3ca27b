// SPDX-License-Identifier: Apache-2.0
#include "core/store/known_models.h"

#include <algorithm>

namespace loftscope {

namespace {

constexpr std::string_view apache = "Apache-2.0";
constexpr std::string_view mit = "MIT";
constexpr std::string_view dinov3Licence =
    "DINOv3 licence: Meta's own terms, to be accepted on its page";
constexpr std::string_view dinov3Page = "https://ai.meta.com/resources/models-and-libraries/"
                                        "dinov3-downloads/";
constexpr std::string_view radioLicence = "NVIDIA's own licence: no commercial use";

using Ports = std::array<std::string_view, 2>;

/// DINO and DINOv2.
KnownModel dino(std::string_view name, std::string_view title, std::string_view url,
                const Ports& ports, double megabytes) {
    return {.name = name,
            .title = title,
            .licence = apache,
            .url = url,
            .file = url.substr(url.rfind('/') + 1),
            .ports = ports,
            .megabytes = megabytes};
}

KnownModel dinov3(std::string_view name, std::string_view title, std::string_view file,
                  std::string_view huggingFace, std::string_view port, double megabytes) {
    // The eight letters in front of ".pth" are the beginning of the file's SHA-256.
    const std::size_t dash = file.rfind('-');
    return {.name = name,
            .title = title,
            .licence = dinov3Licence,
            .restricted = true,
            .page = dinov3Page,
            .file = file,
            .huggingFace = huggingFace,
            .ports = {port},
            .megabytes = megabytes,
            .sha256 = file.substr(dash + 1, 8)};
}

KnownModel clip(std::string_view name, std::string_view title, std::string_view url,
                const Ports& ports, double megabytes) {
    // The folder in front of the file is its SHA-256.
    const std::size_t slash = url.rfind('/');
    return {.name = name,
            .title = title,
            .licence = mit,
            .url = url,
            .file = url.substr(slash + 1),
            .ports = ports,
            .megabytes = megabytes,
            .sha256 = url.substr(slash - 64, 64)};
}

KnownModel siglip(std::string_view name, std::string_view title, std::string_view huggingFace,
                  std::string_view url, const Ports& ports, double megabytes) {
    return {.name = name,
            .title = title,
            .licence = apache,
            .url = url,
            .file = "model.safetensors",
            .vagueFile = true,
            .huggingFace = huggingFace,
            .ports = ports,
            .megabytes = megabytes};
}

KnownModel radio(std::string_view name, std::string_view title, std::string_view url) {
    return {.name = name,
            .title = title,
            .licence = radioLicence,
            .restricted = true,
            .url = url,
            .file = url.substr(url.rfind('/') + 1),
            .huggingFace = "nvidia/RADIO"};
}

KnownModel loftup(std::string_view name, std::string_view title, std::string_view huggingFace,
                  std::string_view url, double megabytes) {
    return {.name = name,
            .title = title,
            .method = "loftup",
            .licence = mit,
            .url = url,
            .file = "pytorch_model.bin",
            .vagueFile = true,
            .huggingFace = huggingFace,
            .megabytes = megabytes};
}

KnownModel featup(std::string_view name, std::string_view title, std::string_view url) {
    return {.name = name,
            .title = title,
            .method = "featup",
            .licence = mit,
            .url = url,
            .file = url.substr(url.rfind('/') + 1)};
}

KnownModel jafar(std::string_view name, std::string_view title, std::string_view url) {
    return {.name = name,
            .title = title,
            .method = "jafar",
            .licence = apache,
            .url = url,
            .file = url.substr(url.rfind('/') + 1),
            .vagueFile = true}; // timm calls the backbone's own file so
}

KnownModel uplift(std::string_view name, std::string_view title, std::string_view huggingFace,
                  std::string_view url) {
    return {.name = name,
            .title = title,
            .method = "uplift",
            .licence = mit,
            .url = url,
            .file = url.substr(url.rfind('/') + 1),
            .huggingFace = huggingFace};
}

} // namespace

const std::vector<KnownModel>& knownModels() {
    static const std::vector<KnownModel> models{
        {.name = "loftscope_vit16",
         .title = "ViT with a convolutional stem, which comes with LoftScope",
         .licence = apache,
         .file = "loftscope_vit16.safetensors",
         .megabytes = 11},
        dino("dino_vits16", "DINO ViT-S/16",
             "https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/"
             "dino_deitsmall16_pretrain.pth",
             {"facebook/dino-vits16", "timm/vit_small_patch16_224.dino"}, 86),
        dino("dino_vitb16", "DINO ViT-B/16",
             "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/"
             "dino_vitbase16_pretrain.pth",
             {"facebook/dino-vitb16", "timm/vit_base_patch16_224.dino"}, 343),
        dino("dinov2_vits14", "DINOv2 ViT-S/14",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
             {"facebook/dinov2-small", "timm/vit_small_patch14_dinov2.lvd142m"}, 88),
        dino("dinov2_vitb14", "DINOv2 ViT-B/14",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
             {"facebook/dinov2-base", "timm/vit_base_patch14_dinov2.lvd142m"}, 346),
        dino("dinov2_vitl14", "DINOv2 ViT-L/14",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
             {"facebook/dinov2-large", "timm/vit_large_patch14_dinov2.lvd142m"}, 1218),
        dino("dinov2_vitg14", "DINOv2 ViT-g/14",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_pretrain.pth",
             {"facebook/dinov2-giant", "timm/vit_giant_patch14_dinov2.lvd142m"}, 4546),
        dino("dinov2_vits14_reg", "DINOv2 ViT-S/14 with registers",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_reg4_pretrain.pth",
             {"facebook/dinov2-with-registers-small", "timm/vit_small_patch14_reg4_dinov2.lvd142m"},
             88),
        dino("dinov2_vitb14_reg", "DINOv2 ViT-B/14 with registers",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
             {"facebook/dinov2-with-registers-base", "timm/vit_base_patch14_reg4_dinov2.lvd142m"},
             346),
        dino("dinov2_vitl14_reg", "DINOv2 ViT-L/14 with registers",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth",
             {"facebook/dinov2-with-registers-large", "timm/vit_large_patch14_reg4_dinov2.lvd142m"},
             1218),
        dino("dinov2_vitg14_reg", "DINOv2 ViT-g/14 with registers",
             "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth",
             {"facebook/dinov2-with-registers-giant", "timm/vit_giant_patch14_reg4_dinov2.lvd142m"},
             4546),
        dinov3("dinov3_vits16", "DINOv3 ViT-S/16", "dinov3_vits16_pretrain_lvd1689m-08c60483.pth",
               "facebook/dinov3-vits16-pretrain-lvd1689m", "timm/vit_small_patch16_dinov3.lvd1689m",
               86),
        dinov3("dinov3_vits16plus", "DINOv3 ViT-S+/16",
               "dinov3_vits16plus_pretrain_lvd1689m-4057cbaa.pth",
               "facebook/dinov3-vits16plus-pretrain-lvd1689m",
               "timm/vit_small_plus_patch16_dinov3.lvd1689m", 115),
        dinov3("dinov3_vitb16", "DINOv3 ViT-B/16", "dinov3_vitb16_pretrain_lvd1689m-73cec8be.pth",
               "facebook/dinov3-vitb16-pretrain-lvd1689m", "timm/vit_base_patch16_dinov3.lvd1689m",
               343),
        dinov3("dinov3_vitl16", "DINOv3 ViT-L/16", "dinov3_vitl16_pretrain_lvd1689m-8aa4cbdd.pth",
               "facebook/dinov3-vitl16-pretrain-lvd1689m", "timm/vit_large_patch16_dinov3.lvd1689m",
               1213),
        dinov3("dinov3_vith16plus", "DINOv3 ViT-H+/16",
               "dinov3_vith16plus_pretrain_lvd1689m-7c1da9a5.pth",
               "facebook/dinov3-vith16plus-pretrain-lvd1689m",
               "timm/vit_huge_plus_patch16_dinov3.lvd1689m", 3362),
        clip("clip_vitb32", "CLIP ViT-B/32",
             "https://openaipublic.azureedge.net/clip/models/"
             "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
             {"openai/clip-vit-base-patch32", "timm/vit_base_patch32_clip_224.openai"}, 354),
        clip("clip_vitb16", "CLIP ViT-B/16",
             "https://openaipublic.azureedge.net/clip/models/"
             "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt",
             {"openai/clip-vit-base-patch16", "timm/vit_base_patch16_clip_224.openai"}, 351),
        clip("clip_vitl14", "CLIP ViT-L/14",
             "https://openaipublic.azureedge.net/clip/models/"
             "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
             {"openai/clip-vit-large-patch14", "timm/vit_large_patch14_clip_224.openai"}, 933),
        siglip("siglip_vitb16", "SigLIP ViT-B/16", "timm/vit_base_patch16_siglip_224.webli",
               "https://huggingface.co/timm/vit_base_patch16_siglip_224.webli/resolve/main/"
               "model.safetensors",
               {"google/siglip-base-patch16-224", "timm/ViT-B-16-SigLIP"}, 372),
        siglip("siglip2_vitb16", "SigLIP 2 ViT-B/16", "timm/vit_base_patch16_siglip_224.v2_webli",
               "https://huggingface.co/timm/vit_base_patch16_siglip_224.v2_webli/resolve/main/"
               "model.safetensors",
               {"google/siglip2-base-patch16-224", "timm/ViT-B-16-SigLIP2"}, 372),
        radio("radio_v2.5-b", "RADIO v2.5 ViT-B/16",
              "https://huggingface.co/nvidia/RADIO/resolve/main/radio-v2.5-b_half.pth.tar"),
        radio("radio_v2.5-l", "RADIO v2.5 ViT-L/16",
              "https://huggingface.co/nvidia/RADIO/resolve/main/radio-v2.5-l_half.pth.tar"),
        radio("radio_v2.5-h", "RADIO v2.5 ViT-H/16",
              "https://huggingface.co/nvidia/RADIO/resolve/main/radio_v2.5-h.pth.tar"),
        {.name = "loftscope_vit16_loftup",
         .title = "LoftUp for the ViT that comes with LoftScope",
         .method = "loftup",
         .licence = apache,
         .file = "loftscope_vit16_loftup.safetensors",
         .megabytes = 3},
        loftup("loftup_dinov2s", "LoftUp for DINOv2 ViT-S/14", "haiwen/loftup-dinov2s",
               "https://huggingface.co/haiwen/loftup-dinov2s/resolve/main/pytorch_model.bin", 17),
        loftup("loftup_dinov2s_reg", "LoftUp for DINOv2 ViT-S/14 with registers",
               "haiwen/loftup-dinov2s_reg",
               "https://huggingface.co/haiwen/loftup-dinov2s_reg/resolve/main/pytorch_model.bin",
               17),
        loftup("loftup_dinov2b", "LoftUp for DINOv2 ViT-B/14", "haiwen/loftup-dinov2b",
               "https://huggingface.co/haiwen/loftup-dinov2b/resolve/main/pytorch_model.bin", 60),
        loftup("loftup_dinov2b_reg", "LoftUp for DINOv2 ViT-B/14 with registers",
               "haiwen/loftup-dinov2b_reg",
               "https://huggingface.co/haiwen/loftup-dinov2b_reg/resolve/main/pytorch_model.bin",
               60),
        loftup("loftup_clip", "LoftUp for CLIP ViT-B/16 (values)", "haiwen/loftup-clip",
               "https://huggingface.co/haiwen/loftup-clip/resolve/main/pytorch_model.bin", 29),
        loftup("loftup_siglip", "LoftUp for SigLIP ViT-B/16", "haiwen/loftup-siglip",
               "https://huggingface.co/haiwen/loftup-siglip/resolve/main/pytorch_model.bin", 60),
        loftup("loftup_siglip2", "LoftUp for SigLIP 2 ViT-B/16", "haiwen/loftup-siglip2",
               "https://huggingface.co/haiwen/loftup-siglip2/resolve/main/pytorch_model.bin", 60),
        {.name = "anyup_paper",
         .title = "AnyUp for any backbone, as in its paper",
         .method = "anyup",
         .licence = "CC-BY 4.0",
         .url = "https://github.com/wimmerth/anyup/releases/download/checkpoint/anyup_paper.pth",
         .file = "anyup_paper.pth",
         .megabytes = 3.5,
         .sha256 = "9d035c0f27114a6f32bdd3d8ed93b6cd39dad4b8f8bf94e69fddbfbf022901b2"},
        {.name = "anyup_multi_backbone",
         .title = "AnyUp for any backbone, trained with several",
         .method = "anyup",
         .licence = "CC-BY 4.0",
         .url = "https://github.com/wimmerth/anyup/releases/download/checkpoint_v2/"
                "anyup_multi_backbone.pth",
         .file = "anyup_multi_backbone.pth",
         .megabytes = 3.5},
        jafar("jafar_dinov2s", "JAFAR for DINOv2 ViT-S/14",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_small_patch14_dinov2.lvd142m.pth"),
        jafar("jafar_dinov2s_reg", "JAFAR for DINOv2 ViT-S/14 with registers",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_small_patch14_reg4_dinov2.pth"),
        jafar("jafar_dinov2b", "JAFAR for DINOv2 ViT-B/14",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_base_patch14_dinov2.lvd142m.pth"),
        jafar("jafar_dinov3s", "JAFAR for DINOv3 ViT-S/16",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_small_patch16_dinov3.lvd1689m.pth"),
        jafar("jafar_dinov3splus", "JAFAR for DINOv3 ViT-S+/16",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_small_plus_patch16_dinov3.lvd1689m.pth"),
        jafar("jafar_dinov3b", "JAFAR for DINOv3 ViT-B/16",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_base_patch16_dinov3.lvd1689m.pth"),
        jafar("jafar_dinov3l", "JAFAR for DINOv3 ViT-L/16",
              "https://github.com/PaulCouairon/JAFAR/releases/download/Weights/"
              "vit_large_patch16_dinov3.lvd1689m.pth"),
        {.name = "naf",
         .title = "NAF for any backbone",
         .method = "naf",
         .licence = apache,
         .url = "https://github.com/valeoai/NAF/releases/download/model/naf_release.pth",
         .file = "naf_release.pth",
         .megabytes = 2.6},
        uplift("uplift_dinov2s", "UPLiFT for DINOv2 ViT-S/14", "UPLiFT-upsampler/uplift_dinov2-s14",
               "https://huggingface.co/UPLiFT-upsampler/uplift_dinov2-s14/resolve/main/"
               "uplift_dinov2-s14.safetensors"),
        uplift("uplift_dinov3splus", "UPLiFT for DINOv3 ViT-S+/16",
               "UPLiFT-upsampler/uplift_dinov3-splus16",
               "https://huggingface.co/UPLiFT-upsampler/uplift_dinov3-splus16/resolve/main/"
               "uplift_dinov3-splus16.safetensors"),
        featup("featup_dinov2", "FeatUp's JBU stack for DINOv2 ViT-S/14",
               "https://marhamilresearch4.blob.core.windows.net/feature-upsampling-public/"
               "pretrained/dinov2_jbu_stack_cocostuff.ckpt"),
        featup("featup_dino16", "FeatUp's JBU stack for DINO ViT-S/16",
               "https://marhamilresearch4.blob.core.windows.net/feature-upsampling-public/"
               "pretrained/dino16_jbu_stack_cocostuff.ckpt"),
        featup("featup_maskclip", "FeatUp's JBU stack for CLIP ViT-B/16 (values)",
               "https://marhamilresearch4.blob.core.windows.net/feature-upsampling-public/"
               "pretrained/maskclip_jbu_stack_cocostuff.ckpt"),
        {.name = "clip_vocabulary",
         .title = "CLIP's words, for texts",
         .licence = mit,
         .url = "https://github.com/openai/CLIP/raw/main/clip/bpe_simple_vocab_16e6.txt.gz",
         .file = "bpe_simple_vocab_16e6.txt.gz",
         .vocabulary = true,
         .megabytes = 1.4},
        {.name = "siglip_vocabulary",
         .title = "SigLIP's words, for texts",
         .licence = apache,
         .url = "https://huggingface.co/google/siglip-base-patch16-224/resolve/main/spiece.model",
         .file = "spiece.model",
         .vagueFile = true,
         .huggingFace = "google/siglip-base-patch16-224",
         .vocabulary = true,
         .megabytes = 0.8},
    };
    return models;
}

const KnownModel* knownModel(std::string_view name) {
    const auto& models = knownModels();
    const auto found = std::ranges::find(models, name, &KnownModel::name);
    return found == models.end() ? nullptr : &*found;
}

std::string keptFileName(const KnownModel& model) {
    if (!model.vagueFile) return std::string(model.file);
    return std::string(model.name) + std::string(model.file.substr(model.file.rfind('.')));
}

} // namespace loftscope
