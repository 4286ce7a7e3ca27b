// SPDX-License-Identifier: Apache-2.0
// `loftscope inspect`: what a file of tensors is.
#include "app/commands.h"
#include "core/base/guard.h"
#include "core/pipeline/models.h"
#include "core/store/model_places.h"
#include "core/weights/tensor_file.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace loftscope::app {

namespace {

using nlohmann::ordered_json;

struct InspectOptions {
    std::vector<std::string> files;
    bool keys = false;
};

constexpr std::size_t shownKeys = 10;
constexpr std::size_t shownTensors = 20;

std::string_view typeName(at::ScalarType type) {
    switch (type) {
    case at::kFloat:
        return "fp32";
    case at::kHalf:
        return "fp16";
    case at::kBFloat16:
        return "bf16";
    case at::kDouble:
        return "fp64";
    case at::kLong:
        return "int64";
    case at::kInt:
        return "int32";
    case at::kShort:
        return "int16";
    case at::kChar:
        return "int8";
    case at::kByte:
        return "uint8";
    case at::kBool:
        return "bool";
    default:
        return c10::toString(type);
    }
}

/// Key names come from a file and may hold terminal commands.
std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](unsigned char letter) { return letter < 0x20 || letter == 0x7F; }, '?');
    return text;
}

std::string shortened(const std::string& text) {
    constexpr std::size_t longest = 100;
    return text.size() <= longest ? text : text.substr(0, longest) + " ... (all with --json)";
}

/// What is learned: buffers such as BatchNorm's statistics are no parameters.
bool isParameter(std::string_view key, const at::Tensor& tensor) {
    return tensor.is_floating_point() && !key.ends_with("running_mean") &&
           !key.ends_with("running_var");
}

std::string shapeText(const at::Tensor& tensor) {
    return tensor.dim() == 0 ? "one value" : fmt::format("{}", fmt::join(tensor.sizes(), " x "));
}

std::string bytesText(std::uintmax_t bytes) {
    if (bytes < 1024) return fmt::format("{} bytes", bytes);
    const auto kib = static_cast<double>(bytes) / 1024.0;
    return kib < 1024.0 ? fmt::format("{:.1f} KiB", kib) : fmt::format("{:.1f} MiB", kib / 1024.0);
}

/// 4303894 -> "4,303,894"
std::string groupedNumber(std::int64_t value) {
    std::string digits = std::to_string(value);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
}

/// Smallest, largest and mean of the numbers that are finite, and how many are not.
struct ValueRange {
    double low = 0;
    double high = 0;
    double mean = 0;
    std::int64_t nanCount = 0;
    std::int64_t infiniteCount = 0;
};

std::optional<ValueRange> rangeOf(const at::Tensor& tensor) {
    if (tensor.numel() == 0 || tensor.is_complex()) return std::nullopt;
    const at::Tensor values = tensor.to(at::kDouble);
    const at::Tensor finite = values.masked_select(at::isfinite(values));
    ValueRange range;
    range.nanCount = at::isnan(values).sum().item<std::int64_t>();
    range.infiniteCount = values.numel() - finite.numel() - range.nanCount;
    if (finite.numel() == 0) {
        range.low = range.high = range.mean = std::nan("");
    } else {
        range.low = finite.min().item<double>();
        range.high = finite.max().item<double>();
        range.mean = finite.mean().item<double>();
    }
    return range;
}

ordered_json jsonOf(const FactValue& value) {
    if (const auto* grid = std::get_if<Extent>(&value))
        return ordered_json{grid->height, grid->width};
    if (const auto* flag = std::get_if<bool>(&value)) return *flag;
    if (const auto* count = std::get_if<std::int64_t>(&value)) return *count;
    if (const auto* number = std::get_if<double>(&value)) return *number;
    return std::get<std::string>(value);
}

/// What is known of one file; the JSON is complete, the text shows the beginning of long lists.
struct InspectReport {
    ordered_json json;
    std::string text;
};

void line(InspectReport& report, std::string_view label, std::string_view value) {
    report.text += fmt::format("  {:<11} {}\n", label, printable(std::string(value)));
}

void keyList(InspectReport& report, std::string_view label, const std::vector<std::string>& keys) {
    report.json[std::string(label)] = keys;
    if (keys.empty()) return;
    line(report, label, fmt::format("{} key{}", keys.size(), keys.size() == 1 ? "" : "s"));
    for (std::size_t i = 0; i < keys.size() && i < shownKeys; ++i)
        report.text += fmt::format("    {}\n", printable(keys[i]));
    if (keys.size() > shownKeys)
        report.text += fmt::format("    and {} more (all with --json)\n", keys.size() - shownKeys);
}

std::string factText(const ordered_json& value) {
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_string()) return value.get<std::string>();
    if (value.is_array()) return fmt::format("{} x {}", value[0].dump(), value[1].dump());
    return value.dump();
}

void describeModel(InspectReport& report, const ModelIdentity& model) {
    report.json["family"] = model.family;
    report.json["model"] = model.name;
    line(report, "model", model.name);
    for (const auto& [name, value] : model.facts) {
        const ordered_json json = jsonOf(value);
        report.json["architecture"][name] = json;
        std::string words = name;
        std::replace(words.begin(), words.end(), '_', ' ');
        line(report, "", fmt::format("{}: {}", words, factText(json)));
    }
    const WeightAccount& account = model.account;
    report.json["complete"] = account.complete();
    line(report, "complete", account.complete() ? "yes" : "no: it cannot be loaded as it is");
    keyList(report, "missing", account.missing);
    keyList(report, "misshapen", account.misshapen);
    keyList(report, "surplus", account.surplus);
}

