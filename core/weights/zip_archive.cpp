// SPDX-License-Identifier: Apache-2.0
#include "core/weights/zip_archive.h"

#include <fmt/format.h>

#include <utility>
#include <zip.h>

namespace loftscope {

namespace {

/// Weights hardly compress; source code in TorchScript archives does, a few times.
constexpr std::uint64_t largestExpansion = 16;
constexpr std::uint64_t alwaysAllowed = std::uint64_t{1} << 20U;

} // namespace

struct ZipArchive::State {
    std::shared_ptr<const MappedFile> file; // libzip reads from its bytes
    zip_t* archive = nullptr;
    Entries entries;
    std::map<std::string, zip_uint64_t, std::less<>> indices;

    State() = default;
    ~State() {
        if (archive != nullptr) zip_discard(archive);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

ZipArchive::ZipArchive(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;
ZipArchive& ZipArchive::operator=(ZipArchive&&) noexcept = default;
ZipArchive::~ZipArchive() = default;

Result<ZipArchive> ZipArchive::open(std::shared_ptr<const MappedFile> file) {
    auto state = std::make_unique<State>();
    state->file = std::move(file);
    const std::span<const std::byte> bytes = state->file->bytes();

    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (source != nullptr) {
        state->archive = zip_open_from_source(source, ZIP_RDONLY, &error);
        if (state->archive == nullptr) zip_source_free(source);
    }
    zip_error_fini(&error);
    if (state->archive == nullptr)
        return fail(ErrorCode::Malformed, "its zip archive is truncated or damaged");

    std::uint64_t total = 0;
    const zip_int64_t count = zip_get_num_entries(state->archive, 0);
    for (zip_uint64_t index = 0; std::cmp_less(index, count); ++index) {
        zip_stat_t status;
        constexpr zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
        if (zip_stat_index(state->archive, index, ZIP_FL_ENC_RAW, &status) != 0 ||
            (status.valid & needed) != needed)
            return fail(ErrorCode::Malformed, "its zip archive is damaged");
        const std::string name = status.name;
        if (name.ends_with('/')) continue;
        if (status.comp_size > bytes.size() || status.size > (std::uint64_t{1} << 62U) ||
            __builtin_add_overflow(total, status.size, &total))
            return fail(ErrorCode::Malformed,
                        fmt::format("its entry '{}' claims an absurd size", name));
        if (!state->indices.emplace(name, index).second)
            return fail(ErrorCode::Malformed, fmt::format("it has two entries named '{}'", name));
        state->entries.emplace(name, status.size);
    }
    if (total / largestExpansion > bytes.size() + alwaysAllowed) {
        return fail(ErrorCode::Malformed,
                    fmt::format("it would unpack to {} times its size", total / bytes.size()));
    }
    return ZipArchive(std::move(state));
}

const ZipArchive::Entries& ZipArchive::entries() const {
    return state_->entries;
}

Result<void> ZipArchive::read(std::string_view name, std::span<std::byte> into) const {
    const auto found = state_->indices.find(name);
    if (found == state_->indices.end())
        return fail(ErrorCode::NotFound, fmt::format("it has no entry '{}'", name));
    if (state_->entries.find(name)->second != into.size())
        return fail(ErrorCode::Malformed, fmt::format("its entry '{}' has another size", name));

    zip_file_t* entry = zip_fopen_index(state_->archive, found->second, 0);
    if (entry == nullptr) {
        const int reason = zip_error_code_zip(zip_get_error(state_->archive));
        if (reason == ZIP_ER_COMPNOTSUPP || reason == ZIP_ER_ENCRNOTSUPP ||
            reason == ZIP_ER_NOPASSWD)
            return fail(ErrorCode::Unsupported,
                        fmt::format("its entry '{}' is encrypted or packed in an unknown way; save "
                                    "it again with torch.save",
                                    name));
        return fail(ErrorCode::Malformed, fmt::format("its entry '{}' is damaged", name));
    }
    std::size_t position = 0;
    zip_int64_t got = 0;
    while (position < into.size() &&
           (got = zip_fread(entry, into.data() + position, into.size() - position)) > 0)
        position += static_cast<std::size_t>(got);
    // The checksum is compared when the end is met, hence one more read.
    std::byte beyond{};
    const bool whole = position == into.size() && zip_fread(entry, &beyond, 1) == 0;
    const bool checksumWrong = zip_error_code_zip(zip_file_get_error(entry)) == ZIP_ER_CRC;
    zip_fclose(entry);
    if (whole && !checksumWrong) return {};
    return fail(ErrorCode::Malformed,
                fmt::format("its entry '{}' is damaged ({}); fetch the file again", name,
                            checksumWrong ? "wrong checksum" : "wrong size"));
}

Result<std::string> ZipArchive::readText(std::string_view name, std::uint64_t largest) const {
    const auto found = state_->entries.find(name);
    if (found == state_->entries.end())
        return fail(ErrorCode::NotFound, fmt::format("it has no entry '{}'", name));
    if (found->second > largest) {
        return fail(ErrorCode::Malformed,
                    fmt::format("its entry '{}' claims an absurd size", name));
    }
    std::string text(found->second, '\0');
    LOFTSCOPE_CHECK(read(name, std::as_writable_bytes(std::span(text))));
    return text;
}

} // namespace loftscope
