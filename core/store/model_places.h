// SPDX-License-Identifier: Apache-2.0
// Where models may lie on this computer, so that what a user of Python has already is found.
#pragma once

#include "core/base/error.h"
#include "core/store/known_models.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct ModelPlace {
    std::string what; ///< "your models", "torch hub's cache", ...
    std::filesystem::path folder;
};

struct ModelPlaces {
    std::vector<ModelPlace> folders;   ///< in the order in which they are searched
    std::filesystem::path huggingFace; ///< the cache with its own arrangement, searched last
    std::filesystem::path own;         ///< where fetched models go
};

/// An environment variable's value; empty where it is not set.
using Variables = std::function<std::string(const char* name)>;
std::string environmentVariable(const char* name);

/// The places for these variables, in this order: `beside` (the photo's folder; may be empty), the
/// folders of LOFTSCOPE_MODELS (separated by colons), `models` in the current folder (the
/// project's), the user's own ($XDG_DATA_HOME/loftscope/models), the models that come with the
/// program, torch hub's cache (TORCH_HOME), OpenAI's (~/.cache/clip), Hugging Face's
/// (HF_HUB_CACHE, HF_HOME). Fetched models go to the first folder of LOFTSCOPE_MODELS, else to the
/// user's own.
ModelPlaces modelPlaces(const std::filesystem::path& beside = {},
                        const Variables& variable = environmentVariable);

/// A file of the models that come with the program, beside it in the build tree or installed; empty
/// if it is not there.
std::filesystem::path installedModel(const std::string& file);

struct FoundModel {
    std::filesystem::path path;
    std::string where; ///< as ModelPlace::what, or "Hugging Face's cache" and which repository
};

/// Where a known model lies; nothing if it is nowhere.
std::optional<FoundModel> findModel(const KnownModel& model, const ModelPlaces& places);

/// The file that a user means: a file that exists is itself, a folder that Hugging Face's libraries
/// wrote is the checkpoint in it, a known model's name is its file, "ORGANISATION/REPOSITORY" what
/// Hugging Face's cache has of it, and a bare file name is looked for in the places. Anything else
/// is returned as it is, for whoever opens it to complain.
/// Errors: NotFound (a known model that is not on this computer, a folder without a checkpoint).
Result<std::filesystem::path> locateModel(const std::filesystem::path& given,
                                          const ModelPlaces& places);

} // namespace loftscope