void describeTensor(InspectReport& report, const std::string& key, const at::Tensor& tensor,
                    bool withRange, bool inText) {
    ordered_json entry{{"shape", tensor.sizes().vec()},
                       {"dtype", std::string(typeName(tensor.scalar_type()))}};
    std::string text = fmt::format("    {:<40} {} {}", key.empty() ? "(unnamed)" : printable(key),
                                   typeName(tensor.scalar_type()), shapeText(tensor));
    if (const auto range = withRange ? rangeOf(tensor) : std::nullopt) {
        entry["min"] = range->low;
        entry["max"] = range->high;
        entry["mean"] = range->mean;
        entry["nan"] = range->nanCount;
        entry["infinite"] = range->infiniteCount;
        text +=
            fmt::format(", {:.6g} .. {:.6g}, mean {:.6g}", range->low, range->high, range->mean);
        if (range->nanCount > 0) text += fmt::format(", {} NaN", range->nanCount);
        if (range->infiniteCount > 0) text += fmt::format(", {} infinite", range->infiniteCount);
    }
    report.json["tensors"][key] = std::move(entry);
    if (inText) report.text += text + "\n";
}

InspectReport describe(const TensorFile& file, const InspectOptions& options) {
    InspectReport report;
    const std::uintmax_t bytes = std::filesystem::file_size(file.path);
    report.json = {{"file", file.path.string()},
                   {"format", std::string(nameOf(file.format))},
                   {"bytes", bytes},
                   {"sha256", file.sha256}};
    report.text = printable(file.path.string()) + "\n";
    line(report, "format", fmt::format("{}, {}", nameOf(file.format), bytesText(bytes)));
    line(report, "SHA-256", file.sha256);

    std::vector<std::string> warnings = file.warnings;
    const RecognisedModel model = recogniseModel(file.tensors);
    if (const ModelIdentity* const known = identityOf(model)) {
        warnings.insert(warnings.end(), known->warnings.begin(), known->warnings.end());
        describeModel(report, *known);
    } else {
        const auto& unknown = std::get<UnknownModel>(model);
        report.json["family"] = nullptr;
        report.json["model"] = nullptr;
        if (unknown.closest.empty()) {
            line(report, "model", "none that is known here; tensors only");
        } else {
            report.json["closest"] = unknown.closest;
            report.json["reason"] = unknown.reason;
            line(report, "model",
                 fmt::format("not known; closest: {}, but {}", unknown.closest, unknown.reason));
            keyList(report, "missing", unknown.missing);
        }
    }
    const bool known = !std::holds_alternative<UnknownModel>(model);

    std::int64_t parameters = 0;
    std::map<std::string, std::int64_t> types;
    for (const auto& [key, tensor] : file.tensors) {
        if (isParameter(key, tensor)) parameters += tensor.numel();
        ++types[std::string(typeName(tensor.scalar_type()))];
    }
    report.json["parameters"] = parameters;
    report.json["tensor_count"] = file.tensors.size();
    report.json["dtypes"] = types;
    std::vector<std::string> typeTexts;
    for (const auto& [type, count] : types)
        typeTexts.push_back(fmt::format("{} {}", count, type));
    line(report, "parameters", groupedNumber(parameters));
    line(report, "tensors",
         fmt::format("{} ({})", file.tensors.size(), fmt::join(typeTexts, ", ")));

    if (!file.metadata.empty()) {
        report.json["metadata"] = file.metadata;
        for (const auto& [name, value] : file.metadata)
            line(report, "metadata", fmt::format("{} = {}", name, shortened(value)));
    }
    report.json["warnings"] = warnings;
    for (const std::string& warning : warnings)
        line(report, "note", warning);

    // A model's parameters are many and their values say little; data are few and do.
    if (options.keys || !known) {
        std::size_t shown = 0;
        for (const auto& [key, tensor] : file.tensors)
            describeTensor(report, key, tensor, !known, options.keys || shown++ < shownTensors);
        if (!options.keys && file.tensors.size() > shownTensors) {
            report.text += fmt::format("    and {} more (all with --keys)\n",
                                       file.tensors.size() - shownTensors);
        }
    }
    return report;
}

Result<void> inspect(CommandContext& context, const InspectOptions& options) {
    context.result["files"] = ordered_json::array();
    for (const std::string& path : options.files) {
        context.run.throwIfStopped();
        const auto place = locateModel(path, modelPlaces());
        const Result<TensorFile> file =
            place ? readTensorFile(*place) : std::unexpected(place.error());
        Result<InspectReport> report = file ? guarded(fmt::format("inspecting '{}'", path),
                                                      [&] { return describe(*file, options); })
                                            : Result<InspectReport>(std::unexpected(file.error()));
        if (report) {
            context.result["files"].push_back(std::move(report->json));
            context.text += report->text;
        } else {
            context.partlyFailed = true;
            context.warn(report.error().message);
            context.result["files"].push_back({{"file", path}, {"error", report.error().message}});
            context.text += fmt::format("{}\n  cannot be read\n", printable(path));
        }
    }
    return {};
}

} // namespace

void addInspectCommand(CommandLine& line) {
    auto options = std::make_shared<InspectOptions>();
    CLI::App* command =
        line.add("inspect", "Say what files of weights or features are",
                 [options](CommandContext& context) { return inspect(context, *options); });
    command->add_option("FILE", options->files, "safetensors, .pth, TorchScript or .npy files")
        ->required();
    command->add_flag("--keys", options->keys, "List every tensor");
}

} // namespace loftscope::app
