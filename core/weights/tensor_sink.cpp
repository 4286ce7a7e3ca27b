// SPDX-License-Identifier: Apache-2.0
#include "core/weights/tensor_sink.h"

#include "core/base/guard.h"
#include "core/base/metadata_file.h"
#include "core/base/part_file.h"
#include "core/weights/npy.h"
#include "core/weights/safetensors.h"
#include "core/weights/tensor_extents.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace loftscope {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

/// Of blocks that wait to be written together.
constexpr std::int64_t mostWaitingBytes = std::int64_t{32} << 20;

std::string dump(const ordered_json& value) {
    return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// Length and text of a safetensors header, padded so that the data start at a multiple of 8 bytes.
std::string safetensorsHeader(ordered_json header,
                              const std::map<std::string, std::string>& metadata) {
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::string text = dump(header);
    text.append((text.size() + 7) / 8 * 8 - text.size(), ' ');
    const std::uint64_t length = text.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    return bytes + text;
}

ordered_json describe(std::string_view type, at::IntArrayRef shape, std::int64_t begin,
                      std::int64_t end) {
    return {{"dtype", type}, {"shape", shape.vec()}, {"data_offsets", {begin, end}}};
}

std::span<const std::byte> bytesOf(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

Result<std::string> headerFor(const fs::path& path, const std::vector<std::int64_t>& shape,
                              std::int64_t dataSize, const std::string& key,
                              const std::map<std::string, std::string>& metadata) {
    const std::string ending = path.extension().string();
    if (ending == ".npy") return npyHeader(shape);
    if (ending == ".safetensors") {
        return safetensorsHeader({{key, describe("F32", shape, 0, dataSize)}}, metadata);
    }
    return fail(ErrorCode::InvalidArgument,
                fmt::format("Cannot write features to '{}': the name must end in .npy or "
                            ".safetensors.",
                            path.string()));
}

} // namespace

struct TensorSink::State {
    PartFile file;
    std::vector<std::int64_t> shape;
    std::int64_t dataStart = 0; // behind the header
    /// Neighbouring blocks of a row of blocks that wait to be written together: a file has the rows
    /// of a plane one behind the other, so that every block alone is many short pieces.
    std::vector<at::Tensor> waiting;
    Rect waitingRect;
    Result<void> outcome; // of all writing so far
    fs::path beside;      // of an .npy, which has no place for metadata
    std::map<std::string, std::string> metadata;

    explicit State(PartFile part)
        : file(std::move(part)) {}

    void flush() {
        std::vector<float> row(static_cast<std::size_t>(waitingRect.width));
        for (std::int64_t c = 0; !waiting.empty() && c < shape[0]; ++c) {
            for (std::int64_t y = 0; y < waitingRect.height && outcome; ++y) {
                auto end = row.begin();
                for (const at::Tensor& block : waiting) {
                    const std::int64_t width = block.size(2);
                    end =
                        std::copy_n(block.const_data_ptr<float>() + (c * block.size(1) + y) * width,
                                    width, end);
                }
                const std::int64_t place =
                    (c * shape[1] + waitingRect.y + y) * shape[2] + waitingRect.x;
                outcome = file.writeAt(dataStart + place * static_cast<std::int64_t>(sizeof(float)),
                                       std::as_bytes(std::span(row)));
            }
        }
        waiting.clear();
    }
};

TensorSink::TensorSink(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
TensorSink::TensorSink(TensorSink&&) noexcept = default;
TensorSink& TensorSink::operator=(TensorSink&&) noexcept = default;
TensorSink::~TensorSink() = default;

Result<TensorSink> TensorSink::create(const fs::path& path, std::vector<std::int64_t> shape,
                                      const std::string& key,
                                      const std::map<std::string, std::string>& metadata) {
    return guarded(fmt::format("preparing '{}'", path.string()), [&]() -> Result<TensorSink> {
        const std::optional<std::int64_t> count = elementCount(shape);
        std::int64_t dataSize = 0;
        if (!count || __builtin_mul_overflow(*count, std::int64_t{sizeof(float)}, &dataSize)) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("Cannot write '{}': the array would be absurdly large.",
                                    path.string()));
        }
        LOFTSCOPE_TRY(const std::string header, headerFor(path, shape, dataSize, key, metadata));
        LOFTSCOPE_TRY(PartFile part, PartFile::create(path));
        auto state = std::make_unique<State>(std::move(part));
        state->dataStart = static_cast<std::int64_t>(header.size());
        LOFTSCOPE_CHECK(state->file.reserve(state->dataStart + dataSize));
        LOFTSCOPE_CHECK(state->file.append(bytesOf(header)));
        state->shape = std::move(shape);
        if (path.extension() == ".npy" && !metadata.empty()) {
            state->beside = path;
            state->metadata = metadata;
        }
        return TensorSink(std::move(state));
    });
}

