// SPDX-License-Identifier: Apache-2.0
// loftscope pca: principal components of a field, as scores or as colours.
#include "core/analysis/pca.h"

#include "app/commands.h"
#include "app/scene_options.h"
#include "core/analysis/map_picture.h"
#include "core/analysis/pca_file.h"
#include "core/analysis/pca_picture.h"
#include "core/image/encode.h"
#include "core/upsample/cached_field.h"
#include "core/upsample/interpolation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

namespace loftscope::app {

namespace {

const std::map<std::string, PcaScaling> scalings{{"minmax", PcaScaling::MinMax},
                                                 {"percentile", PcaScaling::Percentile},
                                                 {"sigmoid", PcaScaling::Sigmoid}};

struct PcaCommandOptions {
    SceneOptions scene;
    MethodOptions method;
    std::string components = "0,1,2";
    std::string basis = "own";
    std::string basisIn;
    std::string basisOut;
    std::string scaling = "percentile";
    std::string percentiles = "1,99";
    bool whiten = false;
    std::optional<double> foreground;
    std::string out;
};

Result<PcaBasis> basisOf(const PcaCommandOptions& options, const FieldOfScene& field,
                         std::int64_t size, const RunContext& context) {
    if (!options.basisIn.empty()) return readPcaBasis(options.basisIn);
    const auto name = [](std::string_view what, const Extent& extent) {
        return fmt::format("{} {} x {}", what, extent.width, extent.height);
    };
    const auto low = makeGridField(field.scene.low);
    const PcaSource lowSource{low.get(), name("low-res", low->extent())};
    const PcaSource ownSource{field.field.get(), name(field.methodName, field.field->extent())};
    if (options.basis == "own") return fitPca(std::array{ownSource}, size, field.tile, context);
    if (options.basis == "lowres") return fitPca(std::array{lowSource}, size, field.tile, context);
    const std::array both{lowSource, ownSource};
    return options.basis == "shared" ? fitPca(both, size, field.tile, context)
                                     : fitPcaAsPublished(both, size, field.tile, context);
}

/// Scores of the listed components in their order, whitened if asked for.
at::Tensor listedScores(const at::Tensor& scores, const PcaBasis& basis,
                        const std::vector<std::int64_t>& components, bool whiten) {
    const at::Tensor index = at::tensor(components, at::kLong);
    at::Tensor listed = scores.index_select(0, index);
    if (whiten)
        listed = listed /
                 basis.variances.index_select(0, index).sqrt().clamp_min(1e-12).view({-1, 1, 1});
    return listed.contiguous();
}

Result<void> writePicture(const PcaCommandOptions& options, const at::Tensor& scores,
                          const PcaBasis& basis, const std::vector<std::int64_t>& components) {
    PcaDisplay display;
    display.scaling = scalings.at(options.scaling);
    display.whiten = options.whiten;
    display.foregroundAbove = options.foreground;
    LOFTSCOPE_TRY(const auto percentiles, parseIntegers(options.percentiles, "--percentiles"));
    if (percentiles.size() != 2)
        return fail(ErrorCode::InvalidArgument, "--percentiles takes two numbers, e.g. 1,99.");
    display.lowPercentile = static_cast<double>(percentiles[0]);
    display.highPercentile = static_cast<double>(percentiles[1]);
    if (components.size() == 1) {
        display.components = {components[0], components[0], components[0]};
        const ScoreRange range = scoreRanges(scores, basis, display)[0];
        return writeImage(options.out, mapPicture(scores[components[0]], range.low, range.high,
                                                  ColorMap::Viridis));
    }
    if (components.size() != 3)
        return fail(ErrorCode::InvalidArgument,
                    "A picture shows three components (red, green, blue) or one (viridis).");
    std::copy_n(components.begin(), 3, display.components.begin());
    LOFTSCOPE_TRY(const Image picture, pcaPicture(scores, basis, display));
    return writeImage(options.out, picture);
}

Result<void> runPca(const PcaCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_CHECK(checkOutput(options.out, OutputKind::TensorOrPicture));
    LOFTSCOPE_TRY(const auto components, parseIntegers(options.components, "--components"));
    const std::int64_t largest = *std::ranges::max_element(components);
    if (*std::ranges::min_element(components) < 0)
        return fail(ErrorCode::InvalidArgument, "Components are counted from 0.");
    LOFTSCOPE_TRY(FieldOfScene field, makeField(options.scene, options.method, context));
    dropPictures(field.scene);
    // Fitting and projecting walk over the same tiles. Of a map that has no room as a whole, the
    // part that has would save little time.
    constexpr std::size_t budgetBytes = std::size_t{512} << 20U;
    const auto wholeBytes =
        static_cast<std::size_t>(field.field->channels() * field.field->extent().area()) *
        sizeof(float);
    if (wholeBytes <= budgetBytes)
        field.field = makeCachedField(std::move(field.field), budgetBytes);
    LOFTSCOPE_TRY(const PcaBasis basis, basisOf(options, field, largest + 1, context.run));
    if (largest >= basis.size()) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("Component {} was asked for, but the basis has components 0 to {}.",
                                largest, basis.size() - 1));
    }
    LOFTSCOPE_TRY(const at::Tensor scores,
                  projectField(basis, *field.field, field.tile, context.run));
    // Its tables and tiles would leave little room for the colours of a large map.
    field.field.reset();

