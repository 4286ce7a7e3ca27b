// SPDX-License-Identifier: Apache-2.0
// Zip archives of torch.save (.pth, .pt, .bin, .ckpt) and TorchScript: their tensors, nothing else.
#pragma once

#include "core/weights/mapped_file.h"
#include "core/weights/tensor_file.h"

#include <memory>

namespace loftscope {

/// Fills `file.tensors`, `file.format` and `file.warnings`. Of several nested dictionaries of
/// tensors (`state_dict`, `model`, `ema`, ...) the largest is taken and the choice is said. In a
/// TorchScript archive, or where a whole module was saved, attributes joined by dots give the
/// names. Errors: Malformed, Unsupported (big endian, not PyTorch's), NotFound (no tensors).
Result<void> readPth(const std::shared_ptr<const MappedFile>& mapped, TensorFile& file);

} // namespace loftscope
