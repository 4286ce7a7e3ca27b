// SPDX-License-Identifier: Apache-2.0
// Fetching a file over HTTP so that its final name only ever stands for the whole, right file.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace loftscope {

struct DownloadRequest {
    std::string url; ///< http or https; redirections are followed
    std::filesystem::path destination;
    /// Lower-case SHA-256 that the file must have, or its beginning; empty where none is known.
    /// Hugging Face tells it with the file, which counts then.
    std::string sha256;
    /// Looks at the whole file before it gets its name; its error is the download's.
    std::function<Result<void>(const std::filesystem::path&)> check;
    std::string proxy; ///< e.g. "http://host:3128"; empty: http_proxy, https_proxy and no_proxy
    std::chrono::seconds stalled{30}; ///< without a byte for so long the connection is given up
    int attempts = 5; ///< in a row that bring nothing new, before the download is given up
    std::chrono::milliseconds pause{1000}; ///< before the second attempt; doubles from then on
};

struct DownloadReport {
    std::int64_t bytes = 0;   ///< of the whole file
    std::int64_t resumed = 0; ///< of these, what an earlier run had left
    std::string sha256;
    bool checksumKnown = false; ///< the publisher's SHA-256 was known and is the file's
};

/// Fetches into `DESTINATION.part`, beside which `DESTINATION.part.etag` says which version of the
/// file it is a part of, and renames it when it is whole and right. A cut or stalled connection is
/// taken up again where it ended, as is the part of an earlier run, provided that the server still
/// has the same version. What fails the checksum or the check is removed.
/// Errors: Cancelled (the part stays), NotFound (no such file or server), Malformed (wrong
/// checksum, length or content), Unsupported (another status, a refused address), WriteFailed.
Result<DownloadReport> download(const DownloadRequest& request, const RunContext& context = {});

} // namespace loftscope
