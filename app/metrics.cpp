// SPDX-License-Identifier: Apache-2.0
// loftscope metrics: numbers that compare upsamplers on one picture without labels.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/analysis/field_metrics.h"

#include <fmt/format.h>

namespace loftscope::app {

namespace {

struct MetricsCommandOptions {
    SceneOptions scene;
    MethodOptions method;
};

Result<void> runMetrics(const MetricsCommandOptions& options, CommandContext& context) {
    if (options.method.method == "lowres")
        return fail(ErrorCode::InvalidArgument,
                    "Metrics compare an upsampler with the low-res features: choose an upsampler.");
    LOFTSCOPE_TRY(const FieldOfScene field, makeField(options.scene, options.method, context));
    if (!field.scene.guidance.picture.defined())
        return fail(ErrorCode::InvalidArgument,
                    "Metrics compare edges with the picture's: give --guidance or --image.");
    LOFTSCOPE_TRY(const FieldMetrics metrics,
                  measureField(*field.field, field.scene.low,
                               guidanceAt(field.scene, field.field->extent()), field.tile,
                               context.run));
    context.result["consistency_cosine"] = metrics.consistencyCosine;
    context.result["consistency_error"] = metrics.consistencyError;
    context.result["edge_alignment"] = metrics.edgeAlignment;
    context.result["total_variation"] = metrics.totalVariation;
    context.result["mean_norm"] = metrics.meanNorm;
    context.text =
        fmt::format("{}\n"
                    "  consistency with low-res: cosine {:.4f}, relative error {:.4f}\n"
                    "  edge alignment with the picture: {:.4f} (correlation of gradients)\n"
                    "  total variation: {:.4f} (of the mean deviation)\n"
                    "  mean feature norm: {:.4g}\n",
                    field.methodName, metrics.consistencyCosine, metrics.consistencyError,
                    metrics.edgeAlignment, metrics.totalVariation, metrics.meanNorm);
    return {};
}

} // namespace

void addMetricsCommand(CommandLine& line) {
    auto options = std::make_shared<MetricsCommandOptions>();
    CLI::App* command = line.add(
        "metrics", "Consistency, edge alignment, total variation and norm of an upsampled map",
        [options](CommandContext& context) { return runMetrics(*options, context); });
    addFieldOptions(*command, options->scene, options->method);
}

} // namespace loftscope::app
