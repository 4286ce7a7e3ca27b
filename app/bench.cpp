// SPDX-License-Identifier: Apache-2.0
// loftscope bench: how long the stages take that a user waits for.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/bench/device_wait.h"
#include "core/bench/field_bench.h"
#include "core/bench/machine_probe.h"
#include "core/image/decode.h"
#include "core/image/normalise.h"
#include "core/image/prepare.h"
#include "core/upsample/tf32_upsampler.h"
#include "core/upsample/tiles.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <span>

namespace loftscope::app {

namespace {

struct BenchCommandOptions {
    std::vector<std::string> upsamplers;
    std::string backbone;
    std::string photo;
    std::vector<std::string> sizes = {"224"};
    std::int64_t patch = 0;
    std::int64_t channels = 384;
    std::string tokens;
    std::int64_t tile = 0; ///< 0: as suits the device
    std::int64_t repetitions = 3;
    std::int64_t mostTiles = 1 << 30;
    std::vector<std::string> precisions; ///< the common option's where empty
    std::vector<int> threadCounts;       ///< the same
    bool withoutPca = false;
    std::string out;
};

struct Case {
    Extent extent; ///< of the output
    Extent grid;
};

Result<Extent> parseSize(const std::string& text) {
    const std::size_t cross = text.find('x');
    LOFTSCOPE_TRY(const std::vector<std::int64_t> width,
                  parseIntegers(text.substr(0, cross), "size"));
    if (cross == std::string::npos) return Extent{width[0], width[0]};
    LOFTSCOPE_TRY(const std::vector<std::int64_t> height,
                  parseIntegers(text.substr(cross + 1), "size"));
    return Extent{height[0], width[0]};
}

/// Some picture with smooth parts, edges and grain, for those who give no photo. 3 x H x W in 0..1,
/// in steps of 1/255 as photos have.
at::Tensor syntheticPicture(const Extent& extent) {
    at::Tensor picture = at::empty({3, extent.height, extent.width});
    auto* values = picture.mutable_data_ptr<float>();
    std::uint32_t grain = 12345;
    for (std::int64_t i = 0; i < picture.numel(); ++i) {
        const std::int64_t x = i % extent.width;
        const std::int64_t y = i / extent.width % extent.height;
        grain = grain * 1664525U + 1013904223U;
        const bool square = (x / 40 + y / 40) % 2 == 0;
        const std::int64_t level = 60 + (square ? 90 : 0) +
                                   (x + 2 * y) * 80 / (extent.width + 2 * extent.height) +
                                   static_cast<std::int64_t>(grain >> 29U);
        values[i] = static_cast<float>(level) / 255.0F;
    }
    return picture;
}

std::string milliseconds(double seconds) {
    return seconds < 0.1 ? fmt::format("{:.2f}", seconds * 1e3)
                         : fmt::format("{:.0f}", seconds * 1e3);
}

nlohmann::ordered_json stageJson(const StageMeasure& time) {
    nlohmann::ordered_json json{{"stage", time.stage},
                                {"wall_s", time.median.wallSeconds},
                                {"cpu_s", time.median.processorSeconds},
                                {"best_wall_s", time.best.wallSeconds},
                                {"best_cpu_s", time.best.processorSeconds},
                                {"repetitions", time.repetitions}};
    if (time.gmacs > 0) json["gmac"] = time.gmacs;
    if (time.measured < 1) json["measured_share"] = time.measured;
    return json;
}

/// The multiply-adds of a method per pixel where they are known: LoftUp's.
Result<double> macsOf(const std::string& key, const std::string& weights, std::int64_t tokens) {
    if (key != "loftup") return 0;
    LOFTSCOPE_TRY(const TensorFile file, readTensorFile(weights));
    LOFTSCOPE_TRY(const LoftUpSpec spec, recogniseLoftUp(file.tensors));
    return loftUpMacsPerPixel(spec.channels, spec.dim, spec.hidden, spec.depth, tokens);
}

Result<StageMeasure> timedStage(const std::string& stage, std::int64_t repetitions,
                                c10::Device device, const std::function<Result<void>()>& work) {
    std::vector<double> wall;
    std::vector<double> processor;
    for (std::int64_t i = 0; i < repetitions + 1; ++i) {
        const Stopwatch watch;
        LOFTSCOPE_CHECK(work());
        waitFor(device);
        if (i == 0 && repetitions > 1) continue; // the first call chooses kernels and maps memory
        wall.push_back(watch.elapsed().wallSeconds);
        processor.push_back(watch.elapsed().processorSeconds);
        if (repetitions == 1) break;
    }
    return StageMeasure{stage,
                        {medianOf(wall), medianOf(processor)},
                        {std::ranges::min(wall), std::ranges::min(processor)},
                        repetitions};
}

/// What stays the same over all settings.
struct Bench {
    c10::Device device;
    std::optional<LoadedBackbone> backbone;
    std::optional<Photo> photo;
    std::int64_t patch = 0;
    std::int64_t channels = 0;
    std::vector<Case> cases;
};

/// All cases with as many threads as LibTorch has now.
Result<void> runSetting(const BenchCommandOptions& options, const Bench& bench,
                        const std::string& precision, CommandContext& context) {
    const auto& [device, backbone, photo, patch, channels, cases] = bench;
    LOFTSCOPE_TRY(const Precision arithmetic, precisionNamed(precision));
    if (needsGpu(arithmetic) && device.is_cpu())
        return fail(
            ErrorCode::Unsupported,
            fmt::format("Precision {} needs a GPU: use --precisions bf16 or fp32.", precision));
    context.run.progress("measuring the machine", 0);
    const MachineProbe probe = [&] {
        std::optional<Tf32Scope> scope;
        if (arithmetic == Precision::Tf32) scope.emplace();
        return probeMachine(device, scalarTypeOf(arithmetic));
    }();
    context.result["machines"].push_back({{"threads", at::get_num_threads()},
                                          {"precision", precision},
                                          {"product_gmac_s", probe.productGmacs},
                                          {"convolution_gmac_s", probe.convolutionGmacs}});
    context.text +=
        fmt::format("{}{}, {} threads, {}: at best {:.0f} GMAC/s in a matrix product, {:.0f} in a "
                    "convolution\n\n{:<10} {:<11} {:<10} {:<19} {:>11} {:>11} {:>8} {:>6}\n",
                    context.text.empty() ? "" : "\n", device.str(), at::get_num_threads(),
                    precision, probe.productGmacs, probe.convolutionGmacs, "method", "output",
                    "tokens", "stage", "wall ms", "cpu ms", "GMAC/s", "peak");
    const auto report = [&](const std::string& method, const Case& each, const StageMeasure& time,
                            nlohmann::ordered_json& stages) {
        nlohmann::ordered_json json = stageJson(time);
        std::string rate;
        std::string share;
        std::string stage = time.stage;
        if (time.measured < 1) stage += fmt::format(" ({:.1f} %)", 100 * time.measured);
        if (time.gmacs > 0) {
            const double gmacs = time.gmacs / time.median.wallSeconds;
            const double best = std::max(probe.productGmacs, probe.convolutionGmacs);
            json["gmac_s"] = gmacs;
            json["share_of_peak"] = gmacs / best;
            rate = fmt::format("{:.1f}", gmacs);
            share = fmt::format("{:.0f} %", 100 * gmacs / best);
        }
        context.text +=
            fmt::format("{:<10} {:<11} {:<10} {:<19} {:>11} {:>11} {:>8} {:>6}\n", method,
                        fmt::format("{}x{}", each.extent.width, each.extent.height),
                        fmt::format("{}x{}", each.grid.width, each.grid.height), stage,
                        milliseconds(time.median.wallSeconds),
                        milliseconds(time.median.processorSeconds), rate, share);
        stages.push_back(std::move(json));
    };

    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(1);
    for (const Case& each : cases) {
        const Extent& extent = each.extent;
        nlohmann::ordered_json common{
            {"threads", at::get_num_threads()},
            {"output", {{"width", extent.width}, {"height", extent.height}}},
            {"tokens", {{"width", each.grid.width}, {"height", each.grid.height}}}};
        nlohmann::ordered_json shared = nlohmann::ordered_json::array();
        at::Tensor picture;
        if (photo) {
            LOFTSCOPE_TRY(const StageMeasure decode,
                          timedStage("decode", options.repetitions, device, [&]() -> Result<void> {
                              LOFTSCOPE_CHECK(decodePhoto(options.photo, AlphaRule::OverWhite));
                              return {};
                          }));
            report("", each, decode, shared);
            const PhotoMapping mapping{photo->image.extent(), extent, wholeOf(extent)};
            LOFTSCOPE_TRY(const PreparedPicture prepared,
                          preparePictureLike(photo->image, mapping, extent));
            picture = normalisedTensor(prepared.picture, {})[0];
        } else {
            picture = (syntheticPicture(extent) - 0.45) / 0.225;
        }
        const Guidance guidance{extent, picture.to(device)};
        FeatureGrid low{at::empty({channels, each.grid.height, each.grid.width})
                            .normal_(0, 1, generator)
                            .to(device)};
        if (backbone) {
            const at::Tensor input =
                at::empty({1, 3, each.grid.height * patch, each.grid.width * patch})
                    .normal_(0, 1, generator);
            LOFTSCOPE_TRY(
                const StageMeasure time,
                timedStage("backbone", options.repetitions, device, [&]() -> Result<void> {
                    LOFTSCOPE_TRY(BackboneOutput output,
                                  backbone->model->run(input, {}, context.run));
                    low = std::move(output.tokens);
                    return {};
                }));
            report("", each, time, shared);
        }
        if (!shared.empty()) {
            nlohmann::ordered_json json = common;
            json["stages"] = std::move(shared);
            context.result["cases"].push_back(std::move(json));
        }
        for (const std::string& text : options.upsamplers) {
            const std::size_t equals = text.find('=');
            const std::string key = text.substr(0, equals);
            const std::string weights = equals == std::string::npos ? "" : text.substr(equals + 1);
            LOFTSCOPE_TRY(const LoadedUpsampler loaded,
                          loadUpsampler(key, weights, device, context.run, arithmetic));
            FieldBenchRequest request{.low = low,
                                      .guidance = guidance,
                                      .tile = options.tile > 0 ? options.tile : usualTile(device),
                                      .repetitions = options.repetitions,
                                      .pca = !options.withoutPca,
                                      .mostTiles = options.mostTiles,
                                      .device = device};
            LOFTSCOPE_TRY(request.macsPerPixel, macsOf(key, weights, each.grid.area()));
            LOFTSCOPE_TRY(const FieldBenchResult result,
                          benchField(*loaded.model, request, context.run));
            nlohmann::ordered_json json = common;
            json["method"] = key;
            json["precision"] = nameOf(loaded.precision);
            nlohmann::ordered_json stages = nlohmann::ordered_json::array();
            for (const StageMeasure& time : result.stages)
                report(key, each, time, stages);
            json["stages"] = std::move(stages);
            if (result.peakBytes) {
                json["peak_mib"] = static_cast<double>(*result.peakBytes) / (1 << 20);
                context.text +=
                    fmt::format("{:<10} peak memory over photo and weights: {:.0f} MiB\n", key,
                                static_cast<double>(*result.peakBytes) / (1 << 20));
            }
            context.result["cases"].push_back(std::move(json));
        }
    }
    return {};
}

Result<void> runBench(const BenchCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context));
    std::optional<LoadedBackbone> backbone;
    if (!options.backbone.empty()) {
        LOFTSCOPE_TRY(LoadedBackbone loaded, loadBackbone(options.backbone, device));
        backbone = std::move(loaded);
    }
    std::optional<Photo> photo;
    if (!options.photo.empty()) {
        LOFTSCOPE_TRY(Photo decoded, decodePhoto(options.photo, AlphaRule::OverWhite));
        photo = std::move(decoded);
    }
    const std::int64_t patch =
        options.patch > 0 ? options.patch : (backbone ? backbone->model->patch() : 14);
    const std::int64_t channels = backbone ? backbone->model->channels() : options.channels;

