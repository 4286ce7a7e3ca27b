// SPDX-License-Identifier: Apache-2.0
// loftscope attend: which low-resolution tokens make up a pixel's feature.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/analysis/attention_statistics.h"
#include "core/base/guard.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct AttendCommandOptions {
    SceneOptions scene;
    MethodOptions method;
    std::string pixel;
    std::string out;
};

Result<void> runAttend(const AttendCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_CHECK(checkOutput(options.out, OutputKind::Tensor));
    LOFTSCOPE_TRY(const Pixel given, parsePixel(options.pixel));
    if (options.method.method == "lowres")
        return fail(ErrorCode::InvalidArgument,
                    "Low-res features attend to nothing but themselves: choose an upsampler.");
    LOFTSCOPE_TRY(const FieldOfScene field, makeField(options.scene, options.method, context));
    LOFTSCOPE_TRY(const Pixel guided, guidancePixel(field.scene, given));
    const Pixel pixel = fieldPixel(field.scene, *field.field, guided);
    LOFTSCOPE_TRY(const std::optional<at::Tensor> attention,
                  guarded("computing attention", [&] { return field.field->attend(pixel); }));
    if (!attention)
        return fail(ErrorCode::Unsupported,
                    fmt::format("{} has no weights over the low-res grid.", field.methodName));
    auto metadata = provenanceMetadata(field.scene, field.methodName, field.precision);
    metadata["pixel"] = fmt::format("{},{}", pixel.x, pixel.y);
    LOFTSCOPE_CHECK(writeArray(options.out, *attention, "attention", metadata));

    context.result["out"] = options.out;
    context.result["shape"] = attention->sizes().vec();
    context.result["pixel"] = {{"given", {given.x, given.y}}, {"output", {pixel.x, pixel.y}}};
    context.text = fmt::format(
        "{}: {} x {} x {} x {} (blocks x heads x height x width) for output pixel ({}, {})\n",
        options.out, attention->size(0), attention->size(1), attention->size(2), attention->size(3),
        pixel.x, pixel.y);
    for (std::int64_t block = 0; block < attention->size(0); ++block) {
        for (std::int64_t head = 0; head < attention->size(1); ++head) {
            const AttentionStatistics statistics = attentionStatistics((*attention)[block][head]);
            context.result["maps"].push_back(
                {{"block", block},
                 {"head", head},
                 {"entropy_bits", statistics.entropyBits},
                 {"effective_tokens", statistics.effectiveTokens},
                 {"peak", statistics.peak},
                 {"peak_token", {statistics.peakToken.x, statistics.peakToken.y}}});
            context.text +=
                fmt::format("  block {} head {}: entropy {:.2f} bit ({:.1f} tokens), peak {:.3f} "
                            "at token ({}, {})\n",
                            block, head, statistics.entropyBits, statistics.effectiveTokens,
                            statistics.peak, statistics.peakToken.x, statistics.peakToken.y);
        }
    }
    return {};
}

} // namespace

void addAttendCommand(CommandLine& line) {
    auto options = std::make_shared<AttendCommandOptions>();
    CLI::App* command =
        line.add("attend", "Attention of a pixel over the low-res grid as blocks x heads x h x w",
                 [options](CommandContext& context) { return runAttend(*options, context); });
    addFieldOptions(*command, options->scene, options->method);
    command
        ->add_option("--pixel,-p", options->pixel,
                     "x,y in pixels of the guidance picture as given, origin top left")
        ->required();
    command->add_option("--out,-o", options->out, "Output: .npy or .safetensors (key 'attention')")
        ->required();
}

} // namespace loftscope::app
