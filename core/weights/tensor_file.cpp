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
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
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

constexpr std::string_view indexEnding = ".index.json";

/// The files that Hugging Face's index of a cut checkpoint names.
Result<std::vector<fs::path>> partsOfIndex(const fs::path& path) {
    LOFTSCOPE_TRY(const std::shared_ptr<const MappedFile> mapped, MappedFile::open(path));
    const auto* const text = reinterpret_cast<const char*>(mapped->bytes().data());
    const auto index =
        nlohmann::json::parse(text, text + mapped->bytes().size(), nullptr, /*exceptions=*/false);
    std::set<std::string> names;
    if (index.is_object() && index.contains("weight_map")) {
        for (const auto& [key, file] : index["weight_map"].items()) {
            const std::string name = file.is_string() ? file.get<std::string>() : "";
            // Beside the index, nowhere else.
            if (name.empty() || fs::path(name).filename() != name) {
                names.clear();
                break;
            }
            names.insert(name);
        }
    }
    if (names.empty()) {
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' is not an index of a checkpoint's parts.", path.string()));
    }
    std::vector<fs::path> parts;
    for (const std::string& name : names)
        parts.push_back(path.parent_path() / name);
    return parts;
}

/// All parts of the checkpoint of which `path` is one by its name
/// ("model-00002-of-00005.safetensors"); empty where it is none.
std::vector<fs::path> partsBeside(const fs::path& path) {
    constexpr std::size_t digits = 5;
    constexpr std::string_view of = "-of-";
    constexpr std::size_t length = 1 + digits + of.size() + digits;
    const std::string stem = path.stem().string();
    if (stem.size() <= length) return {};
    const std::string_view tail = std::string_view(stem).substr(stem.size() - length);
    const auto number = [&](std::size_t from) -> std::size_t {
        std::size_t value = 0;
        const char* const begin = tail.data() + from;
        const auto [end, error] = std::from_chars(begin, begin + digits, value);
        return error == std::errc() && end == begin + digits ? value : 0;
    };
    const std::size_t place = number(1);
    const std::size_t count = number(1 + digits + of.size());
    if (tail[0] != '-' || tail.substr(1 + digits, of.size()) != of || place < 1 || place > count ||
        count < 2)
        return {};
    std::vector<fs::path> parts;
    for (std::size_t i = 1; i <= count; ++i) {
        parts.push_back(path.parent_path() / fmt::format("{}-{:05}-of-{:05}{}",
                                                         stem.substr(0, stem.size() - length), i,
                                                         count, path.extension().string()));
    }
    return parts;
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
    std::vector<fs::path> parts = partsBeside(path);
    if (path.filename().string().ends_with(indexEnding)) {
        LOFTSCOPE_TRY(parts, partsOfIndex(path));
    }
    if (parts.empty()) return readMapped(path, true, context);
    for (const fs::path& part : parts) {
        std::error_code ignored;
        if (fs::exists(part, ignored)) continue;
        return fail(ErrorCode::NotFound,
                    printable(fmt::format("'{}' is of a checkpoint in {} parts, but '{}' is not "
                                          "beside it: fetch that as well.",
                                          path.string(), parts.size(), part.filename().string())));
    }
    TensorFile whole;
    std::string digests;
    for (const fs::path& part : parts) {
        LOFTSCOPE_TRY(TensorFile read, readMapped(part, true, context));
        digests += read.sha256;
        whole.format = read.format;
        whole.metadata.merge(read.metadata);
        std::ranges::move(read.warnings, std::back_inserter(whole.warnings));
        whole.tensors.merge(read.tensors);
        if (!read.tensors.empty()) {
            return fail(ErrorCode::Malformed,
                        printable(fmt::format("'{}' has the tensor '{}', which another part has "
                                              "too: the parts are not of one checkpoint.",
                                              part.string(), read.tensors.begin()->first)));
        }
    }
    whole.path = path;
#ifndef LOFTSCOPE_COMPUTE_ONLY
    whole.sha256 = sha256(std::as_bytes(std::span(digests)));
#endif
    return whole;
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
