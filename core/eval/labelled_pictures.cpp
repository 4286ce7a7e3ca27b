// SPDX-License-Identifier: Apache-2.0
#include "core/eval/labelled_pictures.h"

#include "core/eval/confusion.h"
#include "core/eval/picture_files.h"
#include "core/image/label_map.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <string_view>

namespace loftscope {

namespace {

namespace fs = std::filesystem;

constexpr std::array camVidClasses{"sky",  "building", "pole", "road",       "pavement", "tree",
                                   "sign", "fence",    "car",  "pedestrian", "bicyclist"};

/// COCO's panoptic categories by supercategory: things, then stuff. Numbers that COCO never gave
/// out fall into the ranges without harm.
struct Supercategory {
    const char* name;
    std::vector<std::pair<int, int>> categories; ///< first and last
};
const std::vector<Supercategory>& supercategories() {
    static const std::vector<Supercategory> all{
        {"person", {{1, 1}}},
        {"vehicle", {{2, 9}}},
        {"outdoor", {{10, 15}}},
        {"animal", {{16, 25}}},
        {"accessory", {{27, 33}}},
        {"sports", {{34, 43}}},
        {"kitchen", {{44, 51}}},
        {"food", {{52, 61}}},
        {"furniture", {{62, 70}}},
        {"electronic", {{72, 77}}},
        {"appliance", {{78, 82}}},
        {"indoor", {{84, 90}}},
        {"textile", {{92, 93}, {109, 109}, {141, 141}, {168, 168}, {200, 200}}},
        {"building-stuff", {{95, 95}, {128, 128}, {151, 151}, {166, 166}, {197, 197}}},
        {"raw-material", {{100, 100}, {195, 195}}},
        {"furniture-stuff",
         {{107, 107}, {112, 112}, {130, 130}, {133, 133}, {156, 156}, {161, 161}, {188, 189}}},
        {"floor", {{118, 118}, {190, 190}}},
        {"plant", {{119, 119}, {184, 184}, {193, 193}}},
        {"food-stuff", {{122, 122}, {196, 196}}},
        {"ground",
         {{125, 125},
          {144, 145},
          {147, 147},
          {149, 149},
          {154, 154},
          {159, 159},
          {191, 191},
          {194, 194}}},
        {"structural", {{138, 138}, {185, 185}}},
        {"water", {{148, 148}, {155, 155}, {178, 178}}},
        {"wall", {{171, 177}, {199, 199}}},
        {"window", {{180, 181}}},
        {"ceiling", {{186, 186}}},
        {"sky", {{187, 187}}},
        {"solid", {{192, 192}, {198, 198}}},
    };
    return all;
}

/// Pairs every photo of `images` (or those that are listed) with its label map.
Result<std::vector<LabelledPicture>> paired(const fs::path& images, const fs::path& labels,
                                            bool everyPhotoHasLabels) {
    LOFTSCOPE_TRY(const std::vector<fs::path> photos, picturesBelow(images));
    std::vector<LabelledPicture> pictures;
    for (const fs::path& photo : photos) {
        fs::path name = fs::relative(photo, images);
        name.replace_extension();
        fs::path map = labels / name;
        map += ".png";
        std::error_code ignored;
        if (fs::exists(map, ignored)) {
            pictures.push_back({name.generic_string(), photo, map});
        } else if (everyPhotoHasLabels) {
            return fail(ErrorCode::NotFound, fmt::format("The photo '{}' has no label map '{}'.",
                                                         photo.string(), map.string()));
        }
    }
    if (pictures.empty())
        return fail(ErrorCode::NotFound, fmt::format("No photo of '{}' has a label map in '{}'.",
                                                     images.string(), labels.string()));
    return pictures;
}

Result<std::vector<std::string>> linesOf(const fs::path& path) {
    std::ifstream file(path);
    if (!file)
        return fail(ErrorCode::NotFound, fmt::format("The list '{}' cannot be read: check its "
                                                     "path.",
                                                     path.string()));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
            line.pop_back();
        if (!line.empty()) lines.push_back(line);
    }
    return lines;
}

Result<std::vector<LabelledPicture>> listed(const LabelledFolder& folder, const fs::path& list) {
    LOFTSCOPE_TRY(const std::vector<std::string> names, linesOf(list));
    LOFTSCOPE_TRY(const std::vector<LabelledPicture> all,
                  paired(folder.images, folder.labels, false));
    std::map<std::string, const LabelledPicture*> byName;
    for (const LabelledPicture& picture : all)
        byName[picture.name] = &picture;
    std::vector<LabelledPicture> chosen;
    for (const std::string& line : names) {
        auto found = byName.find(line);
        if (found == byName.end())
            found = byName.find(fs::path(line).replace_extension().generic_string());
        if (found == byName.end())
            return fail(ErrorCode::NotFound,
                        fmt::format("'{}' of the list '{}' is not a photo with a label map.", line,
                                    list.string()));
        chosen.push_back(*found->second);
    }
    return chosen;
}

} // namespace

