// SPDX-License-Identifier: Apache-2.0
#include "core/train/photo_files.h"

#include "core/base/guard.h"
#include "core/image/decode.h"
#include "core/image/label_map.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

at::Tensor tensorFrom(std::span<const std::uint8_t> values, at::IntArrayRef shape) {
    at::Tensor tensor = at::empty(shape, at::kByte);
    std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::uint8_t>());
    return tensor;
}

at::Tensor pixelsOf(const Image& image) {
    return tensorFrom(image.pixels(), {image.height(), image.width(), 3});
}

at::Tensor numbersOf(const LabelMap& map) {
    return tensorFrom(map.labels, {map.extent.height, map.extent.width});
}

bool isPicture(const fs::path& path) {
    std::string ending = path.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    constexpr std::array endings{".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"};
    return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

class FolderSource final : public PhotoSource {
public:
    struct Entry {
        std::string name; ///< path below the folder
        fs::path photo;
        std::vector<fs::path> labels;
    };
    FolderSource(std::vector<Entry> entries, LabelMeaning meaning)
        : entries_(std::move(entries))
        , meaning_(meaning) {}

    std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
    std::string name(std::int64_t index) const override {
        return entries_[static_cast<std::size_t>(index)].name;
    }
    std::int64_t classSets() const override { return namesClasses(meaning_) ? 1 : 0; }
    Result<TrainingPhoto> load(std::int64_t index) const override {
        const Entry& entry = entries_[static_cast<std::size_t>(index)];
        LOFTSCOPE_TRY(const Photo decoded, decodePhoto(entry.photo));
        TrainingPhoto photo;
        photo.pixels = pixelsOf(decoded.image);
        for (const fs::path& path : entry.labels) {
            LOFTSCOPE_TRY(const LabelMap map, decodeLabelMap(path));
            if (map.extent != decoded.image.extent()) {
                return fail(ErrorCode::Mismatch,
                            fmt::format("The label map '{}' has another size than its photo.",
                                        path.string()));
            }
            addLabels(photo, numbersOf(map), meaning_);
        }
        return photo;
    }

private:
    std::vector<Entry> entries_;
    LabelMeaning meaning_;
};

bool startsWithAny(const std::string& name, const std::vector<std::string>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return name.starts_with(prefix); });
}

/// The label maps of the photo `below` (a path without ending, relative to its folder).
std::vector<fs::path> labelMapsOf(const fs::path& below, const fs::path& labels) {
    std::vector<fs::path> maps;
    const fs::path folder = labels / below.parent_path();
    const std::string stem = below.filename().string();
    std::error_code code;
    for (const auto& file : fs::directory_iterator(folder, code)) {
        const std::string candidate = file.path().stem().string();
        if (file.path().extension() == ".png" &&
            (candidate == stem || candidate.starts_with(stem + "_")))
            maps.push_back(file.path());
    }
    std::sort(maps.begin(), maps.end());
    return maps;
}

} // namespace

PictureDecoder filePictureDecoder() {
    return {[](std::span<const std::byte> bytes, const std::string& name) -> Result<at::Tensor> {
                LOFTSCOPE_TRY(const Photo photo, decodePhoto(bytes, name));
                return pixelsOf(photo.image);
            },
            [](std::span<const std::byte> bytes, const std::string& name) -> Result<at::Tensor> {
                LOFTSCOPE_TRY(const LabelMap map, decodeLabelMap(bytes, name));
                return numbersOf(map);
            }};
}

Result<std::unique_ptr<PhotoSource>> openPhotoFolder(const fs::path& folder,
                                                     const PhotoFolderOptions& options) {
    return guarded("listing training photos", [&]() -> Result<std::unique_ptr<PhotoSource>> {
        const auto missing = [](const fs::path& path) {
            return fail(ErrorCode::NotFound,
                        fmt::format("There is no folder '{}'.", path.string()));
        };
        if (!fs::is_directory(folder)) return missing(folder);
        if (!options.labels.empty() && !fs::is_directory(options.labels))
            return missing(options.labels);
        std::vector<FolderSource::Entry> entries;
        for (const auto& file : fs::recursive_directory_iterator(folder)) {
            if (!file.is_regular_file() || !isPicture(file.path())) continue;
            const fs::path below = file.path().lexically_relative(folder);
            if (startsWithAny(below.generic_string(), options.skip)) continue;
            FolderSource::Entry entry{below.generic_string(), file.path(), {}};
            if (!options.labels.empty())
                entry.labels = labelMapsOf(fs::path(below).replace_extension(), options.labels);
            entries.push_back(std::move(entry));
        }
        if (entries.empty())
            return fail(ErrorCode::NotFound,
                        fmt::format("There is no picture in the folder '{}'.", folder.string()));
        std::sort(entries.begin(), entries.end(),
                  [](const auto& a, const auto& b) { return a.name < b.name; });
        const std::vector<FolderSource::Entry> once = entries;
        for (std::int64_t i = 1; i < options.times; ++i)
            entries.insert(entries.end(), once.begin(), once.end());
        return std::make_unique<FolderSource>(std::move(entries), options.meaning);
    });
}

} // namespace loftscope
