// SPDX-License-Identifier: Apache-2.0
// loftscope upsample: a high-resolution feature map, or a rectangle of it, streamed to a file.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/base/guard.h"
#include "core/upsample/host_tiles.h"
#include "core/weights/tensor_sink.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct UpsampleCommandOptions {
    SceneOptions scene;
    MethodOptions method;
    std::string rect;
    std::string out;
};

Result<void> runUpsample(const UpsampleCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_CHECK(checkOutput(options.out, OutputKind::Tensor));
    LOFTSCOPE_TRY(FieldOfScene field, makeField(options.scene, options.method, context));
    dropPictures(field.scene);
    const Extent extent = field.field->extent();
    Rect rect = wholeOf(extent);
    if (!options.rect.empty()) {
        LOFTSCOPE_TRY(rect, parseRect(options.rect));
        if (!contains(extent, rect)) {
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The rectangle {} is empty or not inside the {} x {} output.",
                                    options.rect, extent.width, extent.height));
        }
    }
    auto metadata = provenanceMetadata(field.scene, field.methodName, field.precision);
    metadata["output"] = fmt::format("{} x {}", extent.width, extent.height);
    metadata["rect"] = fmt::format("{},{},{},{}", rect.x, rect.y, rect.width, rect.height);
    LOFTSCOPE_TRY(TensorSink sink,
                  TensorSink::create(options.out,
                                     {field.field->channels(), rect.height, rect.width}, "features",
                                     metadata));
    LOFTSCOPE_CHECK(guarded("upsampling", [&] {
        forEachHostTile(
            *field.field, tilesOf(rect, field.tile), "upsampling with " + field.methodName,
            context.run, [&](const Rect& tile, const at::Tensor& block) {
                sink.write(block, {tile.x - rect.x, tile.y - rect.y, tile.width, tile.height});
            });
    }));
    LOFTSCOPE_CHECK(sink.finish());

    context.result["out"] = options.out;
    context.result["channels"] = field.field->channels();
    context.result["width"] = rect.width;
    context.result["height"] = rect.height;
    context.text =
        fmt::format("{}: {} by {}\n", options.out,
                    sizeText(field.field->channels(), {rect.height, rect.width}), field.methodName);
    return {};
}

} // namespace

void addUpsampleCommand(CommandLine& line) {
    auto options = std::make_shared<UpsampleCommandOptions>();
    CLI::App* command =
        line.add("upsample", "High-resolution features as C x H x W",
                 [options](CommandContext& context) { return runUpsample(*options, context); });
    addFieldOptions(*command, options->scene, options->method);
    command->add_option("--rect", options->rect,
                        "Only this rectangle of the output: x,y,w,h in its pixels");
    command->add_option("--out,-o", options->out, "Output: .npy or .safetensors (key 'features')")
        ->required();
}

} // namespace loftscope::app