    std::vector<Case> cases;
    for (const std::string& text : options.sizes) {
        LOFTSCOPE_TRY(const Extent extent, parseSize(text));
        Extent grid{std::max<std::int64_t>(1, extent.height / patch),
                    std::max<std::int64_t>(1, extent.width / patch)};
        if (!options.tokens.empty()) {
            LOFTSCOPE_TRY(grid, parseSize(options.tokens));
        }
        if (extent.area() <= 0 || grid.area() <= 0)
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("'{}' is no size: use N or WxH.", text));
        cases.push_back({extent, grid});
    }

    const Bench bench{device, backbone, photo, patch, channels, cases};
    context.result["version"] = LOFTSCOPE_VERSION;
    context.result["device"] = device.str();
    const int usual = at::get_num_threads();
    for (const int threads :
         options.threadCounts.empty() ? std::vector{usual} : options.threadCounts) {
        at::set_num_threads(threads);
        for (const std::string& precision : options.precisions.empty()
                                                ? std::vector{context.options.precision}
                                                : options.precisions)
            LOFTSCOPE_CHECK(runSetting(options, bench, precision, context));
    }
    at::set_num_threads(usual);
    if (!options.out.empty()) {
        const std::string text = context.result.dump(1) + '\n';
        LOFTSCOPE_CHECK(writeFile(options.out, std::as_bytes(std::span(text))));
    }
    return {};
}

} // namespace

