// SPDX-License-Identifier: Apache-2.0
#include "core/train/photo_files.h"
#include "core/weights/mapped_file.h"
#include "core/weights/safetensors.h"

namespace loftscope {

Result<std::unique_ptr<PhotoSource>> openPhotoPack(const std::filesystem::path& path,
                                                   const std::vector<std::string>& skip) {
    LOFTSCOPE_TRY(const auto mapped, MappedFile::open(path));
    TensorFile file;
    file.path = path;
    LOFTSCOPE_CHECK(readSafetensors(mapped, file));
    return makePackSource(file.tensors, file.metadata, path.filename().string(),
                          filePictureDecoder(), skip);
}

} // namespace loftscope
