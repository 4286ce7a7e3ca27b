// SPDX-License-Identifier: Apache-2.0
// Which features an upsampler was trained for, as far as its file tells.
#pragma once

#include "core/weights/tensor_file.h"

#include <string>

namespace loftscope {

struct TrainedFor {
    std::string lineage;        ///< as ModelIdentity::lineage of a backbone; empty: not known
    std::string backbone;       ///< its name, where the file says it: "ViT-Ti/16"
    std::string backboneSha256; ///< of the backbone's own file, where the upsampler's says it
};

/// From the metadata that LoftScope's training writes, else from the publisher's file names
/// (`loftup_dinov2s_reg`, `maskclip_jbu_stack_cocostuff`, Hugging Face's folder `loftup-clip`),
/// else from the SHA-256 of published files.
TrainedFor trainedFor(const TensorFile& file);

} // namespace loftscope
