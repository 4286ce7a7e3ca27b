// SPDX-License-Identifier: Apache-2.0
// A checkpoint or data file with named tensors, whatever its format.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/weights/state_dict.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace loftscope {

enum class TensorFormat { Safetensors, TorchZip, TorchScript, Npy };

/// "safetensors", "PyTorch .pth (zip)", "TorchScript archive", ".npy"
std::string_view nameOf(TensorFormat format);

struct TensorFile {
    std::filesystem::path path;
    TensorFormat format = TensorFormat::Safetensors;
    std::string sha256; ///< of the whole file, lower-case hexadecimal; of a checkpoint in parts: of
                        ///< its parts' digests, written one after the other
    StateDict tensors;  ///< a .npy has one, under the key ""
    std::map<std::string, std::string> metadata; ///< safetensors' __metadata__
    std::vector<std::string>
        warnings; ///< one sentence each, e.g. foreign objects that were left inert
};

/// Reads every tensor of a file; the format is recognised from the content, not the name. Nothing
/// in the file is ever executed. safetensors are memory-mapped: the tensors share the mapping.
/// Of a checkpoint that was cut into parts, `path` may be its index (`*.index.json`) or any part
/// (`*-00001-of-00003.*`); all of them are read.
/// Errors: NotFound (also of a part), Malformed (truncated, out of bounds, wrong CRC), Unsupported
/// (legacy .pth, not a tensor file), Cancelled (while hashing).
Result<TensorFile> readTensorFile(const std::filesystem::path& path,
                                  const RunContext& context = {});

/// One tensor given as `FILE.npy`, `FILE.safetensors:KEY` or `FILE.pth:KEY`; KEY may be left out
/// where the file has a single tensor. An unknown key is answered with the keys there are.
Result<at::Tensor> readTensor(const std::string& reference);

/// True if `reference` names a tensor rather than a picture (by the file's ending before an
/// optional `:KEY`).
bool namesTensor(const std::string& reference);

} // namespace loftscope
