// SPDX-License-Identifier: Apache-2.0
// Any network as a backbone: a TorchScript program that turns a picture into patch tokens.
#pragma once

#include "core/backbone/backbone.h"

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>

namespace loftscope {

/// Whether a file is an archive with a TorchScript program, whatever tensors it has. Executes
/// nothing.
bool holdsTorchScript(const std::filesystem::path& path);

/// Loads a TorchScript archive and runs it on a grey picture to find its patch and channels. It
/// must map 1 x 3 x H x W to 1 x N x C (patches row by row, tokens without a place in front of
/// them) or to 1 x C x h x w; of several outputs the first counts. This executes the program in the
/// file: only for files that the user trusts. Errors: NotFound, Unsupported (not such a program),
/// Malformed.
Result<std::unique_ptr<Backbone>> makeTorchScriptBackbone(const std::filesystem::path& path,
                                                          c10::Device device = c10::kCPU);

} // namespace loftscope
