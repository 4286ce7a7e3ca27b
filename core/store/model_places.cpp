// SPDX-License-Identifier: Apache-2.0
#include "core/store/model_places.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

bool isFile(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

/// The folders of the models that come with the program, from its own upwards.
std::vector<fs::path> installedFolders() {
    std::vector<fs::path> folders;
    std::error_code ignored;
    fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    while (!folder.empty()) {
        for (const char* place : {"resources/models", "share/loftscope/models"}) {
            if (fs::is_directory(folder / place, ignored)) folders.push_back(folder / place);
        }
        if (folder == folder.root_path()) break;
        folder = folder.parent_path();
    }
    return folders;
}

/// What libraries call the weights in a folder of their own. open_clip's come first: its publishers
/// lay those without the text tower beside them.
constexpr std::array<std::string_view, 6> checkpointNames{
    "open_clip_model.safetensors", "model.safetensors", "model.safetensors.index.json",
    "open_clip_pytorch_model.bin", "pytorch_model.bin", "pytorch_model.bin.index.json"};

std::optional<fs::path> checkpointIn(const fs::path& folder) {
    for (const std::string_view name : checkpointNames) {
        if (isFile(folder / name)) return folder / name;
    }
    return std::nullopt;
}

/// The file in a repository of Hugging Face's cache: of the revision that `main` is, else of any.
/// `file`: empty for whatever its weights are called.
std::optional<fs::path> inHuggingFaceCache(const fs::path& cache, std::string_view repository,
                                           std::string_view file) {
    const auto in = [file](const fs::path& snapshot) {
        if (file.empty()) return checkpointIn(snapshot);
        return isFile(snapshot / file) ? std::optional(snapshot / file) : std::nullopt;
    };
    std::string folder = "models--" + std::string(repository);
    if (const auto slash = folder.find('/'); slash != std::string::npos)
        folder.replace(slash, 1, "--");
    const fs::path snapshots = cache / folder / "snapshots";
    std::string revision;
    std::ifstream(cache / folder / "refs" / "main") >> revision;
    if (!revision.empty()) {
        if (auto path = in(snapshots / revision)) return path;
    }
    std::error_code ignored;
    for (const auto& snapshot : fs::directory_iterator(snapshots, ignored)) {
        if (auto path = in(snapshot.path())) return path;
    }
    return std::nullopt;
}

} // namespace

std::string environmentVariable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

ModelPlaces modelPlaces(const fs::path& beside, const Variables& variable) {
    const fs::path home = variable("HOME");
    const auto folderOf = [&](const char* name, const fs::path& otherwise) {
        const std::string value = variable(name);
        return value.empty() ? otherwise : fs::path(value);
    };
    const fs::path cache = folderOf("XDG_CACHE_HOME", home / ".cache");
    const fs::path users =
        folderOf("XDG_DATA_HOME", home / ".local/share") / "loftscope" / "models";

    ModelPlaces places;
    places.own = users;
    const auto add = [&](std::string what, const fs::path& folder) {
        if (!folder.empty()) places.folders.push_back({std::move(what), folder});
    };
    add("beside the photo", beside);
    const std::string listed = variable("LOFTSCOPE_MODELS");
    for (std::size_t begin = 0; begin < listed.size();) {
        const std::size_t colon = std::min(listed.find(':', begin), listed.size());
        const fs::path folder = listed.substr(begin, colon - begin);
        if (places.own == users && !folder.empty()) places.own = folder;
        add("LOFTSCOPE_MODELS", folder);
        begin = colon + 1;
    }
    add("the project's models", "models");
    add("your models", users);
    for (const fs::path& folder : installedFolders())
        add("comes with LoftScope", folder);
    add("torch hub's cache", folderOf("TORCH_HOME", cache / "torch") / "hub" / "checkpoints");
    add("OpenAI's cache", home / ".cache" / "clip");
    places.huggingFace =
        folderOf("HF_HUB_CACHE", folderOf("HF_HOME", cache / "huggingface") / "hub");
    return places;
}

fs::path installedModel(const std::string& file) {
    for (const fs::path& folder : installedFolders()) {
        if (isFile(folder / file)) return folder / file;
    }
    return {};
}

std::optional<FoundModel> findModel(const KnownModel& model, const ModelPlaces& places) {
    const std::string kept = keptFileName(model);
    for (const ModelPlace& place : places.folders) {
        if (isFile(place.folder / kept)) return FoundModel{place.folder / kept, place.what};
    }
    if (!model.huggingFace.empty()) {
        // What its publisher gives by name elsewhere lies there in that library's own layout.
        const std::string_view file = model.page.empty() ? model.file : "";
        if (auto path = inHuggingFaceCache(places.huggingFace, model.huggingFace, file))
            return FoundModel{*std::move(path), "Hugging Face's cache"};
    }
    for (const std::string_view port : model.ports) {
        if (port.empty()) continue;
        if (auto path = inHuggingFaceCache(places.huggingFace, port, ""))
            return FoundModel{*std::move(path), fmt::format("Hugging Face's cache, {}", port)};
    }
    return std::nullopt;
}

Result<fs::path> locateModel(const fs::path& given, const ModelPlaces& places) {
    std::error_code ignored;
    if (fs::is_directory(given, ignored)) {
        if (auto checkpoint = checkpointIn(given)) return *std::move(checkpoint);
        return fail(ErrorCode::NotFound,
                    fmt::format("The folder '{}' has no checkpoint that is called {}: name a file.",
                                given.string(), fmt::join(checkpointNames, ", ")));
    }
    if (given.empty() || fs::exists(given, ignored)) return given;
    if (const KnownModel* const known = knownModel(given.string())) {
        if (const auto found = findModel(*known, places)) return found->path;
        return fail(ErrorCode::NotFound,
                    known->url.empty() && !known->page.empty()
                        ? fmt::format("{} is not on this computer: ask for it at {} and lay '{}' "
                                      "into '{}'.",
                                      known->title, known->page, known->file, places.own.string())
                        : fmt::format("{} is not on this computer: `loftscope models get {}` "
                                      "fetches it.",
                                      known->title, known->name));
    }
    for (const KnownModel& known : knownModels()) {
        if (known.huggingFace != given.string()) continue;
        if (const auto found = findModel(known, places)) return found->path;
    }
    if (given.has_parent_path()) {
        return inHuggingFaceCache(places.huggingFace, given.string(), "").value_or(given);
    }
    for (const ModelPlace& place : places.folders) {
        if (isFile(place.folder / given)) return place.folder / given;
    }
    return given;
}

} // namespace loftscope
