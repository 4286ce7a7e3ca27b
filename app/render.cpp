// SPDX-License-Identifier: Apache-2.0
// loftscope render: a labelled comparison figure of one photo.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/base/guard.h"
#include "core/pipeline/batch.h"
#include "core/pipeline/comparison.h"
#include "ui/figure/figure_painter.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace loftscope::app {

namespace {

struct Options {
    SceneOptions scene;
    std::vector<std::string> upsamplers;
    std::string panes;
    std::string basis = "own";
    std::int64_t tile = 64;
    int columns = 0;
    std::string title;
    std::vector<std::string> photos;
    std::string format = "png";
    std::string shard;
    std::vector<std::string> insets;
    std::string out;
};

/// "image,attention@10,20,lowres": commas also stand inside pixels, so that a piece of digits
/// belongs to the one before.
std::vector<std::string> splitPanes(const std::string& text) {
    std::vector<std::string> panes;
    std::string_view rest = text;
    for (;;) {
        const std::size_t comma = rest.find(',');
        const std::string piece(rest.substr(0, comma));
        const bool number =
            !piece.empty() && piece.find_first_not_of("-0123456789") == std::string::npos;
        if (number && !panes.empty() && panes.back().find('@') != std::string::npos) {
            panes.back() += "," + piece;
        } else {
            panes.push_back(piece);
        }
        if (comma == std::string_view::npos) return panes;
        rest.remove_prefix(comma + 1);
    }
}

Result<std::vector<ComparedMethod>> loadMethods(const Options& options, c10::Device device,
                                                CommandContext& context) {
    std::vector<ComparedMethod> methods;
    for (const std::string& text : options.upsamplers) {
        const std::size_t equals = text.find('=');
        const std::string key = text.substr(0, equals);
        const std::string weights = equals == std::string::npos ? "" : text.substr(equals + 1);
        if (std::ranges::find(methods, key, &ComparedMethod::key) != methods.end())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The upsampler {} is given twice.", key));
        LOFTSCOPE_TRY(LoadedUpsampler loaded, loadUpsampler(key, weights, device, context.run,
                                                            arithmeticOf(context.options)));
        for (const std::string& warning : loaded.warnings)
            context.warn(warning);
        methods.push_back({key, std::move(loaded)});
    }
    return methods;
}

/// All that is the same for every photo.
struct Work {
    SceneRequest scene;
    std::vector<ComparedMethod> methods;
    ComparisonRequest comparison;
};

Result<Work> prepare(const Options& options, CommandContext& context) {
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context.options));
    Work work;
    LOFTSCOPE_TRY(work.scene, sceneRequest(options.scene, device));
    LOFTSCOPE_TRY(work.methods, loadMethods(options, device, context));
    work.comparison.tile = options.tile;
    work.comparison.basis = options.basis == "own" ? BasisChoice::Own : BasisChoice::LowRes;
    for (const std::string& text : options.insets) {
        LOFTSCOPE_TRY(const Rect rect, parseRect(text));
        work.comparison.insets.push_back(rect);
    }
    if (options.panes.empty()) {
        work.comparison.panes = {{PaneRequest::Kind::Image, "", {}},
                                 {PaneRequest::Kind::LowRes, "", {}}};
        for (const ComparedMethod& method : work.methods)
            work.comparison.panes.push_back({PaneRequest::Kind::Method, method.key, {}});
    } else {
        for (const std::string& text : splitPanes(options.panes)) {
            LOFTSCOPE_TRY(const PaneRequest pane, parsePane(text));
            work.comparison.panes.push_back(pane);
        }
    }
    return work;
}

Result<FigureSpec> figureOf(const Scene& scene, const Work& work, const Options& options,
                            const RunContext& context) {
    LOFTSCOPE_TRY(FigureSpec figure, compareMethods(scene, work.methods, work.comparison, context));
    figure.columns = options.columns;
    figure.title = options.title;
    return figure;
}

