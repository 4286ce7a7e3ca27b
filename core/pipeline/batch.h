// SPDX-License-Identifier: Apache-2.0
// The same work for many photos: what goes where, what is done already, a journal that survives a
// kill at any moment.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace loftscope {

struct BatchItem {
    std::filesystem::path photo;
    std::string name; ///< of its output, without ending: unlike all others of the batch
};

/// Photos and folders of photos (searched one level deep, by the endings of picture files, in
/// alphabetical order) as items with distinct names: the photo's own, else with its folder's before
/// it. The same list gives the same names, whatever part of it is worked on.
/// Errors: NotFound (no such path, no photo in a folder), InvalidArgument (a photo given twice).
Result<std::vector<BatchItem>> planBatch(const std::vector<std::string>& paths);

/// Part `index` of `count` (1 to count): every count-th item.
std::vector<BatchItem> shardOf(const std::vector<BatchItem>& items, std::int64_t index,
                               std::int64_t count);

struct BatchOptions {
    std::filesystem::path folder; ///< for the outputs; made if it is not there
    std::string ending;           ///< of the outputs, with the dot
    /// Everything that the outputs depend on besides the photo: another text makes all of them
    /// anew.
    std::string settings;
    std::string journal = "manifest.jsonl"; ///< name of this run's journal in `folder`
};

struct BatchReport {
    std::int64_t made = 0;
    std::int64_t skipped = 0; ///< done by an earlier run with the same settings, and still whole
    struct Failure {
        std::filesystem::path photo;
        std::string message;
    };
    std::vector<Failure> failures;
};

/// Calls `make` for every item whose output is not there yet, whole and made with the same settings
/// from the same photo; an item that fails is noted and the next one begins. Every item leaves a
/// line in the journal: photo, output, settings, SHA-256 of the output, seconds, or the error. All
/// journals of the folder ("manifest*.jsonl") are heeded, so that several processes can share it.
/// Progress says which photo of how many, and how long the rest will take.
/// Errors: WriteFailed (folder or journal), Cancelled.
Result<BatchReport> runBatch(
    const std::vector<BatchItem>& items, const BatchOptions& options, const RunContext& context,
    const std::function<Result<void>(const BatchItem& item, const std::filesystem::path& output)>&
        make);

} // namespace loftscope