    const auto metadata = provenanceMetadata(field.scene, field.methodName, field.precision);
    if (namesPicture(options.out)) {
        LOFTSCOPE_CHECK(writePicture(options, scores, basis, components));
    } else {
        auto all = metadata;
        all["components"] = options.components;
        all["fitted_on"] = basis.fittedOn;
        const at::Tensor listed = listedScores(scores, basis, components, options.whiten);
        LOFTSCOPE_CHECK(writeArray(options.out, listed, "scores", all));
    }
    if (!options.basisOut.empty())
        LOFTSCOPE_CHECK(writePcaBasis(options.basisOut, basis, metadata));

    context.result["out"] = options.out;
    context.result["fitted_on"] = basis.fittedOn;
    context.result["width"] = scores.size(2);
    context.result["height"] = scores.size(1);
    context.text = fmt::format("{}: components {} of {}, {} x {}, basis fitted on {}\n",
                               options.out, options.components, field.methodName, scores.size(2),
                               scores.size(1), basis.fittedOn);
    for (const std::int64_t component : components) {
        const double share =
            basis.variances[component].item<double>() / std::max(basis.totalVariance, 1e-300);
        context.result["variance_share"].push_back(share);
        context.text +=
            fmt::format("  component {}: {:.1f} % of the variance\n", component, share * 100);
    }
    return {};
}

} // namespace

void addPcaCommand(CommandLine& line) {
    auto options = std::make_shared<PcaCommandOptions>();
    CLI::App* command = line.add(
        "pca", "Principal components of a feature map, as scores (k x H x W) or as colours",
        [options](CommandContext& context) { return runPca(*options, context); });
    addFieldOptions(*command, options->scene, options->method);
    command
        ->add_option("--components", options->components,
                     "Which components, counted from 0: three for colours, or any list for scores")
        ->capture_default_str();
    command
        ->add_option("--basis", options->basis,
                     "What the basis is fitted on: own (this map), lowres, shared (low-res and "
                     "this map, equally weighted), or published "
                     "(the reference code's joint fit at h x h)")
        ->capture_default_str()
        ->check(CLI::IsMember({"own", "lowres", "shared", "published"}));
    command->add_option("--basis-in", options->basisIn,
                        "Use the basis of this file instead of fitting one");
    command->add_option("--basis-out", options->basisOut,
                        "Write the basis (.safetensors: mean, components, variances)");
    command
        ->add_option("--scaling", options->scaling,
                     "Colours: percentile, minmax, or sigmoid of whitened scores")
        ->capture_default_str()
        ->check(CLI::IsMember({"percentile", "minmax", "sigmoid"}));
    command
        ->add_option("--percentiles", options->percentiles,
                     "The two percentiles of --scaling percentile")
        ->capture_default_str();
    command->add_flag("--whiten", options->whiten, "Divide scores by their standard deviation");
    command->add_option(
        "--foreground", options->foreground,
        "Colour only pixels whose score of component 0 is above this; the rest is black");
    command
        ->add_option("--out,-o", options->out,
                     "Output: a picture, or .npy or .safetensors (key 'scores')")
        ->required();
}

} // namespace loftscope::app
