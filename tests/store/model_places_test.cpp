// SPDX-License-Identifier: Apache-2.0
// Known models, and where they are looked for.
#include "core/store/model_places.h"
#include "tests/weights/temp_folder.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

namespace loftscope {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::writeBytes;
using ::testing::HasSubstr;

class ModelPlacesTest : public testing::Test {
protected:
    ModelPlacesTest() { variables["HOME"] = (folder / "home").string(); }

    ModelPlaces places(const fs::path& beside = {}) const {
        return modelPlaces(beside, [this](const char* name) {
            const auto found = variables.find(name);
            return found == variables.end() ? std::string() : found->second;
        });
    }
    fs::path file(const std::string& name) const {
        const fs::path path = folder / name;
        fs::create_directories(path.parent_path());
        writeBytes(path, "model");
        return path;
    }
    /// Where "dinov2_vits14" is found, and what that place is called.
    std::pair<fs::path, std::string> found(const char* name = "dinov2_vits14",
                                           const fs::path& beside = {}) const {
        const auto model = findModel(*knownModel(name), places(beside));
        return model ? std::pair(model->path, model->where) : std::pair<fs::path, std::string>();
    }

    TempFolder folder;
    std::map<std::string, std::string> variables;
};

TEST_F(ModelPlacesTest, PythonsCachesAreFoundAndOwnFoldersComeFirst) {
    EXPECT_EQ(found().first, "");
    const std::string name = "dinov2_vits14_pretrain.pth";
    const fs::path hub = file("home/.cache/torch/hub/checkpoints/" + name);
    EXPECT_EQ(found(), std::pair(hub, std::string("torch hub's cache")));
    const fs::path own = file("home/.local/share/loftscope/models/" + name);
    EXPECT_EQ(found(), std::pair(own, std::string("your models")));
    const fs::path listed = file("b/" + name);
    variables["LOFTSCOPE_MODELS"] = (folder / "a").string() + ":" + (folder / "b").string();
    EXPECT_EQ(found(), std::pair(listed, std::string("LOFTSCOPE_MODELS")));
    const fs::path beside = file("photos/" + name);
    EXPECT_EQ(found("dinov2_vits14", folder / "photos"),
              std::pair(beside, std::string("beside the photo")));
}

TEST_F(ModelPlacesTest, VariablesOfTheCachesCount) {
    variables["TORCH_HOME"] = (folder / "torch").string();
    const fs::path hub = file("torch/hub/checkpoints/dinov2_vits14_pretrain.pth");
    EXPECT_EQ(found().first, hub);
    variables["HF_HOME"] = (folder / "hf").string();
    const fs::path face = file("hf/hub/models--haiwen--loftup-clip/snapshots/1/pytorch_model.bin");
    EXPECT_EQ(found("loftup_clip").first, face);
    variables["HF_HUB_CACHE"] = (folder / "other").string();
    EXPECT_EQ(found("loftup_clip").first, "");
}

TEST_F(ModelPlacesTest, HuggingFacesMainRevisionCountsAndBrokenLinksDoNot) {
    const std::string repository = "home/.cache/huggingface/hub/models--haiwen--loftup-dinov2s/";
    file(repository + "snapshots/aaa/pytorch_model.bin");
    const fs::path blob = file(repository + "blobs/123");
    const fs::path snapshot = folder / (repository + "snapshots/bbb");
    fs::create_directories(snapshot);
    fs::create_symlink(blob, snapshot / "pytorch_model.bin");
    fs::create_directories(folder / (repository + "refs"));
    writeBytes(folder / (repository + "refs/main"), "bbb");
    EXPECT_EQ(found("loftup_dinov2s"),
              std::pair(snapshot / "pytorch_model.bin", std::string("Hugging Face's cache")));
    fs::remove(blob);
    EXPECT_EQ(found("loftup_dinov2s").first,
              folder / (repository + "snapshots/aaa/pytorch_model.bin"));
}

TEST_F(ModelPlacesTest, GatedModelsAreFoundInEitherLayout) {
    const fs::path face = file("home/.cache/huggingface/hub/models--facebook--dinov3-vits16-"
                               "pretrain-lvd1689m/snapshots/1/model.safetensors");
    EXPECT_EQ(found("dinov3_vits16").first, face);
    const fs::path hub = file("home/.cache/torch/hub/checkpoints/"
                              "dinov3_vits16_pretrain_lvd1689m-08c60483.pth");
    EXPECT_EQ(found("dinov3_vits16").first, hub);
}

TEST_F(ModelPlacesTest, WhatTransformersOrTimmHaveFetchedIsFoundToo) {
    const std::string cache = "home/.cache/huggingface/hub/";
    const fs::path timm = file(
        cache + "models--timm--vit_small_patch14_dinov2.lvd142m/snapshots/1/model.safetensors");
    EXPECT_EQ(found(), std::pair(timm, std::string("Hugging Face's cache, "
                                                   "timm/vit_small_patch14_dinov2.lvd142m")));
    const fs::path face = file(cache + "models--facebook--dinov2-small/snapshots/1/"
                                       "pytorch_model.bin");
    EXPECT_EQ(found().first, face);
    // Of a gated model's repository any layout will do, also one in parts.
    const fs::path parts = file(cache + "models--timm--vit_huge_plus_patch16_dinov3.lvd1689m/"
                                        "snapshots/1/model.safetensors.index.json");
    EXPECT_EQ(found("dinov3_vith16plus").first, parts);
}

TEST_F(ModelPlacesTest, RepositoriesAndFoldersStandForTheCheckpointInThem) {
    const std::string cache = "home/.cache/huggingface/hub/";
    const fs::path any = file(cache + "models--some--vit/snapshots/1/model.safetensors");
    EXPECT_EQ(locateModel("some/vit", places()), any);
    EXPECT_EQ(locateModel("some/other", places()), "some/other");
    // Both towers rather than timm's image tower alone.
    const fs::path both = file(cache + "models--some--vit/snapshots/1/open_clip_model.safetensors");
    EXPECT_EQ(locateModel("some/vit", places()), both);
    // LoftUp's safetensors lack its channel norm: the file that is known to be the model counts.
    file(cache + "models--haiwen--loftup-clip/snapshots/1/model.safetensors");
    const fs::path loftup =
        file(cache + "models--haiwen--loftup-clip/snapshots/1/pytorch_model.bin");
    EXPECT_EQ(locateModel("haiwen/loftup-clip", places()), loftup);

    const fs::path saved = file("saved/pytorch_model.bin");
    EXPECT_EQ(locateModel(folder / "saved", places()), saved);
    file("empty/config.json");
    const auto empty = locateModel(folder / "empty", places());
    ASSERT_FALSE(empty.has_value());
    EXPECT_THAT(empty.error().message, HasSubstr("model.safetensors"));
}

TEST_F(ModelPlacesTest, FetchedModelsGoToTheUsersFolderUnlessAnotherIsNamed) {
    EXPECT_EQ(places().own, folder / "home/.local/share/loftscope/models");
    variables["XDG_DATA_HOME"] = (folder / "data").string();
    EXPECT_EQ(places().own, folder / "data/loftscope/models");
    variables["LOFTSCOPE_MODELS"] = "/models:/more";
    EXPECT_EQ(places().own, "/models");
}

TEST_F(ModelPlacesTest, ANameOrAFileIsWhatTheUserMeans) {
    const fs::path existing = file("here/some.pth");
    EXPECT_EQ(locateModel(existing, places()), existing);
    EXPECT_EQ(locateModel("/nowhere/some.pth", places()), "/nowhere/some.pth");
    EXPECT_EQ(locateModel("", places()), "");
    const fs::path hub = file("home/.cache/torch/hub/checkpoints/dinov2_vits14_pretrain.pth");
    EXPECT_EQ(locateModel("dinov2_vits14", places()), hub);
    EXPECT_EQ(locateModel("dinov2_vits14_pretrain.pth", places()), hub);
    const auto absent = locateModel("dinov2_vitb14", places());
    ASSERT_FALSE(absent.has_value());
    EXPECT_EQ(absent.error().code, ErrorCode::NotFound);
    EXPECT_THAT(absent.error().message, HasSubstr("loftscope models get dinov2_vitb14"));
    EXPECT_THAT(locateModel("dinov3_vits16", places()).error().message, HasSubstr("https://ai."));
}

TEST(KnownModels, AreToldApartByNameAndFile) {
    std::set<std::string> names;
    std::set<std::string> files;
    for (const KnownModel& model : knownModels()) {
        EXPECT_TRUE(names.emplace(model.name).second) << model.name;
        EXPECT_TRUE(files.insert(keptFileName(model)).second) << model.name;
        EXPECT_FALSE(model.licence.empty()) << model.name;
        EXPECT_TRUE(model.url.empty() || model.url.starts_with("https://")) << model.name;
        EXPECT_EQ(model.sha256.find_first_not_of("0123456789abcdef"), std::string::npos);
        EXPECT_THAT(model.sha256.size(), testing::AnyOf(0U, 8U, 64U)) << model.name;
        if (!model.page.empty()) {
            EXPECT_TRUE(model.restricted) << model.name;
        }
    }
    EXPECT_EQ(keptFileName(*knownModel("loftup_clip")), "loftup_clip.bin");
    EXPECT_EQ(keptFileName(*knownModel("clip_vitb16")), "ViT-B-16.pt");
    EXPECT_EQ(knownModel("dinov3_vits16")->sha256, "08c60483");
    EXPECT_EQ(knownModel("no such model"), nullptr);
}

} // namespace
} // namespace loftscope
