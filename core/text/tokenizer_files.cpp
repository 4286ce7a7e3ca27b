// SPDX-License-Identifier: Apache-2.0
#include "core/text/tokenizer_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

struct Family {
    std::vector<std::string_view> files; ///< names that publishers give them
    std::string_view repository;         ///< a piece of the names of their repositories
    std::string_view whose;
    std::string_view known; ///< its name in the list of models; empty where it is not there
};

const Family& familyOf(TextVocabulary vocabulary) {
    static const Family clip{
        {"bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt", "merges.txt"},
        "clip",
        "OpenAI's CLIP",
        "clip_vocabulary"};
    static const Family siglip{
        {"spiece.model", "sentencepiece.model", "tokenizer.model", "siglip_vocabulary.model"},
        "siglip",
        "SigLIP",
        "siglip_vocabulary"};
    static const Family siglip2{{"tokenizer.model", "spiece.model"}, "siglip2", "SigLIP 2", ""};
    switch (vocabulary) {
    case TextVocabulary::Clip:
        return clip;
    case TextVocabulary::Siglip:
        return siglip;
    case TextVocabulary::Siglip2:
        return siglip2;
    }
    return clip;
}

std::vector<fs::path> foldersOf(const Family& family, const fs::path& checkpoint,
                                const ModelPlaces& places) {
    std::vector<fs::path> folders{checkpoint.parent_path()};
    for (const ModelPlace& place : places.folders)
        folders.push_back(place.folder);
    std::error_code ignored;
    std::vector<fs::path> repositories;
    for (const auto& entry : fs::directory_iterator(places.huggingFace, ignored)) {
        std::string name = entry.path().filename().string();
        std::ranges::transform(name, name.begin(), [](unsigned char letter) {
            return static_cast<char>(std::tolower(letter));
        });
        if (name.starts_with("models--") && name.find(family.repository) != std::string::npos)
            repositories.push_back(entry.path());
    }
    std::ranges::sort(repositories);
    for (const fs::path& repository : repositories) {
        for (const auto& snapshot : fs::directory_iterator(repository / "snapshots", ignored))
            folders.push_back(snapshot.path());
    }
    return folders;
}

} // namespace

Result<std::unique_ptr<TextTokenizer>>
findTokenizer(const TextTowerShape& tower, const fs::path& checkpoint, const ModelPlaces& places) {
    const Family& family = familyOf(tower.vocabulary);
    std::optional<Error> trouble;
    for (const fs::path& folder : foldersOf(family, checkpoint, places)) {
        for (const std::string_view file : family.files) {
            const fs::path path = folder / file;
            std::error_code ignored;
            if (!fs::is_regular_file(path, ignored)) continue;
            auto tokenizer = tower.vocabulary == TextVocabulary::Clip
                                 ? readClipTokenizer(path, tower.words)
                                 : readSentenceTokenizer(path, tower.words);
            if (tokenizer) return tokenizer;
            if (!trouble) trouble = tokenizer.error();
        }
    }
    if (trouble) return std::unexpected(*trouble);
    const std::string fetching =
        family.known.empty()
            ? std::string()
            : fmt::format("`loftscope models get {}` fetches it, or ", family.known);
    return fail(ErrorCode::NotFound,
                fmt::format("Texts need the vocabulary of {}, which is not on this computer: {}lay "
                            "its {} beside '{}' or into '{}'.",
                            family.whose, fetching, fmt::join(family.files, " or "),
                            checkpoint.filename().string(), places.own.string()));
}

} // namespace loftscope
