// SPDX-License-Identifier: Apache-2.0
#include "core/eval/video_clips.h"

#include "core/eval/picture_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace loftscope {

Result<std::vector<VideoClip>> openClips(const std::filesystem::path& folder,
                                         const ClipChoice& choice) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::path images = folder / "images";
    fs::path masks = folder / "masks";
    if (!fs::is_directory(images, error)) {
        images = folder / "JPEGImages/480p";
        masks = folder / "Annotations/480p";
    }
    std::vector<std::string> names;
    for (fs::directory_iterator entry(images, error), end; !error && entry != end;
         entry.increment(error))
        if (entry->is_directory()) names.push_back(entry->path().filename().string());
    if (names.empty())
        return fail(ErrorCode::NotFound,
                    fmt::format("There are no clips in '{}': it needs images/CLIP/*.jpg and "
                                "masks/CLIP/*.png.",
                                folder.string()));
    std::ranges::sort(names);
    if (!choice.names.empty()) {
        for (const std::string& name : choice.names)
            if (!std::ranges::binary_search(names, name))
                return fail(ErrorCode::NotFound,
                            fmt::format("There is no clip '{}' in '{}': it has {}.", name,
                                        images.string(), fmt::join(names, ", ")));
        names = choice.names;
    }
    const auto total = static_cast<std::int64_t>(names.size());
    const std::int64_t wanted = choice.clips > 0 ? std::min(choice.clips, total) : total;
    std::vector<VideoClip> clips;
    for (std::int64_t i = 0; i < wanted; ++i) {
        VideoClip clip;
        clip.name = names[static_cast<std::size_t>(i * total / wanted)];
        LOFTSCOPE_TRY(clip.frames, picturesBelow(images / clip.name));
        if (choice.frames > 0 && static_cast<std::int64_t>(clip.frames.size()) > choice.frames)
            clip.frames.resize(static_cast<std::size_t>(choice.frames));
        if (clip.frames.size() < 3)
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The clip '{}' has {} frames, but three are needed: the first "
                                    "and the last do not count.",
                                    clip.name, clip.frames.size()));
        for (const fs::path& frame : clip.frames) {
            fs::path mask = masks / clip.name / frame.filename();
            mask.replace_extension(".png");
            if (!fs::exists(mask, error))
                return fail(ErrorCode::NotFound, fmt::format("The frame '{}' has no mask '{}'.",
                                                             frame.string(), mask.string()));
            clip.masks.push_back(mask);
        }
        clips.push_back(std::move(clip));
    }
    return clips;
}

} // namespace loftscope
