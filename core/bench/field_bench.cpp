// SPDX-License-Identifier: Apache-2.0
#include "core/bench/field_bench.h"

#include "core/analysis/pca.h"
#include "core/analysis/similarity.h"
#include "core/base/guard.h"
#include "core/base/memory.h"
#include "core/base/stop_scope.h"
#include "core/bench/device_wait.h"
#include "core/pipeline/seen_part.h"
#include "core/upsample/tiles.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <iterator>
#include <thread>

namespace loftscope {

double medianOf(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double loftUpMacsPerPixel(std::int64_t channels, std::int64_t inner, std::int64_t hidden,
                          std::int64_t depth, std::int64_t tokens) {
    constexpr double encoded = 203;
    const auto c = static_cast<double>(channels);
    const auto d = static_cast<double>(inner);
    const double block =
        2 * d * d + 2 * static_cast<double>(tokens) * d + 2 * d * static_cast<double>(hidden);
    return 9 * encoded * d + 9 * d * d + static_cast<double>(depth) * block + d * c;
}

namespace {

constexpr std::int64_t shownComponents = 3;

StageMeasure timed(const std::string& stage, const FieldBenchRequest& request,
                   const RunContext& context, const std::function<void()>& work) {
    std::vector<double> wall;
    std::vector<double> processor;
    for (std::int64_t i = 0; i < request.repetitions; ++i) {
        context.throwIfStopped();
        waitFor(request.device);
        const Stopwatch watch;
        work();
        waitFor(request.device);
        const Spent spent = watch.elapsed();
        wall.push_back(spent.wallSeconds);
        processor.push_back(spent.processorSeconds);
    }
    return {stage,
            {medianOf(wall), medianOf(processor)},
            {std::ranges::min(wall), std::ranges::min(processor)},
            request.repetitions};
}

std::vector<Rect> evenlySpread(const std::vector<Rect>& tiles, std::int64_t most) {
    const auto count = std::min<std::size_t>(tiles.size(), static_cast<std::size_t>(most));
    std::vector<Rect> chosen;
    for (std::size_t i = 0; i < count; ++i)
        chosen.push_back(tiles[(2 * i + 1) * tiles.size() / (2 * count)]);
    return chosen;
}

std::int64_t areaOf(const std::vector<Rect>& rects) {
    std::int64_t area = 0;
    for (const Rect& rect : rects)
        area += rect.area();
    return area;
}

template <typename T>
T valueOf(Result<T> result) {
    if (result) return std::move(*result);
    if (result.error().code == ErrorCode::Cancelled) throw Cancelled{};
    throw std::runtime_error(result.error().message);
}

/// From asking for a stop, `delaySeconds` after the evaluation of `rect` on another thread has
/// begun, until it has ended.
Spent timeToStop(const FeatureField& field, const Rect& rect, double delaySeconds) {
    std::stop_source stop;
    const std::stop_token token = stop.get_token();
    std::atomic<bool> begun = false;
    std::exception_ptr failure;
    std::thread worker([&] {
        const StopScope scope(token);
        begun = true;
        try {
            for (;; stopPoint())
                field.evaluate(rect);
        } catch (const Cancelled&) {
        } catch (...) {
            failure = std::current_exception();
        }
    });
    while (!begun)
        std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::duration<double>(delaySeconds));
    const Stopwatch watch;
    stop.request_stop();
    worker.join();
    if (failure) std::rethrow_exception(failure);
    return watch.elapsed();
}

std::vector<StageMeasure> cancelTimes(const FeatureField& field, const Rect& rect,
                                      double tileSeconds, const RunContext& context) {
    constexpr int moments = 16;
    std::vector<double> wall;
    std::vector<double> processor;
    for (int i = 0; i < moments; ++i) {
        context.throwIfStopped();
        const double share = (i + 0.5) / moments;
        const Spent spent = timeToStop(field, rect, share * tileSeconds);
        wall.push_back(spent.wallSeconds);
        processor.push_back(spent.processorSeconds);
    }
    const Spent median{medianOf(wall), medianOf(processor)};
    const Spent best{std::ranges::min(wall), std::ranges::min(processor)};
    const Spent worst{std::ranges::max(wall), std::ranges::max(processor)};
    return {{"cancel", median, best, moments}, {"cancel, worst", worst, worst, moments}};
}

} // namespace

Result<FieldBenchResult> benchField(const Upsampler& upsampler, const FieldBenchRequest& request,
                                    const RunContext& context) {
    // Once on its own, so that a mismatch is the sentence that binding gives.
    LOFTSCOPE_TRY(std::unique_ptr<FeatureField> field,
                  upsampler.bind(request.low, request.guidance));
    const std::string name = upsampler.name();
    return guarded("timing " + name, [&]() -> FieldBenchResult {
        FieldBenchResult result;
        const Extent extent = field->extent();
        const Pixel middle{extent.width / 2, extent.height / 2};
        const std::int64_t width = std::min(request.tile, extent.width);
        const std::int64_t height = std::min(request.tile, extent.height);
        const Rect central{(extent.width - width) / 2, (extent.height - height) / 2, width, height};
        field->evaluate(central); // kernels are chosen and memory is mapped at the first call
        field.reset();
        resetPeakResidentBytes();
        const std::int64_t before = residentBytes();

        const auto add = [&](const std::string& stage, const std::function<void()>& work) {
            result.stages.push_back(timed(stage, request, context, work));
        };
        const std::vector<Rect> every = tilesOf(wholeOf(extent), request.tile);
        const std::vector<Rect> tiles = evenlySpread(every, request.mostTiles);
        const double measured =
            static_cast<double>(areaOf(tiles)) / static_cast<double>(extent.area());
        const auto addTiles = [&](const std::string& stage, const auto& sink, const auto& end) {
            add(stage, [&] {
                forEachTile(*field, tiles, name, context, sink);
                end();
            });
            StageMeasure& time = result.stages.back();
            time.measured = measured;
            for (Spent* spent : {&time.median, &time.best}) {
                spent->wallSeconds /= measured;
                spent->processorSeconds /= measured;
            }
        };
        add("bind", [&] { field = valueOf(upsampler.bind(request.low, request.guidance)); });
        add("first look", [&] { field->evaluateEvery(wholeOf(extent), coarseStride(extent)); });
        add("first tile", [&] { field->evaluate(central); });
        const double tileSeconds = result.stages.back().median.wallSeconds;
        addTiles(
            "tiles", [](const Rect&, const at::Tensor&) {}, [] {});
        result.stages.back().gmacs =
            1e-9 * request.macsPerPixel * static_cast<double>(extent.area());
        if (request.pca) {
            Moments moments(field->channels());
            addTiles(
                "PCA", [&](const Rect&, const at::Tensor& block) { moments.add(block); },
                [&] {
                    basisFromMoments(moments.mean(), moments.secondMoment(),
                                     std::min<std::int64_t>(shownComponents, field->channels()));
                });
        }
        if (field->attend(middle)) add("attention", [&] { field->attend(middle); });
        const Extent grid = request.low.extent();
        add("low-res similarity", [&] {
            const at::Tensor query =
                request.low.values.select(1, middle.y * grid.height / extent.height)
                    .select(1, middle.x * grid.width / extent.width);
            cosineMap(query, request.low.values);
        });
        if (before > 0) result.peakBytes = peakResidentBytes() - before;
        std::ranges::move(cancelTimes(*field, central, tileSeconds, context),
                          std::back_inserter(result.stages));
        field.reset();
        const Rect quarter{extent.width / 2 - width / 4, extent.height / 2 - height / 4,
                           std::max<std::int64_t>(width / 2, 1),
                           std::max<std::int64_t>(height / 2, 1)};
        add("first visible tile", [&] {
            const auto fresh = valueOf(upsampler.bind(request.low, request.guidance));
            const at::Tensor look = fresh->evaluateEvery(wholeOf(extent), coarseStride(extent));
            Moments moments(fresh->channels());
            moments.add(look);
            const PcaBasis basis =
                basisFromMoments(moments.mean(), moments.secondMoment(),
                                 std::min<std::int64_t>(shownComponents, fresh->channels()));
            projectBlock(basis, look);
            projectBlock(basis, fresh->evaluate(quarter));
        });
        return result;
    });
}

} // namespace loftscope