Result<void> renderOne(const Options& options, CommandContext& context) {
    LOFTSCOPE_TRY(const Work work, prepare(options, context));
    const auto begin = std::chrono::steady_clock::now();
    LOFTSCOPE_TRY(const Scene scene, makeScene(work.scene, context.run));
    reportScene(scene, context);
    LOFTSCOPE_TRY(const FigureSpec figure, figureOf(scene, work, options, context.run));
    LOFTSCOPE_CHECK(writeFigure(figure, options.out));
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;

    context.result["out"] = options.out;
    for (const ComparedMethod& method : work.methods) {
        if (!method.upsampler.provenance) continue;
        context.result["models"].push_back(modelJson(*method.upsampler.provenance));
    }
    for (const FigurePane& pane : figure.panes)
        context.result["panes"].push_back({{"title", pane.title}, {"subtitle", pane.subtitle}});
    context.result["seconds"] = elapsed.count();
    context.text = fmt::format("{}: {} panes in {:.1f} s\n", options.out, figure.panes.size(),
                               elapsed.count());
    return {};
}

/// Everything that a figure depends on besides its photo.
std::string settingsOf(const Options& options, const Work& work, const CommonOptions& common) {
    const SceneOptions& scene = options.scene;
    nlohmann::ordered_json settings{{"panes", options.panes},
                                    {"basis", options.basis},
                                    {"insets", options.insets},
                                    {"columns", options.columns},
                                    {"title", options.title},
                                    {"precision", common.precision},
                                    {"input_size", scene.inputSize},
                                    {"output_size", scene.outputSize},
                                    {"fit", scene.fit},
                                    {"alpha", scene.alpha},
                                    {"position_rule", scene.positionRule},
                                    {"version", LOFTSCOPE_VERSION}};
    if (work.scene.loadedBackbone)
        settings["backbone"] = work.scene.loadedBackbone->provenance.sha256;
    for (const ComparedMethod& method : work.methods) {
        const auto& provenance = method.upsampler.provenance;
        settings["methods"].push_back(
            provenance ? fmt::format("{}={}", method.key, provenance->sha256) : method.key);
    }
    return settings.dump();
}

/// "2/8" -> 2, 8.
Result<std::pair<std::int64_t, std::int64_t>> parseShard(const std::string& text) {
    const std::size_t slash = text.find('/');
    if (slash != std::string::npos) {
        LOFTSCOPE_TRY(const auto index, parseIntegers(text.substr(0, slash), "shard"));
        LOFTSCOPE_TRY(const auto count, parseIntegers(text.substr(slash + 1), "shard"));
        if (index[0] >= 1 && index[0] <= count[0]) return std::pair{index[0], count[0]};
    }
    return fail(ErrorCode::InvalidArgument,
                fmt::format("'{}' is no shard: use I/N with I from 1 to N.", text));
}

Result<void> renderMany(const Options& options, CommandContext& context) {
    if (!options.scene.features.empty())
        return fail(ErrorCode::InvalidArgument,
                    "--features belong to one photo: give one, and a file for --out.");
    LOFTSCOPE_TRY(std::vector<BatchItem> items, planBatch(options.photos));
    BatchOptions batch{.folder = options.out, .ending = "." + options.format, .settings = {}};
    if (!options.shard.empty()) {
        LOFTSCOPE_TRY(const auto shard, parseShard(options.shard));
        items = shardOf(items, shard.first, shard.second);
        batch.journal = fmt::format("manifest-{}-of-{}.jsonl", shard.first, shard.second);
    }
    LOFTSCOPE_TRY(Work work, prepare(options, context));
    LOFTSCOPE_TRY(LoadedBackbone backbone, loadBackbone(options.scene.backbone, work.scene.device,
                                                        work.scene.backboneChoices, context.run));
    for (const std::string& warning : backbone.warnings)
        context.warn(warning);
    work.scene.loadedBackbone = std::move(backbone);
    batch.settings = settingsOf(options, work, context.options);

    LOFTSCOPE_TRY(
        const BatchReport report,
        runBatch(items, batch, context.run,
                 [&](const BatchItem& item, const std::filesystem::path& output) -> Result<void> {
                     SceneRequest request = work.scene;
                     request.image = item.photo.string();
                     // The batch reports progress by photos, not by the stages of each.
                     const RunContext quiet{context.run.stop, {}};
                     LOFTSCOPE_TRY(const Scene scene, makeScene(request, quiet));
                     LOFTSCOPE_TRY(const FigureSpec figure, figureOf(scene, work, options, quiet));
                     return writeFigure(figure, output);
                 }));
    context.result["out"] = options.out;
    context.result["photos"] = items.size();
    context.result["made"] = report.made;
    context.result["skipped"] = report.skipped;
    context.result["failed"] = nlohmann::ordered_json::array();
    for (const BatchReport::Failure& failure : report.failures) {
        context.warn(failure.message);
        context.result["failed"].push_back(
            {{"photo", failure.photo.string()}, {"error", failure.message}});
    }
    context.partlyFailed = !report.failures.empty();
    context.text = fmt::format("{}: {} figures made, {} were there already, {} photos failed\n",
                               options.out, report.made, report.skipped, report.failures.size());
    return {};
}

