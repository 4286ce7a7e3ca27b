// SPDX-License-Identifier: Apache-2.0
// loftscope similarity: cosine of a pixel's feature, or of a text, with all features.
#include "core/analysis/similarity.h"

#include "app/commands.h"
#include "app/scene_options.h"
#include "core/analysis/map_picture.h"
#include "core/base/guard.h"
#include "core/image/encode.h"
#include "core/image/map_file.h"
#include "core/upsample/tiles.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct SimilarityCommandOptions {
    SceneOptions scene;
    MethodOptions method;
    std::string pixel;
    std::string text;
    bool low = false;
    bool values = false;
    std::string colors = "viridis";
    std::string out;
};

/// The map, and what it is the likeness to.
struct Likeness {
    at::Tensor map;
    std::string what; ///< in words: "(120, 80)"
    std::map<std::string, std::string> metadata;
    nlohmann::ordered_json query;
};

Result<Likeness> likenessToPixel(const SimilarityCommandOptions& options,
                                 const MethodOptions& method, const FieldOfScene& field,
                                 const RunContext& context) {
    LOFTSCOPE_TRY(const Pixel given, parsePixel(options.pixel));
    LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(field.scene, given));
    const Pixel query = method.method == "lowres" ? tokenOfPixel(field.scene, pixel)
                                                  : fieldPixel(field.scene, *field.field, pixel);
    Likeness likeness{.map = {},
                      .what = fmt::format("({}, {})", query.x, query.y),
                      .metadata = {{"pixel", fmt::format("{},{}", query.x, query.y)}},
                      .query = {{"given", {given.x, given.y}}, {"query", {query.x, query.y}}}};
    LOFTSCOPE_TRY(likeness.map, similarityMap(*field.field, query, field.tile, context));
    return likeness;
}

Result<Likeness> likenessToText(const SimilarityCommandOptions& options,
                                const MethodOptions& method, const FieldOfScene& field,
                                CommandContext& context) {
    if (const auto warning = textWarning(method.method)) context.warn(*warning);
    Likeness likeness{.map = {},
                      .what = "\u201c" + options.text + "\u201d",
                      .metadata = {{"text", options.text}},
                      .query = options.text};
    const FieldWalk walk = [&](const FeatureField& walked, const auto& each) {
        forEachTile(walked, wholeOf(walked.extent()), field.tile, "comparing with the text",
                    context.run, each);
    };
    LOFTSCOPE_TRY(likeness.map, guarded("comparing with the text", [&] {
                      return textMap(field.scene, *field.field, options.text, walk, context.run);
                  }));
    return likeness;
}

Result<void> runSimilarity(const SimilarityCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_CHECK(checkOutput(options.out, OutputKind::Map));
    if (options.pixel.empty() == options.text.empty())
        return fail(ErrorCode::InvalidArgument, "Give either --pixel or --text.");
    MethodOptions method = options.method;
    if (options.low) method = {"lowres", "", options.method.tile};
    if (method.method.empty())
        return fail(ErrorCode::InvalidArgument,
                    "Give --method, or --low for the low-res features.");
    LOFTSCOPE_TRY(const FieldOfScene field, makeField(options.scene, method, context));
    LOFTSCOPE_TRY(const Likeness likeness,
                  options.text.empty() ? likenessToPixel(options, method, field, context.run)
                                       : likenessToText(options, method, field, context));
    const at::Tensor& map = likeness.map;
    const double low = map.min().item<double>();
    const double high = map.max().item<double>();
    auto metadata = provenanceMetadata(field.scene, field.methodName, field.precision);
    metadata.insert(likeness.metadata.begin(), likeness.metadata.end());
    const bool picture = namesPicture(options.out) && !options.values;
    if (picture) {
        LOFTSCOPE_CHECK(
            writeImage(options.out, mapPicture(map, low, high, *colorMapNamed(options.colors))));
        context.result["colors"] = options.colors;
    } else if (namesMapFile(options.out)) {
        const at::Tensor whole = map.cpu().contiguous();
        LOFTSCOPE_CHECK(writeMapFile(
            options.out, {whole.size(0), whole.size(1)},
            {whole.const_data_ptr<float>(), static_cast<std::size_t>(whole.numel())}, metadata));
    } else {
        LOFTSCOPE_CHECK(writeArray(options.out, map, "similarity", metadata));
    }
    context.result["out"] = options.out;
    context.result[options.text.empty() ? "pixel" : "text"] = likeness.query;
    context.result["width"] = map.size(1);
    context.result["height"] = map.size(0);
    context.result["range"] = {low, high};
    context.text = fmt::format(
        "{}: cosine similarity with {} of {}, {} x {}, from {:.3f} to {:.3f}\n", options.out,
        likeness.what, field.methodName, map.size(1), map.size(0), low, high);
    return {};
}

} // namespace

void addSimilarityCommand(CommandLine& line) {
    auto options = std::make_shared<SimilarityCommandOptions>();
    CLI::App* command =
        line.add("similarity",
                 "Cosine similarity of a pixel's feature, or of a text, with all features as H x W",
                 [options](CommandContext& context) { return runSimilarity(*options, context); });
    addFieldOptions(*command, options->scene, options->method);
    command->get_option("--method")->required(false);
    command->add_option("--pixel,-p", options->pixel,
                        "x,y in pixels of the guidance picture as given, origin top left");
    command->add_option("--text", options->text,
                        "Instead of a pixel: what to look for, e.g. \"a dog\" (CLIP, SigLIP)");
    command->add_flag(
        "--low", options->low,
        "Among the low-res tokens instead (of the token that covers the pixel): h x w");
    command->add_flag("--values", options->values,
                      "A .png holds the values in 16 bits instead of colours");
    command->add_option("--colors", options->colors, "Colour map of a picture")
        ->capture_default_str()
        ->check(CLI::IsMember({"gray", "viridis", "magma", "turbo"}));
    command
        ->add_option("--out,-o", options->out,
                     "Output: .npy or .safetensors (key 'similarity'), .exr, .csv, or a picture "
                     "whose colours span the printed range")
        ->required();
}

} // namespace loftscope::app
