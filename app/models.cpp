// SPDX-License-Identifier: Apache-2.0
// loftscope models: which models are known, where they lie on this computer, and how to get them.
#include "app/commands.h"
#include "core/pipeline/fetch_model.h"
#include "core/store/model_places.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace loftscope::app {

namespace {

struct GetOptions {
    std::vector<std::string> names;
    std::string folder;
    std::string from;
    std::string proxy;
    bool acceptLicence = false;
};

std::string modelSizeText(const KnownModel& model) {
    if (model.megabytes == 0) return "size not known";
    return model.megabytes < 1000 ? fmt::format("{:g} MB", model.megabytes)
                                  : fmt::format("{:.1f} GB", model.megabytes / 1000);
}

Result<void> list(CommandContext& context) {
    const ModelPlaces places = modelPlaces();
    context.result["models"] = nlohmann::ordered_json::array();
    const char* heading = "";
    for (const KnownModel& model : knownModels()) {
        const auto found = findModel(model, places);
        nlohmann::ordered_json entry{{"name", model.name},
                                     {"title", model.title},
                                     {"role", model.vocabulary       ? "vocabulary"
                                              : model.method.empty() ? "backbone"
                                                                     : "upsampler"},
                                     {"megabytes", model.megabytes},
                                     {"licence", model.licence},
                                     {"restricted", model.restricted},
                                     {"url", model.url},
                                     {"page", model.page},
                                     {"sha256", model.sha256},
                                     {"path", nullptr}};
        if (!model.method.empty()) entry["method"] = model.method;
        if (found) {
            entry["path"] = found->path.string();
            entry["where"] = found->where;
        }
        context.result["models"].push_back(std::move(entry));
        const char* const kind = model.vocabulary       ? "\nVocabularies\n"
                                 : model.method.empty() ? "Backbones\n"
                                                        : "\nUpsamplers\n";
        if (kind != heading) context.text += kind;
        heading = kind;
        context.text += fmt::format("  {:<26} {}; {}; {}\n", model.name, model.title,
                                    modelSizeText(model), model.licence);
        if (found)
            context.text +=
                fmt::format("  {:<26} {}: {}\n", "", found->where, found->path.string());
    }
    context.result["fetched_go_to"] = places.own.string();
    context.text +=
        fmt::format("\n`loftscope models get NAME` fetches one into '{}'.\n", places.own.string());
    return {};
}

Result<void> acceptLicence(const KnownModel& model, const GetOptions& options) {
    if (!model.restricted || options.acceptLicence) return {};
    if (isatty(STDIN_FILENO) == 0) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("{} is under this licence: {}. Read it at its publisher's and say "
                                "--accept-licence.",
                                model.title, model.licence));
    }
    std::fprintf(stderr, "Do you accept it? Type yes to fetch the file: ");
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "yes") return {};
    return fail(ErrorCode::Cancelled, "Nothing was fetched.");
}

Result<void> getOne(const std::string& name, const GetOptions& options, CommandContext& context) {
    const KnownModel* const model = knownModel(name);
    if (model == nullptr) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("No model is called '{}' here: `loftscope models` lists them.", name));
    }
    const ModelPlaces places = modelPlaces();
    if (options.folder.empty()) {
        if (const auto found = findModel(*model, places)) {
            context.result["models"].push_back(
                {{"name", name}, {"path", found->path.string()}, {"fetched", false}});
            context.text += fmt::format("{} is here already: {}\n", name, found->path.string());
            return {};
        }
    }
    if (options.from.empty() && model->url.empty()) {
        // Nothing to accept: the sentence says where it is instead.
        LOFTSCOPE_TRY(const FetchedModel none, fetchModel(*model, {}, context.run));
    }
    std::fprintf(stderr, "%s: licence: %s\n", name.c_str(), std::string(model->licence).c_str());
    LOFTSCOPE_CHECK(acceptLicence(*model, options));
    const std::filesystem::path folder =
        options.folder.empty() ? places.own : std::filesystem::path(options.folder);
    LOFTSCOPE_TRY(const FetchedModel fetched,
                  fetchModel(*model, {folder, options.from, options.proxy}, context.run));
    const DownloadReport& report = fetched.report;
    context.result["models"].push_back({{"name", name},
                                        {"path", fetched.path.string()},
                                        {"fetched", true},
                                        {"bytes", report.bytes},
                                        {"resumed", report.resumed},
                                        {"sha256", report.sha256},
                                        {"checksum_published", report.checksumKnown}});
    context.text += fmt::format(
        "{}: {} bytes, SHA-256 {} ({})\n", fetched.path.string(), report.bytes, report.sha256,
        report.checksumKnown ? "as published" : "its publisher gives none to compare with");
    return {};
}

Result<void> get(const GetOptions& options, CommandContext& context) {
    if (!options.from.empty() && options.names.size() != 1)
        return fail(ErrorCode::InvalidArgument, "--from is the address of one model: name one.");
    context.result["models"] = nlohmann::ordered_json::array();
    for (const std::string& name : options.names)
        LOFTSCOPE_CHECK(getOne(name, options, context));
    return {};
}

} // namespace

void addModelsCommand(CommandLine& line) {
    auto options = std::make_shared<GetOptions>();
    auto getCommand = std::make_shared<CLI::App*>(nullptr);
    CLI::App* command =
        line.add("models", "List the models that are known and where they lie; fetch them",
                 [options, getCommand](CommandContext& context) {
                     return (*getCommand)->parsed() ? get(*options, context) : list(context);
                 });
    command->require_subcommand(0, 1);
    *getCommand = command->add_subcommand("get", "Fetch published models by name");
    (*getCommand)->fallthrough();
    (*getCommand)
        ->add_option("NAME", options->names, "As `loftscope models` lists them")
        ->required();
    (*getCommand)
        ->add_option("--to", options->folder,
                     "Folder for the file; left out: the first of $LOFTSCOPE_MODELS, or your "
                     "models' folder");
    (*getCommand)
        ->add_flag("--accept-licence", options->acceptLicence,
                   "The licence that is shown is accepted, where it restricts the model's use");
    (*getCommand)
        ->add_option("--from", options->from,
                     "Another address of the same file, e.g. of a mirror; its SHA-256 is checked "
                     "all the same");
    (*getCommand)
        ->add_option("--proxy", options->proxy,
                     "e.g. http://host:3128; left out: http_proxy, https_proxy, no_proxy");
}

} // namespace loftscope::app