void TensorSink::write(const at::Tensor& block, const Rect& rect) {
    const std::vector<std::int64_t>& shape = state_->shape;
    TORCH_CHECK(shape.size() == 3 && contains({shape[1], shape[2]}, rect),
                "a block outside of the file's ", at::IntArrayRef(shape));
    const std::vector<std::int64_t> place{shape[0], rect.height, rect.width};
    TORCH_CHECK(block.sizes() == place, "a block of ", block.sizes(), " for a place of ", place);
    Rect& waiting = state_->waitingRect;
    const std::int64_t most = mostWaitingBytes / static_cast<std::int64_t>(sizeof(float));
    const bool continues = !state_->waiting.empty() && rect.y == waiting.y &&
                           rect.height == waiting.height && rect.x == waiting.right() &&
                           shape[0] * (waiting.area() + rect.area()) <= most;
    if (!continues) {
        state_->flush();
        waiting = {rect.x, rect.y, 0, rect.height};
    }
    // A copy: the caller may use the block's memory again.
    at::Tensor copy = at::empty(place);
    copy.copy_(block);
    state_->waiting.push_back(std::move(copy));
    waiting.width += rect.width;
}

void TensorSink::writeAll(const at::Tensor& values) {
    TORCH_CHECK(values.sizes() == state_->shape, "an array of ", values.sizes(), " for a file of ",
                at::IntArrayRef(state_->shape));
    const at::Tensor whole = values.to(at::kCPU, at::kFloat).contiguous();
    if (state_->outcome)
        state_->outcome = state_->file.writeAt(
            state_->dataStart, {static_cast<const std::byte*>(whole.const_data_ptr()),
                                static_cast<std::size_t>(whole.nbytes())});
}

Result<void> TensorSink::finish() {
    state_->flush();
    LOFTSCOPE_CHECK(std::move(state_->outcome));
    LOFTSCOPE_CHECK(state_->file.commit());
    return state_->beside.empty() ? Result<void>{}
                                  : writeMetadataFile(state_->beside, state_->metadata);
}

Result<void> writeSafetensors(const fs::path& path,
                              const std::map<std::string, at::Tensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
    return guarded(fmt::format("writing '{}'", path.string()), [&]() -> Result<void> {
        std::vector<std::pair<std::string, at::Tensor>> ordered(tensors.begin(), tensors.end());
        // Widest elements first, as the Python library does: every tensor is then aligned.
        std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
            return a.second.element_size() > b.second.element_size();
        });
        ordered_json header = ordered_json::object();
        std::int64_t position = 0;
        for (auto& [key, tensor] : ordered) {
            const std::optional<std::string_view> type = safetensorsTypeName(tensor.scalar_type());
            if (!type || key == "__metadata__") {
                return fail(ErrorCode::InvalidArgument,
                            fmt::format("The tensor '{}' cannot be written to '{}': safetensors "
                                        "has no such {}.",
                                        key, path.string(), type ? "key" : "element type"));
            }
            const auto end =
                position + static_cast<std::int64_t>(tensor.numel() * tensor.element_size());
            header[key] = describe(*type, tensor.sizes(), position, end);
            position = end;
        }
        const std::string headerBytes = safetensorsHeader(std::move(header), metadata);
        LOFTSCOPE_TRY(PartFile part, PartFile::create(path));
        LOFTSCOPE_CHECK(part.reserve(static_cast<std::int64_t>(headerBytes.size()) + position));
        LOFTSCOPE_CHECK(part.append(bytesOf(headerBytes)));
        for (const auto& [key, tensor] : ordered) {
            const at::Tensor whole = tensor.to(at::kCPU).contiguous();
            LOFTSCOPE_CHECK(part.append({static_cast<const std::byte*>(whole.const_data_ptr()),
                                         static_cast<std::size_t>(whole.nbytes())}));
        }
        return part.commit();
    });
}

} // namespace loftscope
