// SPDX-License-Identifier: Apache-2.0
// loftscope render: a labelled comparison figure of one photo.
#include "app/commands.h"
#include "app/scene_options.h"
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

Result<void> run(const Options& options, CommandContext& context) {
    if (!namesFigure(options.out))
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("'{}' does not end in a known figure format: use .png.", options.out));
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context.options));
    LOFTSCOPE_TRY(const SceneRequest request, sceneRequest(options.scene, device));
    LOFTSCOPE_TRY(const std::vector<ComparedMethod> methods, loadMethods(options, device, context));

    ComparisonRequest comparison;
    comparison.tile = options.tile;
    comparison.basis = options.basis == "own" ? BasisChoice::Own : BasisChoice::LowRes;
    if (options.panes.empty()) {
        comparison.panes = {{PaneRequest::Kind::Image, "", {}},
                            {PaneRequest::Kind::LowRes, "", {}}};
        for (const ComparedMethod& method : methods)
            comparison.panes.push_back({PaneRequest::Kind::Method, method.key, {}});
    } else {
        for (const std::string& text : splitPanes(options.panes)) {
            LOFTSCOPE_TRY(const PaneRequest pane, parsePane(text));
            comparison.panes.push_back(pane);
        }
    }

    const auto begin = std::chrono::steady_clock::now();
    LOFTSCOPE_TRY(const Scene scene, makeScene(request, context.run));
    reportScene(scene, context);
    LOFTSCOPE_TRY(FigureSpec figure, compareMethods(scene, methods, comparison, context.run));
    figure.columns = options.columns;
    figure.title = options.title;
    LOFTSCOPE_CHECK(writeFigure(figure, options.out));
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;

    context.result["out"] = options.out;
    for (const ComparedMethod& method : methods) {
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

} // namespace

void addRenderCommand(CommandLine& line) {
    auto options = std::make_shared<Options>();
    CLI::App* command = line.add(
        "render", "A labelled figure that shows a photo's features side by side; needs no display",
        [options](CommandContext& context) { return run(*options, context); });
    command->add_option("photo", options->scene.image, "The photo (or a tensor, as --image)")
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
    command->add_option("--columns", options->columns, "Panes in a row; 0 chooses")
        ->check(CLI::Range(0, 12));
    command->add_option("--title", options->title, "Heading of the figure");
    command->add_option("--tile", options->tile, "Side of the tiles that are computed at once")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command->add_option("--out,-o", options->out, "The figure, .png")->required();
}

} // namespace loftscope::app
