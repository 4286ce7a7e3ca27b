// SPDX-License-Identifier: Apache-2.0
// For machines with LibTorch alone: packs of decoded photos can be opened, nothing else.
#include "core/train/photo_files.h"

#include <fmt/format.h>

namespace loftscope {

namespace {

std::unexpected<Error> noDecoder(const std::string& name) {
    return fail(ErrorCode::Unsupported,
                fmt::format("'{}' cannot be decoded by this build: decode it with `loftscope train "
                            "pack` of the whole program and give that pack.",
                            name));
}

} // namespace

PictureDecoder filePictureDecoder() {
    const auto refuse = [](std::span<const std::byte>,
                           const std::string& name) -> Result<at::Tensor> {
        return noDecoder(name);
    };
    return {refuse, refuse};
}

Result<std::unique_ptr<PhotoSource>> openPhotoFolder(const std::filesystem::path& folder,
                                                     const PhotoFolderOptions&) {
    return noDecoder(folder.string());
}

} // namespace loftscope