void addBenchCommand(CommandLine& line) {
    auto options = std::make_shared<BenchCommandOptions>();
    CLI::App* command = line.add(
        "bench", "Times the stages that a user waits for, beside what the machine can do at best",
        [options](CommandContext& context) {
            return guarded("measuring", [&] { return runBench(*options, context); });
        });
    command->add_option("--upsampler,-u", options->upsamplers,
                        "A method, or METHOD=WEIGHTS; may be given several times");
    command->add_option("--backbone,-b", options->backbone, "Also time this backbone");
    command->add_option("--photo", options->photo,
                        "Guide by this photo, resized to each size; a synthetic one if left out");
    command->add_option("--sizes", options->sizes, "Output sizes: N or WxH")
        ->delimiter(',')
        ->capture_default_str();
    command
        ->add_option("--patch", options->patch,
                     "Pixels of the output per token [the backbone's, or 14]")
        ->check(CLI::PositiveNumber);
    command->add_option("--tokens", options->tokens,
                        "Tokens WxH for every size, instead of --patch");
    command
        ->add_option("--channels", options->channels,
                     "Channels of the random features without a backbone")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--tile", options->tile,
                     "Side of the tiles that are computed at once [64, on a GPU 256]")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command->add_option("--repeat", options->repetitions, "Repetitions; medians are shown")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--most-tiles", options->mostTiles,
                     "Of a larger map, compute only so many tiles and scale the times up")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--precisions", options->precisions,
                     "Several in one run, instead of --precision")
        ->delimiter(',')
        ->check(CLI::IsMember(precisionNames()));
    command
        ->add_option("--thread-counts", options->threadCounts,
                     "Several in one run, instead of --threads")
        ->delimiter(',')
        ->check(CLI::Range(1, 1024));
    command->add_flag("--no-pca", options->withoutPca, "Leave out the PCA of the whole field");
    command->add_option("--out,-o", options->out, "Also write the numbers as JSON");
}

} // namespace loftscope::app
