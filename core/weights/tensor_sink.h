// SPDX-License-Identifier: Apache-2.0
// Writing one fp32 array of any size to .npy or .safetensors in pieces, so that it never has to be
// in memory whole.
#pragma once

#include "core/base/error.h"
#include "core/base/geometry.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

/// An fp32 array file under construction. It is written beside its destination (`NAME.part`), its
/// whole length is reserved at the start (a full disk is noticed then, not half way), and it is
/// renamed when finished; an unfinished one removes itself.
class TensorSink {
public:
    /// The format follows the ending: .npy, or .safetensors with the one key `key` and `metadata`.
    /// Beside an .npy, which has no place for them, metadata go to NAME.npy.json.
    static Result<TensorSink> create(const std::filesystem::path& path,
                                     std::vector<std::int64_t> shape,
                                     const std::string& key = "features",
                                     const std::map<std::string, std::string>& metadata = {});
    TensorSink(TensorSink&&) noexcept;
    TensorSink& operator=(TensorSink&&) noexcept;
    ~TensorSink();

    /// Stores a C x h x w block at `rect` of the last two dimensions; the array's shape must be C x
    /// H x W.
    void write(const at::Tensor& block, const Rect& rect);
    /// Stores the whole array.
    void writeAll(const at::Tensor& values);
    /// Flushes and renames; call once.
    Result<void> finish();

private:
    struct State;
    explicit TensorSink(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Writes tensors (fp32, fp16, int64, uint8, ...) as one .safetensors file, beside and then
/// renamed.
Result<void> writeSafetensors(const std::filesystem::path& path,
                              const std::map<std::string, at::Tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

} // namespace loftscope
