// SPDX-License-Identifier: Apache-2.0
#include "core/base/sha256.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <openssl/evp.h>
#include <vector>

namespace loftscope {

namespace {

class Digest {
public:
    Digest()
        : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    }
    void update(const void* data, std::size_t size) {
        EVP_DigestUpdate(context_.get(), data, size);
    }
    std::string finish() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
        unsigned int size = 0;
        EVP_DigestFinal_ex(context_.get(), bytes.data(), &size);
        std::string text;
        for (unsigned int i = 0; i < size; ++i)
            text += fmt::format("{:02x}", bytes[i]);
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

} // namespace

std::string sha256(std::span<const std::byte> bytes, const RunContext& context) {
    constexpr std::size_t piece = std::size_t{16} << 20U; // some 10 ms, more from a slow disk
    Digest digest;
    for (std::size_t done = 0; done < bytes.size(); done += piece) {
        context.throwIfStopped();
        context.progress("hashing the file",
                         static_cast<double>(done) / static_cast<double>(bytes.size()));
        const auto part = bytes.subspan(done, std::min(piece, bytes.size() - done));
        digest.update(part.data(), part.size());
    }
    return digest.finish();
}

Result<std::string> sha256OfFile(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorCode::NotFound, fmt::format("Cannot open '{}'.", path.string()));
    Digest digest;
    std::vector<char> buffer(std::size_t{1} << 20U);
    while (file) {
        file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        digest.update(buffer.data(), static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad())
        return fail(ErrorCode::Malformed, fmt::format("Reading '{}' failed.", path.string()));
    return digest.finish();
}

} // namespace loftscope
