// SPDX-License-Identifier: Apache-2.0
// Photos with one class per pixel: the data of segmentation probes.
#pragma once

#include "core/base/error.h"

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace loftscope {

struct LabelledPicture {
    std::string name; ///< path below the folder of photos, without ending
    std::filesystem::path photo;
    std::filesystem::path labels; ///< an indexed PNG
};

struct LabelledPictures {
    std::string title; ///< e.g. "CamVid, 11 classes"
    std::vector<std::string> classes;
    /// What a number of a label map means: a class, or 255 where the pixel does not count.
    std::array<std::uint8_t, 256> classOfLabel{};
    std::vector<LabelledPicture> train;
    std::vector<LabelledPicture> test;
};

/// How COCO's panoptic categories are merged.
enum class CocoClasses {
    Supercategories, ///< 27: 12 of things, 15 of stuff
    Categories,      ///< those of classes.txt, as they are
};

/// `images/SPLIT/ID.jpg`, `labels/SPLIT/ID.png` with CamVid's 11 classes, 255 = unlabelled.
/// `testSplit` is "test" or "val". Errors: NotFound (a folder, a label map).
Result<LabelledPictures> openCamVid(const std::filesystem::path& folder,
                                    const std::string& testSplit = "test");

/// `images/{train2017,val2017}`, `semantic/...` with panoptic category numbers, 0 = unlabelled.
/// Photos without a label map are left out.
Result<LabelledPictures> openCoco128(const std::filesystem::path& folder, CocoClasses classes);

struct LabelledFolder {
    std::filesystem::path images;
    std::filesystem::path labels;
    /// Files with one name a line (below the folder of photos, ending optional). Empty: every photo
    /// below `images/train` and `images/test`.
    std::filesystem::path trainList;
    std::filesystem::path testList;
    /// One class a line, in the order of the labels 0, 1, ...; empty: numbers, up to the largest
    /// label of the training pictures but 255.
    std::filesystem::path classList;
};

/// Photos and label maps of the same names in two folders.
Result<LabelledPictures> openLabelledFolder(const LabelledFolder& folder);

/// `count` of them, evenly spaced, in their order; all if 0 or more than there are.
std::vector<LabelledPicture> evenlySpaced(const std::vector<LabelledPicture>& pictures,
                                          std::int64_t count);

/// Class per pixel, H x W, uint8. Errors: those of reading.
Result<at::Tensor> readClasses(const LabelledPictures& set, const LabelledPicture& picture);

} // namespace loftscope
