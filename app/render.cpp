// SPDX-License-Identifier: Apache-2.0
// loftscope render: a labelled comparison figure of one photo.
#include "app/commands.h"
#include "app/scene_options.h"
#include "core/analysis/attention_statistics.h"
#include "core/analysis/field_metrics.h"
#include "core/base/guard.h"
#include "core/base/sha256.h"
#include "core/figure/figure_file.h"
#include "core/image/clip.h"
#include "core/image/video_file.h"
#include "core/pipeline/batch.h"
#include "core/pipeline/clip_basis.h"
#include "core/pipeline/comparison_data.h"
#include "core/pipeline/comparison_matrix.h"
#include "core/pipeline/html_report.h"
#include "core/session/session_file.h"
#include "ui/figure/figure_painter.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

namespace loftscope::app {

namespace {

namespace fs = std::filesystem;

struct RenderCommandOptions {
    SceneOptions scene;
    std::vector<std::string> backbones; ///< of a matrix; instead of the scene's
    std::vector<std::string> upsamplers;
    std::string panes;
    std::string basis = "own";
    std::int64_t tile = 64;
    std::optional<int> columns;
    std::string title;
    std::string figure;
    std::vector<std::string> texts;
    std::vector<std::string> picks;
    int activePick = 1;
    std::string crop;
    std::optional<double> widthMm;
    std::int64_t frame = -1; ///< of a clip; below 0: the photo is none
    std::string figureOut;
    std::string data;
    std::string dataFormat = "npy";
    std::string video;
    bool wipe = false;
    double rate = 0;
    std::string report;
    std::optional<FigurePlan> session; ///< what a session shows
    std::string lockedFrom;            ///< a session with locked bases; empty: `lockedBases`
    std::map<std::string, BasisValues> lockedBases;
    std::vector<std::string> photos;
    std::string format = "png";
    std::string shard;
    std::vector<std::string> insets;
    std::string out;
};

Result<std::vector<ComparedMethod>> loadMethods(const RenderCommandOptions& options,
                                                c10::Device device, CommandContext& context) {
    std::vector<ComparedMethod> methods;
    for (const std::string& text : options.upsamplers) {
        const std::size_t equals = text.find('=');
        const std::string key = text.substr(0, equals);
        const std::string weights = equals == std::string::npos ? "" : text.substr(equals + 1);
        // In a matrix every backbone may have its own.
        if (options.backbones.empty() &&
            std::ranges::find(methods, key, &ComparedMethod::key) != methods.end())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The upsampler {} is given twice.", key));
        LOFTSCOPE_TRY(LoadedUpsampler loaded, loadUpsampler(key, weights, device, context.run,
                                                            precisionOf(context.options)));
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

/// The plan of --figure with what the other options change of it.
Result<FigurePlan> planOf(const RenderCommandOptions& options,
                          const std::vector<std::string>& methods) {
    FigurePlan plan = options.session.value_or(FigurePlan());
    if (!options.figure.empty()) {
        LOFTSCOPE_TRY(plan, readFigurePlan(options.figure, methods));
    }
    if (!options.panes.empty()) {
        LOFTSCOPE_TRY(const std::vector<PaneView> views, parsePanes(options.panes));
        plan.panes.clear();
        plan.only = 0;
        for (const PaneView& view : views)
            plan.panes.push_back({view, std::nullopt, std::nullopt});
    }
    if (options.basis != "own") {
        if (plan.panes.empty()) {
            plan.panes = figurePreset("comparison", methods)->panes;
        }
        for (PlannedPane& pane : plan.panes)
            if (pane.view.kind == PaneView::Kind::Features && pane.view.basis == "own")
                pane.view.basis = options.basis;
    }
    if (!options.texts.empty()) {
        plan.texts = options.texts;
        // A preset's panes are followed by those of the texts; panes that were named stay alone.
        if (options.panes.empty() && !plan.panes.empty())
            std::ranges::move(textPanes(plan.texts, methods), std::back_inserter(plan.panes));
    }
    for (std::size_t i = 0; i < options.picks.size(); ++i) {
        LOFTSCOPE_TRY(const Pixel pixel, parsePixel(options.picks[i]));
        if (i == 0) plan.picks.clear();
        plan.picks.push_back({pixel, std::to_string(i + 1), colorOfPick(i)});
    }
    if (options.activePick != 1) plan.activePick = options.activePick;
    for (std::size_t i = 0; i < options.insets.size(); ++i) {
        LOFTSCOPE_TRY(const Rect rect, parseRect(options.insets[i]));
        if (i == 0) plan.insets.clear();
        PlannedInset inset;
        inset.part = rect;
        inset.color = colorOfInset(i);
        plan.insets.push_back(inset);
    }
    if (!options.crop.empty()) {
        LOFTSCOPE_TRY(plan.crop, parseRect(options.crop));
    }
    if (options.columns) plan.columns = *options.columns;
    if (options.widthMm) plan.look.widthMm = *options.widthMm;
    if (!options.title.empty()) plan.title = options.title;
    return plan;
}

Result<Work> prepare(const RenderCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(const c10::Device device, computeDevice(context));
    Work work;
    LOFTSCOPE_TRY(work.scene, sceneRequest(options.scene, device));
    work.comparison.tile = options.tile;
    std::vector<std::string> keys;
    for (const std::string& text : options.upsamplers)
        keys.push_back(text.substr(0, text.find('=')));
    // What is asked for first: a mistake in it is noticed before any model is read.
    LOFTSCOPE_TRY(work.comparison.plan, planOf(options, keys));
    std::map<std::string, BasisValues> locked = options.lockedBases;
    if (!options.lockedFrom.empty()) {
        LOFTSCOPE_TRY(const Session session, readSession(options.lockedFrom));
        locked = session.lockedBases;
        if (locked.empty())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The session '{}' has no locked basis: lock one in the window "
                                    "and save it again.",
                                    options.lockedFrom));
    }
    for (const auto& [method, values] : locked) {
        LOFTSCOPE_TRY(PcaBasis basis, basisFromValues(values));
        work.comparison.lockedBases.insert_or_assign(method, std::move(basis));
    }
    LOFTSCOPE_TRY(work.methods, loadMethods(options, device, context));
    std::vector<std::string> warnings;
    for (const PlannedPane& pane : work.comparison.plan.panes) {
        const bool unknown = pane.view.kind == PaneView::Kind::Features &&
                             pane.view.basis == "locked" && !locked.contains(pane.view.method);
        if (unknown && options.video.empty())
            warnings.push_back(
                fmt::format("It is not known what the locked basis of {} is, so it has its own: "
                            "give a session with --locked-from.",
                            pane.view.method));
    }
    for (const PlannedPane& pane : panesOf(work.comparison.plan, work.methods)) {
        if (pane.view.kind != PaneView::Kind::Text) continue;
        const auto warning = textWarning(pane.view.method);
        if (warning && std::ranges::find(warnings, *warning) == warnings.end())
            warnings.push_back(*warning);
    }
    for (const std::string& warning : warnings)
        context.warn(warning);
    if (!options.figureOut.empty()) {
        FigurePlan whole = work.comparison.plan;
        whole.panes = panesOf(whole, work.methods);
        LOFTSCOPE_CHECK(writeFigurePlan(options.figureOut, whole));
    }
    return work;
}

/// Writes the numbers behind a figure, each with how it was made.
Result<void> writeData(const RenderCommandOptions& options, const Scene& scene, const Work& work,
                       const FigureData& data, CommandContext& context) {
    DataSet set = dataSetOf(scene, work.methods, data);
    set.about = programMetadata(scene, context.options.precision);
    set.about["photo"] = fs::path(work.scene.image).filename().string();
    set.about["input"] = fmt::format("{} x {}", scene.inputExtent.width, scene.inputExtent.height);
    LOFTSCOPE_TRY(const std::vector<fs::path> written,
                  writeDataFiles(options.data, set, options.dataFormat, context.run));
    for (const fs::path& path : written)
        context.result["data"].push_back(path.string());
    return {};
}

/// The scene, and a warning per upsampler that was trained for other features.
Result<Scene> sceneOf(const SceneRequest& request, const Work& work, const RunContext& context) {
    LOFTSCOPE_TRY(Scene scene, makeScene(request, context));
    for (const ComparedMethod& method : work.methods)
        warnOfFit(scene, method.upsampler);
    return scene;
}

Result<void> renderOne(const RenderCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(const Work work, prepare(options, context));
    const auto begin = std::chrono::steady_clock::now();
    SceneRequest request = work.scene;
    if (options.frame >= 0) {
        LOFTSCOPE_TRY(const auto clip, openClip(request.image));
        LOFTSCOPE_TRY(request.photo, clip->frame(options.frame));
    }
    LOFTSCOPE_TRY(const Scene scene, sceneOf(request, work, context.run));
    reportScene(scene, context);
    FigureData data;
    LOFTSCOPE_TRY(FigureSpec figure,
                  compareMethods(scene, work.methods, work.comparison, context.run, &data));
    const FigurePlan& plan = work.comparison.plan;
    if (plan.rowPerPhoto) {
        FigureSpec whole;
        appendRow(whole, std::move(figure), plan, fs::path(request.image).stem().string());
        figure = std::move(whole);
    }
    LOFTSCOPE_CHECK(writeFigure(figure, options.out));
    if (!options.data.empty()) LOFTSCOPE_CHECK(writeData(options, scene, work, data, context));
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
std::string settingsOf(const RenderCommandOptions& options, const Work& work,
                       const CommonOptions& common) {
    const SceneOptions& scene = options.scene;
    nlohmann::ordered_json settings{{"figure", figureJson(work.comparison.plan)},
                                    {"precision", common.precision},
                                    {"input_size", scene.inputSize},
                                    {"output_size", scene.outputSize},
                                    {"fit", scene.fit},
                                    {"alpha", scene.alpha},
                                    {"position_rule", scene.positionRule},
                                    {"normalisation", scene.normalisation},
                                    {"activation", scene.activation},
                                    {"clip_tokens", scene.clipTokens},
                                    {"version", LOFTSCOPE_VERSION}};
    if (!options.lockedFrom.empty())
        settings["locked_from"] = sha256OfFile(options.lockedFrom).value_or(std::string());
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

/// Reads the backbone once for all photos.
Result<void> loadSharedBackbone(const RenderCommandOptions& options, Work& work,
                                CommandContext& context) {
    if (!options.scene.features.empty())
        return fail(ErrorCode::InvalidArgument,
                    "--features belong to one photo: give one, and a file for --out.");
    LOFTSCOPE_TRY(LoadedBackbone backbone, loadBackbone(work.scene.backbone, work.scene.device,
                                                        work.scene.backboneChoices, context.run));
    for (const std::string& warning : backbone.warnings)
        context.warn(warning);
    work.scene.texts = textQueriesOf(backbone, work.scene.device, work.scene.backboneChoices);
    work.scene.loadedBackbone = std::move(backbone);
    return {};
}

/// One figure of one photo: a row per backbone, a column per method.
Result<void> renderBackbones(const RenderCommandOptions& options, CommandContext& context) {
    if (!options.scene.backbone.empty() || !options.scene.features.empty() ||
        !options.panes.empty() || !options.figure.empty())
        return fail(ErrorCode::InvalidArgument,
                    "--backbones choose the rows, and every method is a column: leave out "
                    "--backbone, --features, --panes and --figure.");
    RenderCommandOptions matrix = options;
    matrix.figure = "matrix";
    LOFTSCOPE_TRY(const Work work, prepare(matrix, context));
    std::vector<Scene> scenes;
    for (const std::string& backbone : options.backbones) {
        SceneOptions one = options.scene;
        one.backbone = backbone;
        LOFTSCOPE_TRY(const SceneRequest request, sceneRequest(one, work.scene.device));
        LOFTSCOPE_TRY(Scene scene, makeScene(request, context.run));
        reportScene(scene, context);
        scenes.push_back(std::move(scene));
    }
    context.result.erase("low"); // it is another one in every row
    LOFTSCOPE_TRY(const FigureSpec figure,
                  compareMatrix(scenes, work.methods, work.comparison, context.run));
    LOFTSCOPE_CHECK(writeFigure(figure, options.out));
    context.result["out"] = options.out;
    context.result["rows"] = figure.rowLabels;
    context.result["columns"] = figure.columnLabels;
    for (const FigurePane& pane : figure.panes)
        context.result["panes"].push_back({{"title", pane.title}, {"subtitle", pane.subtitle}});
    context.text = fmt::format("{}: {} rows of {} panes\n", options.out, scenes.size(),
                               figure.panes.size() / scenes.size());
    return {};
}

/// One figure of all photos, each a row.
Result<void> renderRows(const RenderCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(const std::vector<BatchItem> items, planBatch(options.photos));
    LOFTSCOPE_TRY(Work work, prepare(options, context));
    LOFTSCOPE_CHECK(loadSharedBackbone(options, work, context));
    FigureSpec figure;
    for (std::size_t i = 0; i < items.size(); ++i) {
        context.run.progress(fmt::format("photo {} of {}", i + 1, items.size()),
                             static_cast<double>(i) / static_cast<double>(items.size()));
        SceneRequest request = work.scene;
        request.image = items[i].photo.string();
        const RunContext quiet{context.run.stop, {}};
        LOFTSCOPE_TRY(const Scene scene, sceneOf(request, work, quiet));
        LOFTSCOPE_TRY(FigureSpec row, compareMethods(scene, work.methods, work.comparison, quiet));
        appendRow(figure, std::move(row), work.comparison.plan, items[i].name);
    }
    LOFTSCOPE_CHECK(writeFigure(figure, options.out));
    context.result["out"] = options.out;
    context.result["photos"] = items.size();
    context.text = fmt::format("{}: {} rows of {} panes\n", options.out, items.size(),
                               figure.panes.size() / items.size());
    return {};
}

Result<void> renderMany(const RenderCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(std::vector<BatchItem> items, planBatch(options.photos));
    BatchOptions batch{.folder = options.out, .ending = "." + options.format, .settings = {}};
    if (!options.shard.empty()) {
        LOFTSCOPE_TRY(const auto shard, parseShard(options.shard));
        items = shardOf(items, shard.first, shard.second);
        batch.journal = fmt::format("manifest-{}-of-{}.jsonl", shard.first, shard.second);
    }
    LOFTSCOPE_TRY(Work work, prepare(options, context));
    LOFTSCOPE_CHECK(loadSharedBackbone(options, work, context));
    batch.settings = settingsOf(options, work, context.options);

    LOFTSCOPE_TRY(
        const BatchReport report,
        runBatch(items, batch, context.run,
                 [&](const BatchItem& item, const std::filesystem::path& output) -> Result<void> {
                     SceneRequest request = work.scene;
                     request.image = item.photo.string();
                     // The batch reports progress by photos, not by the stages of each.
                     const RunContext quiet{context.run.stop, {}};
                     LOFTSCOPE_TRY(const Scene scene, sceneOf(request, work, quiet));
                     LOFTSCOPE_TRY(const FigureSpec figure,
                                   compareMethods(scene, work.methods, work.comparison, quiet));
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

/// One picture of two: A left of the edge, B right of it.
Image wiped(const Image& a, const Image& b, const Extent& extent, double edge) {
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(extent.area()) * 3);
    const auto at = std::lround(edge * static_cast<double>(extent.width));
    for (std::int64_t y = 0; y < extent.height; ++y) {
        for (std::int64_t x = 0; x < extent.width; ++x) {
            if (std::abs(x - at) <= 1) {
                pixels.insert(pixels.end(), 3, 255);
                continue;
            }
            const Image& from = x < at ? a : b;
            const std::uint8_t* const pixel =
                from.row((2 * y + 1) * from.height() / (2 * extent.height)) +
                3 * ((2 * x + 1) * from.width() / (2 * extent.width));
            pixels.insert(pixels.end(), pixel, pixel + 3);
        }
    }
    return {extent, std::move(pixels)};
}

/// A video of the clip: one basis and one range of colours, side by side or as a wipe.
Result<void> renderVideo(const RenderCommandOptions& options, CommandContext& context) {
    if (options.photos.size() != 1)
        return fail(ErrorCode::InvalidArgument,
                    "--video takes one clip: a video file, or a folder of frames.");
    // Before anything is computed.
    if (!namesVideoOutput(options.video))
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("Cannot tell the format of the video '{}': let the name end in "
                                ".mp4, .webm or .avi, or give a name without ending for a folder "
                                "of pictures.",
                                options.video));
    LOFTSCOPE_TRY(const auto clip, openClip(options.photos.front()));
    LOFTSCOPE_TRY(Work work, prepare(options, context));
    LOFTSCOPE_CHECK(loadSharedBackbone(options, work, context));
    work.scene.image = options.photos.front();
    FigurePlan& plan = work.comparison.plan;
    plan.notes = false;
    plan.subtitles = false;
    constexpr std::int64_t samples = 16;
    LOFTSCOPE_CHECK(
        lockOverClip(*clip, work.scene, work.methods, work.comparison, samples, context.run));
    const double rate = options.rate > 0 ? options.rate : clip->rate() > 0 ? clip->rate() : 12.0;
    if (options.wipe && (plan.panes.size() < 2 || plan.only > 0))
        return fail(ErrorCode::InvalidArgument, "--wipe needs two panes: --panes image,loftup.");
    std::optional<VideoSink> sink;
    const RunContext quiet{context.run.stop, {}};
    std::int64_t written = 0;
    for (std::int64_t i = 0; i < clip->frames(); ++i) {
        context.run.throwIfStopped();
        context.run.progress(fmt::format("frame {} of {}", i + 1, clip->frames()),
                             static_cast<double>(i) / static_cast<double>(clip->frames()));
        SceneRequest request = work.scene;
        auto photo = clip->frame(i);
        // Containers promise a few frames more than there are.
        if (!photo && i > 0 && clip->rate() > 0) break;
        if (!photo) return std::unexpected(photo.error());
        request.photo = *std::move(photo);
        LOFTSCOPE_TRY(const Scene scene, makeScene(request, quiet));
        LOFTSCOPE_TRY(FigureSpec figure,
                      compareMethods(scene, work.methods, work.comparison, quiet));
        Image frame;
        if (options.wipe) {
            // There and back in four seconds, from the first pane to the last.
            const double phase = std::fmod(static_cast<double>(i) / rate / 4, 1.0);
            const double edge = phase < 0.5 ? 2 * phase : 2 - 2 * phase;
            const Image& shown = figure.panes.back().picture;
            const std::int64_t factor =
                std::max<std::int64_t>(1, (480 + shown.height() - 1) / shown.height());
            frame =
                wiped(figure.panes.front().picture, shown,
                      {scene.guidance.extent.height * factor, scene.guidance.extent.width * factor},
                      edge);
        } else {
            figure.scale = 1.5;
            LOFTSCOPE_TRY(frame, paintFigure(figure));
        }
        if (!sink) {
            LOFTSCOPE_TRY(sink, VideoSink::create(options.video, frame.extent(), rate));
        }
        LOFTSCOPE_CHECK(sink->write(frame));
        ++written;
    }
    LOFTSCOPE_CHECK(sink->finish());
    context.result["out"] = options.video;
    context.result["frames"] = written;
    context.result["rate"] = rate;
    context.text =
        fmt::format("{}: {} frames at {:.4g} per second\n", options.video, written, rate);
    return {};
}

/// How alike the coarse and the fine features are, and the attention of picks.
Result<std::vector<ReportTable>> tablesOf(const Scene& scene, const Work& work,
                                          const FigureData& data, const RunContext& context) {
    std::vector<ReportTable> tables;
    ReportTable metrics{"Metrics",
                        {"method", "consistency (cosine)", "relative error", "edge alignment",
                         "total variation", "mean norm"},
                        {}};
    for (const ComparedMethod& method : work.methods) {
        LOFTSCOPE_TRY(const auto field, bindField(scene, *method.upsampler.model, context));
        const at::Tensor guidance = guidanceAt(scene, field->extent());
        if (!guidance.defined()) continue;
        LOFTSCOPE_TRY(const FieldMetrics m,
                      measureField(*field, scene.low, guidance, work.comparison.tile, context));
        metrics.rows.push_back(
            {titleOf(*method.upsampler.model), fmt::format("{:.4f}", m.consistencyCosine),
             fmt::format("{:.4f}", m.consistencyError), fmt::format("{:.4f}", m.edgeAlignment),
             fmt::format("{:.4f}", m.totalVariation), fmt::format("{:.4g}", m.meanNorm)});
    }
    if (!metrics.rows.empty()) tables.push_back(std::move(metrics));
    if (!data.picks.empty()) {
        ReportTable picks{"Picked pixels", {"pick", "pixel of the photo"}, {}};
        for (const PlannedPick& pick : data.picks)
            picks.rows.push_back({pick.label, fmt::format("{}, {}", pick.at.x, pick.at.y)});
        tables.push_back(std::move(picks));
    }
    ReportTable attention{"Attention of picks",
                          {"pick", "method", "block", "head", "entropy (bit)", "peak", "at token"},
                          {}};
    for (const FigureData::Weights& each : data.attention)
        for (std::int64_t block = 0; block < each.weights.size(0); ++block)
            for (std::int64_t head = 0; head < each.weights.size(1); ++head) {
                const AttentionStatistics s = attentionStatistics(each.weights[block][head]);
                attention.rows.push_back({data.picks[each.pick].label, each.method,
                                          std::to_string(block + 1), std::to_string(head + 1),
                                          fmt::format("{:.2f}", s.entropyBits),
                                          fmt::format("{:.3f}", s.peak),
                                          fmt::format("{}, {}", s.peakToken.x, s.peakToken.y)});
            }
    if (!attention.rows.empty()) tables.push_back(std::move(attention));
    return tables;
}

/// A page of one photo or of many.
Result<void> renderReport(const RenderCommandOptions& options, CommandContext& context) {
    LOFTSCOPE_TRY(const std::vector<BatchItem> items, planBatch(options.photos));
    LOFTSCOPE_TRY(Work work, prepare(options, context));
    LOFTSCOPE_CHECK(loadSharedBackbone(options, work, context));
    Report report;
    report.title = options.title.empty() ? items.size() == 1
                                               ? items.front().photo.filename().string()
                                               : fmt::format("{} photos", items.size())
                                         : options.title;
    for (std::size_t i = 0; i < items.size(); ++i) {
        context.run.progress(fmt::format("photo {} of {}", i + 1, items.size()),
                             static_cast<double>(i) / static_cast<double>(items.size()));
        const RunContext quiet{context.run.stop, {}};
        SceneRequest request = work.scene;
        request.image = items[i].photo.string();
        const auto page = [&]() -> Result<void> {
            LOFTSCOPE_TRY(const Scene scene, makeScene(request, quiet));
            FigureData data;
            ReportPhoto photo{items[i].photo.filename().string(), {}, {}};
            LOFTSCOPE_TRY(photo.figure,
                          compareMethods(scene, work.methods, work.comparison, quiet, &data));
            LOFTSCOPE_TRY(photo.tables, tablesOf(scene, work, data, quiet));
            if (report.made.empty()) {
                Scene described = scene;
                for (const ComparedMethod& method : work.methods)
                    if (method.upsampler.provenance)
                        described.models.push_back(*method.upsampler.provenance);
                auto metadata = provenanceMetadata(described, "", context.options.precision);
                metadata.erase("notes");
                report.made.assign(metadata.begin(), metadata.end());
            }
            report.photos.push_back(std::move(photo));
            return {};
        };
        if (const Result<void> made = page(); !made) {
            // One bad photo of many is noted; the others are shown.
            if (items.size() == 1 || made.error().code == ErrorCode::Cancelled)
                return std::unexpected(made.error());
            context.warn(made.error().message);
            context.partlyFailed = true;
        }
    }
    LOFTSCOPE_CHECK(writeReport(options.report, report));
    context.result["out"] = options.report;
    context.result["photos"] = report.photos.size();
    context.text = fmt::format("{}: a page of {} photo{}\n", options.report, report.photos.size(),
                               report.photos.size() == 1 ? "" : "s");
    return {};
}

/// Takes photo, models, sizes and panes from a session, where no option says otherwise.
Result<void> openSession(const std::string& path, RenderCommandOptions& options,
                         CommandContext& context) {
    LOFTSCOPE_TRY(const Session session, readSession(path));
    LOFTSCOPE_TRY(const std::vector<MissingPart> missing, missingParts(session, context.run));
    std::string gone; // all of it at once
    for (const MissingPart& part : missing) {
        const bool replaced =
            (part.what == MissingPart::What::Backbone && !options.scene.backbone.empty()) ||
            (part.what == MissingPart::What::Upsampler && !options.upsamplers.empty());
        if (replaced) continue;
        if (part.changed) {
            context.warn(part.sentence);
        } else {
            gone += (gone.empty() ? "" : "\n") + part.sentence;
        }
    }
    if (!gone.empty()) return fail(ErrorCode::NotFound, gone);
    if (session.photo.path.empty())
        return fail(
            ErrorCode::NotFound,
            fmt::format("The session '{}' has no photo: open one and save it again.", path));
    options.photos = {session.photo.path.string()};
    if (session.isClip) options.frame = session.frame;
    if (options.scene.backbone.empty()) options.scene.backbone = session.backbone.path.string();
    options.scene.inputSize = session.inputSize;
    if (session.outputSize > 0) options.scene.outputSize = std::to_string(session.outputSize);
    if (context.options.precision == "fp32") context.options.precision = session.precision;
    options.session = figureOf(session);
    options.lockedBases = session.lockedBases;
    if (options.upsamplers.empty()) {
        for (const std::string& method : methodsOf(options.session->panes)) {
            const auto weights = session.upsamplers.find(method);
            options.upsamplers.push_back(
                weights == session.upsamplers.end()
                    ? method
                    : fmt::format("{}={}", method, weights->second.path.string()));
        }
    }
    return {};
}

Result<void> runRender(RenderCommandOptions options, CommandContext& context) {
    if (options.photos.size() == 1 && namesSession(options.photos.front())) {
        const std::string session = options.photos.front();
        LOFTSCOPE_CHECK(openSession(session, options, context));
        std::error_code ignored;
        if (!namesFigure(options.out) &&
            (fs::is_directory(options.out, ignored) || !fs::path(options.out).has_extension())) {
            fs::create_directories(options.out, ignored);
            options.out =
                (fs::path(options.out) / (fs::path(session).stem().string() + "." + options.format))
                    .string();
        }
    }
    const bool figure = namesFigure(options.out);
    std::error_code ignored;
    const bool onePhoto =
        options.photos.size() == 1 && !fs::is_directory(options.photos.front(), ignored);
    if (!options.backbones.empty() &&
        !(onePhoto && figure && options.video.empty() && options.report.empty()))
        return fail(ErrorCode::InvalidArgument,
                    "--backbones make one figure of one photo: name a photo, and for --out a file "
                    "that ends in .png, .pdf or .svg.");
    if (!options.video.empty()) return renderVideo(options, context);
    if (!options.report.empty()) return renderReport(options, context);
    if (options.out.empty())
        return fail(ErrorCode::InvalidArgument, "Give --out, --report or --video.");
    if (figure && options.frame >= 0 && options.photos.size() == 1) {
        options.scene.image = options.photos.front();
        return renderOne(options, context);
    }
    if (onePhoto && figure) {
        options.scene.image = options.photos.front();
        if (!options.backbones.empty()) return renderBackbones(options, context);
        return renderOne(options, context);
    }
    if (figure && !options.figure.empty()) {
        std::vector<std::string> none;
        LOFTSCOPE_TRY(const FigurePlan plan, planOf(options, none));
        if (plan.rowPerPhoto) return renderRows(options, context);
    }
    if (figure) {
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("'{}' is one file, but there may be several photos: give a folder for "
                        "--out, or a figure with a row per photo (--figure matrix).",
                        options.out));
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
    auto options = std::make_shared<RenderCommandOptions>();
    CLI::App* command = line.add(
        "render", "A labelled figure that shows a photo's features side by side; needs no display",
        [options](CommandContext& context) {
            return guarded("rendering", [&] { return runRender(*options, context); });
        });
    command
        ->add_option("photo", options->photos,
                     "The photo (or a tensor, as --image); several photos or a folder of them make "
                     "a figure each; a session (.loftscope) is drawn as it was saved")
        ->required();
    addBackboneOptions(*command, options->scene, "--size,--input-size");
    command->remove_option(command->get_option("--image"));
    command->add_option("--backbones", options->backbones,
                        "Several backbones: a figure with a row for each and a column for each "
                        "upsampler; an upsampler may be given several times then, and a row takes "
                        "the one that fits");
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
                        "(or attention:METHOD@x,y), self-attention:cls, norm, text, "
                        "difference:A:B, with options as docs/figures.md lists them; x,y in "
                        "pixels of the photo. Default: image, lowres and every method");
    command->add_option("--basis", options->basis, "PCA basis of the maps: own, or lowres for all")
        ->capture_default_str()
        ->check(CLI::IsMember({"own", "lowres"}));
    command
        ->add_option("--locked-from", options->lockedFrom,
                     "A session that has the bases of panes with basis=locked")
        ->check(CLI::ExistingFile);
    command->add_option("--inset", options->insets,
                        "x,y,w,h in pixels of the photo: a part to enlarge in every pane; may be "
                        "given several times");
    command->add_option(
        "--figure", options->figure,
        "A file of docs/figures.md, what such a file says in braces, or a preset: comparison, "
        "matrix (one figure, "
        "a row per photo), attention, teaser; other options change it");
    command->add_option("--figure-out", options->figureOut,
                        "Write what --figure could read to make the same figure again");
    command->add_option("--text", options->texts,
                        "What to look for, e.g. \"a dog\" (CLIP, SigLIP): a map of it among the "
                        "low-res features and of every method; may be given several times. The "
                        "first is also that of panes 'text' and 'text:METHOD'");
    command->add_option("--pick", options->picks,
                        "x,y in pixels of the photo: marked in every pane, and what attention and "
                        "similarity without a pixel are about; may be given several times");
    command
        ->add_option("--active-pick", options->activePick,
                     "Number of the --pick of panes that name none, counted from 1")
        ->check(CLI::Range(1, 1000));
    command->add_option("--crop", options->crop,
                        "x,y,w,h in pixels of the photo: only this part in every pane");
    command
        ->add_option("--width-mm", options->widthMm,
                     "Width when printed, e.g. 82.5 for a column of a paper")
        ->check(CLI::Range(10.0, 2000.0));
    command
        ->add_option("--frame", options->frame,
                     "The photo is a video or a folder of frames: show this one, counted from 0")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--data", options->data,
                        "Folder for the numbers behind the panes of one photo: maps, scores, PCA "
                        "bases, picks with their attention");
    command
        ->add_option("--data-format", options->dataFormat,
                     "Of maps of one number per pixel: npy, safetensors, png (16 bits), exr, csv")
        ->capture_default_str()
        ->check(
            CLI::IsMember(std::vector<std::string>(dataFormats().begin(), dataFormats().end())));
    command->add_option("--columns", options->columns, "Panes in a row; 0 chooses")
        ->check(CLI::Range(0, 24));
    command->add_option("--title", options->title, "Heading of the figure");
    command->add_option("--tile", options->tile, "Side of the tiles that are computed at once")
        ->capture_default_str()
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{32768}));
    command->add_option(
        "--out,-o", options->out,
        "The figure: .png, .pdf or .svg. For several photos a folder; the same command "
        "goes on where it was stopped");
    command->add_option("--report", options->report,
                        "Instead: one self-contained HTML page of all photos, with panes that zoom "
                        "together, metrics and attention");
    command->add_option("--video", options->video,
                        "Instead: a video (.mp4, .webm, .avi; a name without ending: a folder of "
                        "PNG) of a clip, with one PCA basis and "
                        "one range of colours for all frames");
    command->add_flag("--wipe", options->wipe,
                      "Of a video: first and last pane in one picture, with an edge that wanders");
    command->add_option("--rate", options->rate, "Frames per second of a video of a folder: 12")
        ->check(CLI::Range(0.1, 240.0));
    command->add_option("--format", options->format, "Of the figures in a folder")
        ->capture_default_str()
        ->check(CLI::IsMember({"png", "pdf", "svg"}));
    command->add_option("--shard", options->shard,
                        "I/N: only every N-th photo, beginning with the I-th, for job arrays");
}

} // namespace loftscope::app
