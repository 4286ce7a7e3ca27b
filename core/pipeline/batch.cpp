// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/batch.h"

#include "core/base/sha256.h"
#include "core/image/encode.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <set>

namespace loftscope {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

/// What of a photo's file tells that it was changed, without reading it.
std::string stampOf(const fs::path& photo) {
    std::error_code failed;
    const auto size = fs::file_size(photo, failed);
    if (failed) return "missing";
    const auto changed = fs::last_write_time(photo, failed).time_since_epoch();
    return fmt::format("{} bytes, {}", size,
                       std::chrono::duration_cast<std::chrono::microseconds>(changed).count());
}

/// The last entry about each output that is done, of all journals in the folder.
std::map<std::string, ordered_json> doneIn(const fs::path& folder) {
    std::map<std::string, ordered_json> done;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(folder, failed)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with("manifest") || !name.ends_with(".jsonl")) continue;
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) {
            // A kill may have cut the last line short: such a line says nothing.
            ordered_json json = ordered_json::parse(line, nullptr, false);
            if (json.is_discarded() || !json.is_object()) continue;
            if (json.value("state", "") != "done") continue;
            const std::string output = json.value("output", "");
            done[output] = std::move(json);
        }
    }
    return done;
}

/// Whether a kill left half a line at the end of the file.
bool endsInsideALine(const fs::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file || file.tellg() <= 0) return false;
    file.seekg(-1, std::ios::end);
    return file.get() != '\n';
}

std::string remaining(double seconds) {
    if (seconds < 90) return fmt::format("{:.0f} s left", seconds);
    if (seconds < 90 * 60) return fmt::format("{:.0f} min left", seconds / 60);
    return fmt::format("{:.1f} h left", seconds / 3600);
}

} // namespace

Result<std::vector<BatchItem>> planBatch(const std::vector<std::string>& paths) {
    std::vector<fs::path> photos;
    for (const std::string& text : paths) {
        const fs::path path = text;
        std::error_code failed;
        if (!fs::exists(path, failed))
            return fail(ErrorCode::NotFound, fmt::format("There is no photo '{}'.", text));
        if (!fs::is_directory(path, failed)) {
            photos.push_back(path);
            continue;
        }
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(path, failed)) {
            const std::string name = entry.path().filename().string();
            if (entry.is_regular_file(failed) && !name.starts_with('.') &&
                namesPicture(entry.path()))
                found.push_back(entry.path());
        }
        if (found.empty())
            return fail(ErrorCode::NotFound,
                        fmt::format("There is no photo in the folder '{}'.", text));
        std::ranges::sort(found);
        photos.insert(photos.end(), found.begin(), found.end());
    }

    std::map<std::string, int> stems;
    for (const fs::path& photo : photos)
        ++stems[photo.stem().string()];
    std::vector<BatchItem> items;
    std::set<std::string> names;
    for (const fs::path& photo : photos) {
        std::string name = photo.stem().string();
        if (stems[name] > 1) {
            const fs::path folder = fs::absolute(photo).lexically_normal().parent_path();
            name = fmt::format("{}_{}{}", folder.filename().string(), name,
                               photo.extension().string());
        }
        if (!names.insert(name).second) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' is given twice, or shares the name of its folder and its "
                                    "own with another photo: rename one.",
                                    photo.string()));
        }
        items.push_back({photo, name});
    }
    return items;
}

std::vector<BatchItem> shardOf(const std::vector<BatchItem>& items, std::int64_t index,
                               std::int64_t count) {
    std::vector<BatchItem> part;
    for (std::size_t i = static_cast<std::size_t>(index - 1); i < items.size();
         i += static_cast<std::size_t>(count))
        part.push_back(items[i]);
    return part;
}

Result<BatchReport>
runBatch(const std::vector<BatchItem>& items, const BatchOptions& options,
         const RunContext& context,
         const std::function<Result<void>(const BatchItem&, const fs::path&)>& make) {
    std::error_code failed;
    fs::create_directories(options.folder, failed);
    if (!fs::is_directory(options.folder, failed)) {
        return fail(ErrorCode::WriteFailed,
                    fmt::format("The folder '{}' cannot be made: choose another for --out.",
                                options.folder.string()));
    }
    const std::map<std::string, ordered_json> done = doneIn(options.folder);
    const fs::path journalPath = options.folder / options.journal;
    const bool cutShort = endsInsideALine(journalPath);
    std::ofstream journal(journalPath, std::ios::app);
    if (cutShort) journal << '\n';
    const auto note = [&](const ordered_json& line) -> Result<void> {
        journal << line.dump() << std::endl; // one line, on the disk before the next photo begins
        if (journal) return {};
        return fail(ErrorCode::WriteFailed,
                    fmt::format("The journal '{}' cannot be written: check space and permissions.",
                                journalPath.string()));
    };
    const auto whole = [&](const std::string& output, const BatchItem& item) {
        const auto entry = done.find(output);
        if (entry == done.end() || entry->second.value("settings", "") != options.settings ||
            entry->second.value("photo_stamp", "") != stampOf(item.photo))
            return false;
        const Result<std::string> sum = sha256OfFile(options.folder / output);
        return sum && *sum == entry->second.value("sha256", "");
    };

    BatchReport report;
    double spent = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (context.stop.stop_requested())
            return fail(ErrorCode::Cancelled,
                        fmt::format("Stopped after {} of {} photos: the same command goes on.", i,
                                    items.size()));
        const BatchItem& item = items[i];
        const std::string output = item.name + options.ending;
        if (whole(output, item)) {
            ++report.skipped;
            continue;
        }
        const auto tried =
            static_cast<double>(report.made) + static_cast<double>(report.failures.size());
        const std::string rest =
            tried > 0 ? ", " + remaining(spent / tried * static_cast<double>(items.size() - i))
                      : "";
        context.progress(fmt::format("photo {} of {}{}", i + 1, items.size(), rest),
                         static_cast<double>(i) / static_cast<double>(items.size()));
        const auto begin = std::chrono::steady_clock::now();
        const Result<void> made = make(item, options.folder / output);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        if (!made && made.error().code == ErrorCode::Cancelled)
            return fail(ErrorCode::Cancelled,
                        fmt::format("Stopped after {} of {} photos: the same command goes on.", i,
                                    items.size()));
        spent += took.count();
        ordered_json line{{"state", made ? "done" : "failed"},
                          {"photo", item.photo.string()},
                          {"output", output},
                          {"seconds", took.count()}};
        if (made) {
            LOFTSCOPE_TRY(const std::string sum, sha256OfFile(options.folder / output));
            line["sha256"] = sum;
            line["photo_stamp"] = stampOf(item.photo);
            line["settings"] = options.settings;
            ++report.made;
        } else {
            line["error"] = made.error().message;
            report.failures.push_back({item.photo, made.error().message});
        }
        LOFTSCOPE_CHECK(note(line));
    }
    context.progress("photos", 1.0);
    return report;
}

} // namespace loftscope