Result<LabelledPictures> openCamVid(const fs::path& folder, const std::string& testSplit) {
    LabelledPictures set;
    set.title = fmt::format("CamVid, {} classes, {} split", camVidClasses.size(), testSplit);
    set.classes.assign(camVidClasses.begin(), camVidClasses.end());
    set.classOfLabel.fill(ignoredLabel);
    for (std::size_t k = 0; k < camVidClasses.size(); ++k)
        set.classOfLabel[k] = static_cast<std::uint8_t>(k);
    LOFTSCOPE_TRY(set.train, paired(folder / "images/train", folder / "labels/train", true));
    LOFTSCOPE_TRY(set.test,
                  paired(folder / "images" / testSplit, folder / "labels" / testSplit, true));
    return set;
}

Result<LabelledPictures> openCoco128(const fs::path& folder, CocoClasses classes) {
    LabelledPictures set;
    set.classOfLabel.fill(ignoredLabel);
    if (classes == CocoClasses::Supercategories) {
        for (const Supercategory& super : supercategories()) {
            for (const auto& [first, last] : super.categories)
                for (int label = first; label <= last; ++label)
                    set.classOfLabel[static_cast<std::size_t>(label)] =
                        static_cast<std::uint8_t>(set.classes.size());
            set.classes.emplace_back(super.name);
        }
        set.title = "COCO128, 27 supercategories";
    } else {
        // "  17: cat", after a heading
        LOFTSCOPE_TRY(const std::vector<std::string> lines, linesOf(folder / "classes.txt"));
        for (const std::string& line : lines) {
            int label = 0;
            int nameAt = 0;
            if (std::sscanf(line.c_str(), " %d: %n", &label, &nameAt) != 1 || label < 1 ||
                label > 254)
                continue;
            set.classOfLabel[static_cast<std::size_t>(label)] =
                static_cast<std::uint8_t>(set.classes.size());
            set.classes.push_back(line.substr(static_cast<std::size_t>(nameAt)));
        }
        set.title = fmt::format("COCO128, {} categories", set.classes.size());
    }
    LOFTSCOPE_TRY(set.train,
                  paired(folder / "images/train2017", folder / "semantic/train2017", false));
    LOFTSCOPE_TRY(set.test, paired(folder / "images/val2017", folder / "semantic/val2017", false));
    return set;
}

Result<LabelledPictures> openLabelledFolder(const LabelledFolder& folder) {
    LabelledPictures set;
    if (folder.trainList.empty()) {
        LOFTSCOPE_TRY(set.train, paired(folder.images / "train", folder.labels / "train", true));
    } else {
        LOFTSCOPE_TRY(set.train, listed(folder, folder.trainList));
    }
    if (folder.testList.empty()) {
        LOFTSCOPE_TRY(set.test, paired(folder.images / "test", folder.labels / "test", true));
    } else {
        LOFTSCOPE_TRY(set.test, listed(folder, folder.testList));
    }
    if (!folder.classList.empty()) {
        LOFTSCOPE_TRY(set.classes, linesOf(folder.classList));
    } else {
        int largest = 0;
        for (const LabelledPicture& picture : set.train) {
            LOFTSCOPE_TRY(const LabelMap map, decodeLabelMap(picture.labels));
            for (const std::uint8_t label : map.labels)
                if (label != ignoredLabel) largest = std::max<int>(largest, label);
        }
        for (int k = 0; k <= largest; ++k)
            set.classes.push_back(std::to_string(k));
    }
    if (set.classes.empty() || set.classes.size() > ignoredLabel)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("The list '{}' names {} classes: 1 to 255 are possible.",
                                folder.classList.string(), set.classes.size()));
    set.classOfLabel.fill(ignoredLabel);
    for (std::size_t k = 0; k < set.classes.size(); ++k)
        set.classOfLabel[k] = static_cast<std::uint8_t>(k);
    set.title = fmt::format("{}, {} classes", folder.images.string(), set.classes.size());
    return set;
}

std::vector<LabelledPicture> evenlySpaced(const std::vector<LabelledPicture>& pictures,
                                          std::int64_t count) {
    const auto total = static_cast<std::int64_t>(pictures.size());
    if (count <= 0 || count >= total) return pictures;
    std::vector<LabelledPicture> chosen;
    for (std::int64_t i = 0; i < count; ++i)
        chosen.push_back(pictures[static_cast<std::size_t>(i * total / count)]);
    return chosen;
}

Result<at::Tensor> readClasses(const LabelledPictures& set, const LabelledPicture& picture) {
    LOFTSCOPE_TRY(const LabelMap map, decodeLabelMap(picture.labels));
    at::Tensor classes = at::empty({map.extent.height, map.extent.width}, at::kByte);
    std::ranges::transform(map.labels, classes.mutable_data_ptr<std::uint8_t>(),
                           [&](std::uint8_t label) { return set.classOfLabel[label]; });
    return classes;
}

} // namespace loftscope
