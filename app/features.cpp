// SPDX-License-Identifier: Apache-2.0
// loftscope features: a backbone's patch tokens and self-attention of one picture.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/weights/tensor_sink.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

namespace loftscope::app {

namespace {

struct FeaturesCommandOptions {
    SceneOptions scene;
    std::optional<std::int64_t> layer;
    bool attention = false;
    std::string query = "cls";
    std::string out;
};

Result<void> runFeatures(const FeaturesCommandOptions& options, CommandContext& context) {
    const std::filesystem::path out = options.out;
    LOFTSCOPE_CHECK(checkOutput(options.out, OutputKind::Tensor));
    if (options.scene.backbone.empty() || options.scene.image.empty())
        return fail(ErrorCode::InvalidArgument, "Give --backbone and --image.");

    LOFTSCOPE_CHECK(requireFullPrecision(context.options));
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context));
    LOFTSCOPE_TRY(const SceneRequest request, sceneRequest(options.scene, device));
    LOFTSCOPE_TRY(const Scene scene, makeScene(request, context.run));
    reportScene(scene, context);

    BackboneTaps taps;
    taps.attention = options.attention;
    if (options.layer) taps.layers.push_back(*options.layer);
    if (options.query != "cls") {
        LOFTSCOPE_TRY(taps.query, parsePixel(options.query));
    }
    at::Tensor tokens = scene.low.values;
    at::Tensor attention;
    if (options.layer || options.attention) {
        LOFTSCOPE_TRY(const BackboneOutput output,
                      scene.backbone->run(scene.input, taps, context.run));
        if (options.layer) tokens = output.layers.front().values;
        attention = output.attention;
        if (options.layer && options.attention)
            attention = attention.slice(0, *options.layer, *options.layer + 1);
    }
    auto metadata = provenanceMetadata(scene, "");
    metadata["layer"] = options.layer
                            ? fmt::format("block {}, before the final norm", *options.layer)
                            : "patch tokens after the final norm";
    if (options.attention && out.extension() == ".safetensors") {
        metadata["attention_query"] = options.query;
        LOFTSCOPE_CHECK(writeSafetensors(
            out, {{"features", tokens.cpu()}, {"attention", attention.cpu()}}, metadata));
    } else {
        const at::Tensor& values = options.attention ? attention : tokens;
        LOFTSCOPE_CHECK(writeArray(out, values, "features", metadata));
    }

    context.result["out"] = options.out;
    context.result["channels"] = tokens.size(0);
    context.text =
        fmt::format("{}: {} of {}\n", options.out, sizeText(tokens.size(0), scene.low.extent()),
                    scene.backbone->name());
    if (options.attention) {
        context.result["attention"] = attention.sizes().vec();
        context.text += fmt::format(
            "attention of {}: {} x {} x {} x {} (blocks x heads x height x width)\n", options.query,
            attention.size(0), attention.size(1), attention.size(2), attention.size(3));
    }
    return {};
}

} // namespace

void addFeaturesCommand(CommandLine& line) {
    auto options = std::make_shared<FeaturesCommandOptions>();
    CLI::App* command = line.add(
        "features", "Patch tokens of a picture as C x h x w, and a backbone's self-attention",
        [options](CommandContext& context) { return runFeatures(*options, context); });
    addBackboneOptions(*command, options->scene, "--size,--input-size");
    command->add_option(
        "--layer", options->layer,
        "Tokens of this block (0-based), before the final norm, instead of the final ones");
    command->add_flag("--attention", options->attention,
                      "Also self-attention, blocks x heads x h x w: under the key 'attention' of a "
                      ".safetensors; a .npy holds it alone");
    command->add_option("--query", options->query, "Whose attention: cls, or column,row of a patch")
        ->capture_default_str();
    command->add_option("--out,-o", options->out, "Output: .npy or .safetensors (key 'features')")
        ->required();
}

} // namespace loftscope::app