Result<void> run(Options options, CommandContext& context) {
    const bool figure = namesFigure(options.out);
    if (options.photos.size() == 1 && figure) {
        options.scene.image = options.photos.front();
        return renderOne(options, context);
    }
    if (figure) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("'{}' is one file, but there are {} photos: give a folder for --out.",
                        options.out, options.photos.size()));
    }
    if (options.photos.size() == 1 && std::filesystem::path(options.out).has_extension() &&
        !std::filesystem::is_directory(options.out) &&
        !std::filesystem::is_directory(options.photos.front()))
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("'{}' does not end in a known figure format: use .png.", options.out));
    return renderMany(options, context);
}

} // namespace

void addRenderCommand(CommandLine& line) {
    auto options = std::make_shared<Options>();
    CLI::App* command = line.add(
        "render", "A labelled figure that shows a photo's features side by side; needs no display",
        [options](CommandContext& context) {
            return guarded("rendering", [&] { return run(*options, context); });
        });
    command
        ->add_option("photo", options->photos,
                     "The photo (or a tensor, as --image); several photos or a folder of them make "
                     "a figure each")
        ->required();
    addBackboneOptions(*command, options->scene, "--size,--input-size");
    command->remove_option(command->get_option("--image"));
    command->add_option("--features,-f", options->scene.features,
                        "Low-res features instead of --backbone");
    command->add_option("--output-size", options->scene.outputSize,
                        "Size of the upsampled maps: WxH, or N for the short side; the backbone's "
                        "input size if left out");
    command->add_option(
        "--upsampler,-u", options->upsamplers,
        "A method, or METHOD=WEIGHTS; may be given several times, e.g. -u bilinear -u loftup=FILE");
    command->add_option("--panes", options->panes,
                        "Comma-separated: image, lowres, a method, attention@x,y, similarity@x,y "
                        "(or attention:METHOD@x,y); x,y in "
                        "pixels of the photo. Default: image, lowres and every method");
    command->add_option("--basis", options->basis, "PCA basis of the maps: own, or lowres for all")
        ->capture_default_str()
        ->check(CLI::IsMember({"own", "lowres"}));
    command->add_option("--inset", options->insets,
                        "x,y,w,h in pixels of the photo: a part to enlarge in every pane; may be "
                        "given several times");
    command->add_option("--columns", options->columns, "Panes in a row; 0 chooses")
        ->check(CLI::Range(0, 12));
    command->add_option("--title", options->title, "Heading of the figure");
    command->add_option("--tile", options->tile, "Side of the tiles that are computed at once")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command
        ->add_option(
            "--out,-o", options->out,
            "The figure: .png, .pdf or .svg. For several photos a folder; the same command "
            "goes on where it was stopped")
        ->required();
    command->add_option("--format", options->format, "Of the figures in a folder")
        ->capture_default_str()
        ->check(CLI::IsMember({"png", "pdf", "svg"}));
    command->add_option("--shard", options->shard,
                        "I/N: only every N-th photo, beginning with the I-th, for job arrays");
}

} // namespace loftscope::app
