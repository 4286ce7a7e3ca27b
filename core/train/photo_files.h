// SPDX-License-Identifier: Apache-2.0
// Training photos from files: packs and folders. This part of training needs OpenCV.
#pragma once

#include "core/base/error.h"
#include "core/train/photo_source.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

/// Decodes photos and label maps with the program's own readers.
PictureDecoder filePictureDecoder();

/// A pack (`.safetensors`, see makePackSource), read through a memory map. Errors: NotFound,
/// Malformed.
Result<std::unique_ptr<PhotoSource>> openPhotoPack(const std::filesystem::path& path,
                                                   const std::vector<std::string>& skip = {});

struct PhotoFolderOptions {
    std::filesystem::path labels; ///< folder of label maps; empty: none
    LabelMeaning meaning = LabelMeaning::SegmentsButZero;
    std::vector<std::string> skip; ///< prefixes of paths below the folder
    std::int64_t times = 1;        ///< that every photo is there
};

/// Every picture below a folder, in the order of its path. The label maps of `a/NAME.jpg` are
/// `a/NAME.png` and `a/NAME_*.png` in the folder of label maps; where these name classes, the first
/// of a photo says what they are. Errors: NotFound (a folder is
/// missing, there is no picture).
Result<std::unique_ptr<PhotoSource>> openPhotoFolder(const std::filesystem::path& folder,
                                                     const PhotoFolderOptions& options = {});

} // namespace loftscope
