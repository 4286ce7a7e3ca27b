// SPDX-License-Identifier: Apache-2.0
// Fetching a published model by name, so that what lies there afterwards is that model.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/store/download.h"
#include "core/store/known_models.h"

#include <filesystem>
#include <string>

namespace loftscope {

struct FetchRequest {
    std::filesystem::path folder; ///< where the file goes
    std::string url;              ///< another address of the same file; empty: the publisher's
    std::string proxy;            ///< as DownloadRequest::proxy
};

struct FetchedModel {
    std::filesystem::path path;
    DownloadReport report;
};

/// Where `fetchModel` puts the file, and what it has left there of one that is not whole yet.
std::filesystem::path fetchedFile(const KnownModel& model, const std::filesystem::path& folder);
std::int64_t partlyFetched(const KnownModel& model, const std::filesystem::path& folder);

/// Errors: Unsupported (its publisher gives it to nobody without a name), Mismatch (the file holds
/// another model), those of `download`. The licence is the caller's to show.
Result<FetchedModel> fetchModel(const KnownModel& model, const FetchRequest& request,
                                const RunContext& context);

} // namespace loftscope
