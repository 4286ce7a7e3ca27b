// SPDX-License-Identifier: Apache-2.0
#include "core/weights/tensor_file.h"

#include "core/base/guard.h"
#include "core/weights/mapped_file.h"
#include "core/weights/npy.h"
#include "core/weights/safetensors.h"
#ifndef LOFTSCOPE_COMPUTE_ONLY // no OpenSSL, no libzip there
#include "core/base/sha256.h"
#include "core/weights/pth.h"
#endif

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 6> tensorEndings{".npy", ".safetensors", ".pth",
                                                        ".pt",  ".bin",         ".ckpt"};

bool startsWith(std::span<const std::byte> bytes, std::string_view text) {
    return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

/// A safetensors file has no magic number: a length, then a JSON object.
bool looksLikeSafetensors(std::span<const std::byte> bytes) {
    std::uint64_t headerSize = 0;
    if (bytes.size() <= sizeof(headerSize)) return false;
    std::memcpy(&headerSize, bytes.data(), sizeof(headerSize));
    return std::to_integer<char>(bytes[sizeof(headerSize)]) == '{' &&
           headerSize <= maxSafetensorsHeader;
}

/// Protocols 2 to 5 start so; legacy torch.save files are a row of such pickles.
bool looksLikePickle(std::span<const std::byte> bytes) {
    return bytes.size() > 2 && std::to_integer<int>(bytes[0]) == 0x80 &&
           std::to_integer<int>(bytes[1]) >= 2 && std::to_integer<int>(bytes[1]) <= 5;
}

/// Text out of a file may hold terminal commands; messages must not.
std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](unsigned char letter) { return letter < 0x20 || letter == 0x7F; }, '?');
    return text;
}

std::string lowerCase(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return text;
}

Result<TensorFile> readFormat(const std::shared_ptr<const MappedFile>& mapped,
                              const fs::path& path) {
    const std::span<const std::byte> bytes = mapped->bytes();
    TensorFile file;
    file.path = path;
    if (startsWith(bytes, "\x93NUMPY")) {
        file.format = TensorFormat::Npy;
        LOFTSCOPE_CHECK(readNpy(mapped, file));
        return file;
    }
    if (looksLikeSafetensors(bytes) || lowerCase(path.extension().string()) == ".safetensors") {
        file.format = TensorFormat::Safetensors;
        LOFTSCOPE_CHECK(readSafetensors(mapped, file));
        return file;
    }
    if (startsWith(bytes, "PK\x03\x04") || startsWith(bytes, "PK\x05\x06")) {
#ifdef LOFTSCOPE_COMPUTE_ONLY
        return fail(ErrorCode::Unsupported,
                    fmt::format("'{}' is a zip archive, which this build cannot read: give "
                                "safetensors.",
                                path.string()));
#else
        LOFTSCOPE_CHECK(readPth(mapped, file));
        return file;
#endif
    }
    if (looksLikePickle(bytes)) {
        return fail(
            ErrorCode::Unsupported,
            fmt::format("'{}' is a bare pickle, as PyTorch wrote before version 1.6; save it "
                        "again in Python with torch.save(torch.load(OLD, weights_only=True), NEW).",
                        path.string()));
    }
    return fail(ErrorCode::Unsupported,
                fmt::format("'{}' is not a tensor file that is known here: give safetensors, a "
                            "PyTorch .pth, a TorchScript archive or .npy.",
                            path.string()));
}

Result<TensorFile> readMapped(const fs::path& path, [[maybe_unused]] bool withDigest,
                              [[maybe_unused]] const RunContext& context) {
    Result<TensorFile> read =
        guarded(fmt::format("reading '{}'", path.string()), [&]() -> Result<TensorFile> {
            LOFTSCOPE_TRY(const std::shared_ptr<const MappedFile> mapped, MappedFile::open(path));
            LOFTSCOPE_TRY(TensorFile file, readFormat(mapped, path));
#ifndef LOFTSCOPE_COMPUTE_ONLY
            if (withDigest) file.sha256 = sha256(mapped->bytes(), context);
#endif
            for (std::string& warning : file.warnings)
                warning = printable(std::move(warning));
            return file;
        });
    if (!read) read.error().message = printable(std::move(read.error().message));
    return read;
}

struct Reference {
    std::string path;
    std::optional<std::string> key;
};

/// Splits `FILE:KEY` after the first known ending; nothing if there is none.
std::optional<Reference> splitReference(const std::string& reference) {
    const std::string lower = lowerCase(reference);
    for (std::size_t colon = lower.find(':'); colon != std::string::npos;
         colon = lower.find(':', colon + 1)) {
        const std::string_view before = std::string_view(lower).substr(0, colon);
        for (const std::string_view ending : tensorEndings) {
            if (before.ends_with(ending))
                return Reference{reference.substr(0, colon), reference.substr(colon + 1)};
        }
    }
    for (const std::string_view ending : tensorEndings) {
        if (lower.ends_with(ending)) return Reference{reference, std::nullopt};
    }
    return std::nullopt;
}

std::string listKeys(const StateDict& tensors) {
    constexpr std::size_t shown = 12;
    std::vector<std::string> keys;
    for (const auto& [key, tensor] : tensors) {
        if (keys.size() == shown) break;
        keys.push_back(key.empty() ? "(unnamed)" : key);
    }
    std::string text = fmt::format("{}", fmt::join(keys, ", "));
    if (tensors.size() > shown) text += fmt::format(" and {} more", tensors.size() - shown);
    return text;
}

} // namespace

std::string_view nameOf(TensorFormat format) {
    switch (format) {
    case TensorFormat::Safetensors:
        return "safetensors";
    case TensorFormat::TorchZip:
        return "PyTorch .pth (zip)";
    case TensorFormat::TorchScript:
        return "TorchScript archive";
    case TensorFormat::Npy:
        return ".npy";
    }
    return "unknown";
}

Result<TensorFile> readTensorFile(const fs::path& path, const RunContext& context) {
    return readMapped(path, true, context);
}

bool namesTensor(const std::string& reference) {
    return splitReference(reference).has_value();
}

Result<at::Tensor> readTensor(const std::string& reference) {
    Reference parts = splitReference(reference).value_or(Reference{reference, std::nullopt});
    std::error_code ignored;
    if (parts.key && fs::exists(reference, ignored)) parts = {reference, std::nullopt};
    LOFTSCOPE_TRY(TensorFile file, readMapped(parts.path, false, {}));

    if (!parts.key) {
        if (file.tensors.size() == 1) return std::move(file.tensors.begin()->second);
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("'{}' holds {} tensors, name one as {}:KEY: {}.", parts.path,
                                file.tensors.size(), parts.path, listKeys(file.tensors)));
    }
    const auto found = file.tensors.find(*parts.key);
    if (found == file.tensors.end()) {
        return fail(ErrorCode::NotFound,
                    fmt::format("'{}' has no tensor '{}'; it has {}.", parts.path, *parts.key,
                                listKeys(file.tensors)));
    }
    return found->second;
}

} // namespace loftscope
