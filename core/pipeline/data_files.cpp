// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/data_files.h"

#include "core/analysis/attention_statistics.h"
#include "core/analysis/pca_file.h"
#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/image/map_file.h"
#include "core/weights/tensor_sink.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>

namespace loftscope {

namespace fs = std::filesystem;

namespace {

constexpr const char* picksFile = "picks.json";

using Metadata = std::map<std::string, std::string>;

std::string endingOf(const DataMap& map, std::string_view format) {
    return std::string(map.scores && format != "safetensors" ? "npy" : format);
}

std::string mapFile(const DataMap& map, std::string_view format) {
    return map.name + "." + endingOf(map, format);
}

std::string basisFile(const std::string& key) {
    std::string name = key;
    if (key.starts_with(basisFilePrefix))
        name = "file-" + fs::path(key.substr(basisFilePrefix.size())).stem().string();
    std::ranges::replace(name, ':', '-');
    return "basis-" + name + ".safetensors";
}

void addModel(Metadata& about, const std::string& role, const DataSet& data,
              const std::string& method) {
    const auto found = data.models.find(method);
    if (found == data.models.end()) return;
    about[role] = found->second.name;
    about[role + "_file"] = found->second.file;
    about[role + "_sha256"] = found->second.sha256;
}

Metadata aboutOf(const DataSet& data, const std::vector<std::string>& methods) {
    Metadata about = data.about;
    addModel(about, "backbone", data, {});
    if (!methods.empty()) addModel(about, "upsampler", data, methods.front());
    if (methods.size() > 1) addModel(about, "other_upsampler", data, methods[1]);
    return about;
}

Result<void> writeMap(const fs::path& path, const DataSet& data, const DataMap& map) {
    Metadata about = aboutOf(data, map.methods);
    about["pane"] = map.pane;
    about["unit"] = map.unit;
    if (!map.basis.empty()) about["basis"] = map.basis;
    if (!map.pick.empty()) about["pick"] = map.pick;
    const auto pixels = static_cast<std::size_t>(map.extent.area());
    if (pixels == 0 || map.values.empty() || map.values.size() % pixels != 0)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("There are no values to write to '{}'.", path.string()));
    if (namesMapFile(path)) return writeMapFile(path, map.extent, map.values, about);
    std::vector<std::int64_t> shape{map.extent.height, map.extent.width};
    if (map.scores)
        shape.insert(shape.begin(), static_cast<std::int64_t>(map.values.size() / pixels));
    LOFTSCOPE_TRY(TensorSink sink,
                  TensorSink::create(path, shape, map.scores ? "scores" : "map", about));
    sink.writeAll(at::from_blob(const_cast<float*>(map.values.data()), shape, at::kFloat));
    return sink.finish();
}

nlohmann::ordered_json weightsJson(const DataWeights& weights) {
    nlohmann::ordered_json maps = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < weights.maps.size(); ++i) {
        const std::span<const float> values = weights.maps[i];
        const AttentionStatistics statistics = attentionStatistics(
            at::from_blob(const_cast<float*>(values.data()),
                          {weights.tokens.height, weights.tokens.width}, at::kFloat));
        const auto heads = static_cast<std::size_t>(weights.heads);
        maps.push_back({{"block", i / heads},
                        {"head", i % heads},
                        {"entropy_bits", statistics.entropyBits},
                        {"peak", statistics.peak},
                        {"peak_token", {statistics.peakToken.x, statistics.peakToken.y}},
                        {"weights", std::vector<float>(values.begin(), values.end())}});
    }
    return {{"method", weights.method.empty() ? "self-attention" : weights.method},
            {"height", weights.tokens.height},
            {"width", weights.tokens.width},
            {"maps", std::move(maps)}};
}

Result<void> writePicks(const fs::path& path, const DataSet& data) {
    Metadata about = aboutOf(data, {});
    for (const auto& [method, model] : data.models)
        if (!method.empty()) addModel(about, method, data, method);
    nlohmann::ordered_json json{{"made", about}, {"picks", nlohmann::ordered_json::array()}};
    for (std::size_t i = 0; i < data.picks.size(); ++i) {
        const PlannedPick& pick = data.picks[i];
        nlohmann::ordered_json one{{"number", i + 1},
                                   {"label", pick.label},
                                   {"pixel", {pick.at.x, pick.at.y}},
                                   {"attention", nlohmann::ordered_json::array()}};
        for (const DataWeights& weights : data.attention)
            if (weights.pick == i) one["attention"].push_back(weightsJson(weights));
        json["picks"].push_back(std::move(one));
    }
    const std::string text =
        json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    return writeFile(path, std::as_bytes(std::span(text.data(), text.size())));
}

/// The method of "own:loftup" and "locked:loftup"; none of others.
std::vector<std::string> methodOfBasis(const std::string& key) {
    for (const std::string_view prefix : {"own:", "locked:"})
        if (key.starts_with(prefix)) return {key.substr(prefix.size())};
    return {};
}

} // namespace

const std::vector<std::string_view>& dataFormats() {
    static const std::vector<std::string_view> formats{"npy", "safetensors", "png", "exr", "csv"};
    return formats;
}

std::string dataName(std::size_t place, std::string_view pane) {
    std::string name = fmt::format("{}-{}", place, pane.substr(0, pane.find_first_of("@;")));
    std::ranges::replace(name, ':', '-');
    return name;
}

std::string basisKey(const std::string& basis, const std::string& method) {
    const bool ofMethod = basis == "own" || basis == "locked";
    return ofMethod ? basis + ":" + (method.empty() ? "lowres" : method) : basis;
}

std::vector<std::string> dataFileNames(const DataSet& data, std::string_view format) {
    std::vector<std::string> names;
    for (const DataMap& map : data.maps)
        names.push_back(mapFile(map, format));
    for (const auto& [key, basis] : data.bases)
        names.push_back(basisFile(key));
    if (!data.picks.empty()) names.emplace_back(picksFile);
    return names;
}

Result<std::vector<fs::path>> writeDataFiles(const fs::path& folder, const DataSet& data,
                                             std::string_view format, const RunContext& context) {
    return guarded("writing the data", [&]() -> Result<std::vector<fs::path>> {
        std::error_code failed;
        fs::create_directories(folder, failed);
        if (!fs::is_directory(folder, failed))
            return fail(ErrorCode::WriteFailed,
                        fmt::format("The folder '{}' cannot be made: choose another for the data.",
                                    folder.string()));
        std::vector<fs::path> written;
        const auto next = [&](const std::string& name) {
            context.throwIfStopped();
            written.push_back(folder / name);
            return written.back();
        };
        for (const DataMap& map : data.maps)
            LOFTSCOPE_CHECK(writeMap(next(mapFile(map, format)), data, map));
        for (const auto& [key, values] : data.bases) {
            LOFTSCOPE_TRY(const PcaBasis basis, basisFromValues(values));
            LOFTSCOPE_CHECK(
                writePcaBasis(next(basisFile(key)), basis, aboutOf(data, methodOfBasis(key))));
        }
        if (!data.picks.empty()) LOFTSCOPE_CHECK(writePicks(next(picksFile), data));
        return written;
    });
}

} // namespace loftscope
