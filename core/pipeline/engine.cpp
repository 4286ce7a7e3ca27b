// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/engine.h"

#include "core/analysis/attention_statistics.h"
#include "core/analysis/feature_maps.h"
#include "core/analysis/pca.h"
#include "core/analysis/pca_file.h"
#include "core/analysis/similarity.h"
#include "core/analysis/tensor_values.h"
#include "core/base/guard.h"
#include "core/figure/pane_view.h"
#include "core/image/clip.h"
#include "core/pipeline/locked_basis.h"
#include "core/pipeline/models.h"
#include "core/pipeline/request_queue.h"
#include "core/pipeline/scene.h"
#include "core/upsample/cached_field.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/tiles.h"
#include "core/weights/recognise.h"
#include "core/weights/tensor_file.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cmath>
#include <map>
#include <mutex>
#include <span>
#include <utility>

namespace loftscope {

namespace {

/// What is answered first; a map gives way between its tiles.
enum Urgency { mapUrgency = 0, pickUrgency = 1, openUrgency = 2 };

constexpr std::chrono::milliseconds progressInterval{33};
/// Smaller tiles would spend most of their time on LoftUp's margins.
constexpr std::int64_t smallestTile = 16;

/// Of k x H x W or H x W.
SharedMap mapOf(const at::Tensor& tensor) {
    const at::Tensor planes = tensor.dim() == 2 ? tensor.unsqueeze(0) : tensor;
    FloatMap map{static_cast<int>(planes.size(0)), {planes.size(1), planes.size(2)}, {}};
    map.values = floatsOf(planes);
    return std::make_shared<const FloatMap>(std::move(map));
}

std::vector<double> sharesOf(const PcaBasis& basis) {
    std::vector<double> shares;
    for (const float variance : floatsOf(basis.variances))
        shares.push_back(static_cast<double>(variance) / std::max(basis.totalVariance, 1e-300));
    return shares;
}

/// `weights`: blocks x heads x h x w; `elsewhere`: blocks x heads or undefined.
AttentionReady attentionOf(const MapRequest& request, const at::Tensor& weights,
                           const at::Tensor& elsewhere) {
    AttentionReady ready;
    ready.request = request;
    ready.blocks = static_cast<int>(weights.size(0));
    ready.heads = static_cast<int>(weights.size(1));
    const auto add = [&](const at::Tensor& map, const at::Tensor& rest) {
        const AttentionStatistics statistics = attentionStatistics(map);
        ready.maps.push_back(mapOf(map));
        ready.summaries.push_back({statistics.entropyBits, statistics.peak, statistics.peakToken,
                                   rest.defined() ? rest.mean().item<double>() : 0.0});
    };
    const auto part = [&](int block, int head) {
        if (!elsewhere.defined()) return elsewhere;
        const at::Tensor rows = block < 0 ? elsewhere : elsewhere.slice(0, block, block + 1);
        return head < 0 ? rows : rows.slice(1, head, head + 1);
    };
    for (int block = -1; block < ready.blocks; ++block) {
        const at::Tensor heads = block < 0 ? weights.mean(0) : weights[block];
        for (int head = -1; head < ready.heads; ++head)
            add(head < 0 ? heads.mean(0) : heads[head], part(block, head));
    }
    return ready;
}

/// Answered at once: no network per pixel.
bool isQuick(const std::string& method) {
    return method.empty() || interpolationNamed(method);
}

constexpr std::int64_t sampleSide = 16;
constexpr std::int64_t sampleColumns = 4;

/// Small rectangles spread evenly over a map, on which a first basis is fitted; none if they would
/// be more than an eighth of it.
std::vector<Rect> sampleOf(const Extent& extent) {
    std::vector<Rect> rects;
    if (extent.area() < 8 * sampleColumns * sampleColumns * sampleSide * sampleSide) return rects;
    if (std::min(extent.height, extent.width) < sampleColumns * sampleSide) return rects;
    for (std::int64_t row = 0; row < sampleColumns; ++row) {
        for (std::int64_t column = 0; column < sampleColumns; ++column) {
            rects.push_back({(2 * column + 1) * extent.width / (2 * sampleColumns) - sampleSide / 2,
                             (2 * row + 1) * extent.height / (2 * sampleColumns) - sampleSide / 2,
                             sampleSide, sampleSide});
        }
    }
    return rects;
}

bool overlap(const Rect& a, const Rect& b) {
    return a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom();
}

/// Rows of a first look that are computed between two looks at what else is wanted.
constexpr std::int64_t coarseRowsAtOnce = 4;

/// A field of which only every `stride`-th pixel of a rectangle is evaluated.
class SparseField final : public FeatureField {
public:
    SparseField(const FeatureField& field, std::int64_t stride)
        : field_(field)
        , stride_(stride) {}
    Extent extent() const override { return field_.extent(); }
    std::int64_t channels() const override { return field_.channels(); }
    Extent gridExtent() const override { return field_.gridExtent(); }
    at::Tensor evaluate(const Rect& rect) const override {
        return field_.evaluateEvery(rect, stride_);
    }
    std::optional<at::Tensor> attend(const Pixel& pixel) const override {
        return field_.attend(pixel);
    }

private:
    const FeatureField& field_;
    std::int64_t stride_;
};

/// The first `components` of a basis.
PcaBasis truncated(PcaBasis basis, std::int64_t components) {
    if (basis.size() <= components) return basis;
    basis.components = basis.components.slice(0, 0, components);
    basis.variances = basis.variances.slice(0, 0, components);
    return basis;
}

std::string nameWithSize(const std::string& name, const Extent& extent) {
    return fmt::format("{} {} x {}", name, extent.width, extent.height);
}

/// Frames, evenly spread, that the basis of a clip is fitted on.
constexpr std::int64_t clipSamples = 8;

} // namespace

/// Everything but the queue belongs to the worker thread.
struct Engine::State {
    using FieldPtr = std::shared_ptr<const FeatureField>;

    EngineOptions options;
    EngineCallback callback;
    std::optional<LoadedBackbone> backbone;
    std::shared_ptr<const TextQueries> texts; ///< of `backbone`
    std::map<std::string, LoadedUpsampler> upsamplers;
    std::shared_ptr<const Scene> scene;
    OpenRequest openedAs; ///< what `scene` was made from
    std::shared_ptr<const Clip> clip;
    std::filesystem::path clipPath;
    std::map<std::string, FieldPtr> fields;
    std::map<std::string, Moments> moments; ///< by method
    /// By method: C x h x w, every `coarseStride`-th pixel of its map.
    std::map<std::string, at::Tensor> coarse;
    /// A map that is computed only where it is seen.
    struct SeenMap {
        std::uint64_t id = 0; ///< of the request that asked for it
        MapRequest request;
        PcaBasis basis;
        std::vector<Rect> tiles;
        std::vector<std::int64_t> strides; ///< of each tile that is there; 0: none yet
    };
    /// By slot. Shared, because a photo may be opened while one is being filled.
    std::map<std::string, std::shared_ptr<SeenMap>> seenMaps;
    /// Seen maps, as they were asked for, whose tiles were forgotten when memory was short.
    std::map<std::string, std::pair<std::uint64_t, MapRequest>> lostMaps;
    std::atomic<bool> hasSeenMaps = false; ///< or lost ones
    /// Of the maps of scores of this photo, by method and name of the basis.
    std::map<std::pair<std::string, std::string>, PcaBasis> bases;
    std::map<std::string, PcaBasis> locked; ///< by method; stays from photo to photo
    std::atomic<double> focusX = 0.5;       ///< set by any thread
    std::atomic<double> focusY = 0.5;
    std::mutex seenMutex;
    SeenPart seenPart; ///< set by any thread
    std::chrono::steady_clock::time_point lastProgress;
    StageClock* clock = nullptr; ///< of the innermost running request
    RequestQueue queue;          ///< last: its thread ends before the rest goes

    State(EngineOptions given, EngineCallback told)
        : options(std::move(given))
        , callback(std::move(told))
        , queue([this](std::uint64_t id) { callback(id, EngineIdle{}); }) {}

    /// Queues `body`, which returns Result<void> and may throw as LibTorch does.
    template <typename Body>
    std::uint64_t submit(std::string kind, int urgency, std::string doing, Body body) {
        return queue.submit(
            std::move(kind), urgency,
            [this, doing = std::move(doing), body = std::move(body)](
                std::uint64_t id, const std::stop_token& stop) { run(id, stop, doing, body); });
    }

    template <typename Body>
    void run(std::uint64_t id, const std::stop_token& stop, const std::string& doing,
             const Body& body) {
        StageClock stages(doing);
        StageClock* const interrupted = std::exchange(clock, &stages);
        RunContext context;
        context.stop = stop;
        context.onProgress = [this, id, &stages](std::string_view stage, double fraction) {
            stages.enter(stage);
            const auto now = std::chrono::steady_clock::now();
            if (now - lastProgress < progressInterval && fraction < 1) return;
            lastProgress = now;
            callback(id, StageProgress{std::string(stage), fraction});
        };
        const auto attempt = [&] {
            return guarded(doing, [&]() -> Result<void> {
                const at::NoGradGuard noGrad;
                context.throwIfStopped();
                return body(id, context);
            });
        };
        Result<void> outcome = attempt();
        while (!outcome && outcome.error().code == ErrorCode::OutOfMemory) {
            const auto sentence = makeRoom();
            if (!sentence) break;
            callback(id, EngineNote{*sentence});
            outcome = attempt();
        }
        if (!outcome && outcome.error().code == ErrorCode::OutOfMemory) lostMaps.clear();
        const bool cancelled = !outcome && outcome.error().code == ErrorCode::Cancelled;
        if (!lostMaps.empty() && !cancelled) followSoon();
        clock = interrupted;
        if (clock != nullptr) clock->exclude(stages.sinceStart());
        RequestEnded ended;
        if (!outcome) ended.error = std::move(outcome).error();
        ended.doing = doing;
        ended.stages = stages.finish();
        ended.elapsedMs = std::chrono::duration<double, std::milli>(stages.sinceStart()).count();
        callback(id, ended);
    }

    /// Where memory was short: smaller tiles, then the CPU. Says what has changed; nothing if
    /// nothing is left to try.
    std::optional<std::string> makeRoom() {
        fields.clear(); // with what they cache
        // Their tiles have another size from now on.
        for (const auto& [slot, map] : std::exchange(seenMaps, {}))
            lostMaps.insert_or_assign(slot, std::pair(map->id, map->request));
        if (options.tile > smallestTile) {
            options.tile = std::max(options.tile / 2, smallestTile);
            return fmt::format("Memory is short: going on in tiles of {} pixels.", options.tile);
        }
        const Result<c10::Device> where = device();
        if (!where || where->is_cpu()) return std::nullopt;
        useDevice("cpu");
        if (scene != nullptr) {
            auto moved = std::make_shared<Scene>(*scene);
            moved->low.values = moved->low.values.cpu();
            if (moved->guidance.picture.defined())
                moved->guidance.picture = moved->guidance.picture.cpu();
            if (moved->input.defined()) moved->input = moved->input.cpu();
            auto loaded = loadBackbone(options.backbone, c10::kCPU);
            if (!loaded) return std::nullopt;
            backbone = std::move(*loaded);
            texts = textQueriesOf(*backbone, c10::kCPU);
            moved->backbone = backbone->model;
            moved->texts = texts;
            scene = std::move(moved);
        }
        return "The GPU's memory does not suffice: going on on the CPU, which is slower.";
    }

    /// Models are read again when they are needed next.
    void useDevice(const std::string& name) {
        if (name.empty() || name == options.device) return;
        options.device = name;
        backbone.reset();
        upsamplers.clear();
        fields.clear();
    }

    void usePrecision(const std::string& name) {
        if (name.empty() || name == options.precision) return;
        options.precision = name;
        upsamplers.clear();
        fields.clear();
    }

    Result<LoadedUpsampler> load(const std::string& method, const std::filesystem::path& weights,
                                 c10::Device where, const RunContext& context) const {
        // Methods without weights have one arithmetic and would only warn.
        LOFTSCOPE_TRY(const Precision precision,
                      precisionNamed(weights.empty() ? "fp32" : options.precision));
        return loadUpsampler(method, weights, where, context, precision);
    }

    Result<std::shared_ptr<const Scene>> openScene() const {
        if (scene == nullptr)
            return fail(ErrorCode::NotFound, "There are no features yet: open a photo first.");
        return scene;
    }

    Result<c10::Device> device() const { return deviceNamed(options.device); }

    Result<const LoadedUpsampler*> upsamplerOf(std::uint64_t id, const std::string& method,
                                               const RunContext& context) {
        if (const auto found = upsamplers.find(method); found != upsamplers.end())
            return &found->second;
        LOFTSCOPE_TRY(const c10::Device where, device());
        const auto weights = options.weights.find(method);
        LOFTSCOPE_TRY(
            LoadedUpsampler loaded,
            load(method,
                 weights == options.weights.end() ? std::filesystem::path() : weights->second,
                 where, context));
        if (loaded.provenance) callback(id, ModelLoaded{describe(loaded, where.str()), method});
        return &upsamplers.insert_or_assign(method, std::move(loaded)).first->second;
    }

    Result<FieldPtr> fieldOf(std::uint64_t id, const std::string& method,
                             const RunContext& context) {
        if (const auto found = fields.find(method); found != fields.end()) return found->second;
        LOFTSCOPE_TRY(const auto opened, openScene());
        FieldPtr field;
        if (method.empty()) {
            field = makeGridField(opened->low);
        } else {
            LOFTSCOPE_TRY(const LoadedUpsampler* const loaded, upsamplerOf(id, method, context));
            LOFTSCOPE_TRY(auto bound, bindField(*opened, *loaded->model, context));
            // A map is walked over twice for its basis and once for every similarity.
            field = isQuick(method) ? std::move(bound)
                                    : makeCachedField(std::move(bound), options.cacheBytes);
        }
        fields.insert_or_assign(method, field);
        return field;
    }

    Result<std::string> titleOfMethod(std::uint64_t id, const std::string& method,
                                      const RunContext& context) {
        if (method.empty()) return std::string("low-res");
        LOFTSCOPE_TRY(const LoadedUpsampler* const loaded, upsamplerOf(id, method, context));
        return titleOf(*loaded->model);
    }

    SceneRequest sceneRequest(const OpenRequest& request, Photo photo, c10::Device where) const {
        SceneRequest wanted;
        wanted.image = request.path.string();
        wanted.photo = std::move(photo);
        wanted.backbone = options.backbone;
        wanted.loadedBackbone = backbone;
        wanted.texts = texts;
        wanted.inputSize = request.inputSize;
        if (request.outputSize > 0) wanted.output = OutputSize{request.outputSize, {}};
        wanted.device = where;
        return wanted;
    }

    Result<void> open(std::uint64_t id, const OpenRequest& request, const RunContext& context) {
        Photo photo;
        std::shared_ptr<const Clip> frames;
        if (request.isClip) {
            frames = clip;
            if (frames == nullptr || clipPath != request.path) {
                LOFTSCOPE_TRY(frames, openClip(request.path));
            }
            LOFTSCOPE_TRY(photo, frames->frame(request.frame));
        } else if (request.picture.empty()) {
            LOFTSCOPE_TRY(photo, decodePhoto(request.path));
        } else {
            photo.image = request.picture;
        }
        context.throwIfStopped();
        // From here on the photo before is history; until here a broken file changes nothing.
        queue.dropBefore(id);
        scene.reset();
        fields.clear();
        moments.clear();
        coarse.clear();
        dropSeen([](const MapRequest&) { return true; });
        bases.clear();
        if (clip != nullptr && (frames == nullptr || clipPath != request.path)) locked.clear();
        clip = frames;
        clipPath = request.path;
        openedAs = request;
        PhotoDecoded decoded{request.path, photo.image, photo.notes};
        if (clip != nullptr) {
            decoded.frame = request.frame;
            decoded.frames = clip->frames();
            decoded.rate = clip->rate();
        }
        callback(id, decoded);

        useDevice(request.device);
        usePrecision(request.precision);
        LOFTSCOPE_TRY(const c10::Device where, device());
        if (!backbone) {
            context.progress("reading the backbone", 0);
            LOFTSCOPE_TRY(backbone, loadBackbone(options.backbone, where, {}, context));
            texts = textQueriesOf(*backbone, where);
            callback(id, ModelLoaded{describe(*backbone, where.str()), {}});
        }
        context.progress("running the backbone", 0);
        LOFTSCOPE_TRY(Scene made,
                      makeScene(sceneRequest(request, std::move(photo), where), context));
        FeaturesReady ready;
        ready.backbone = backbone->provenance.name;
        ready.channels = made.low.channels();
        ready.patch = backbone->model->patch();
        ready.depth = static_cast<int>(backbone->model->depth());
        ready.heads = static_cast<int>(backbone->model->heads());
        ready.input = made.inputExtent;
        ready.tokens = made.low.extent();
        ready.output = made.guidance.extent;
        ready.hasTextTower = backbone->hasTextTower;
        ready.warnings = made.warnings;
        scene = std::make_shared<const Scene>(std::move(made));
        callback(id, ready);
        Moments low(scene->low.channels());
        low.add(scene->low.values);
        NormAccumulator norms;
        norms.add(scene->low.values);
        callback(id, FieldStatistics{"", channelStatistics(low, norms)});
        moments.insert_or_assign("", std::move(low));
        return {};
    }

    std::int64_t componentsOf(std::int64_t channels) const {
        return std::min<std::int64_t>(options.components, channels);
    }

    /// Distance of a tile's middle from where the user looks now, in pixels of the map.
    auto farnessIn(const Extent& extent) const {
        return [x = focusX * static_cast<double>(extent.width),
                y = focusY * static_cast<double>(extent.height)](const Rect& tile) {
            return std::hypot(static_cast<double>(tile.x) + static_cast<double>(tile.width) / 2 - x,
                              static_cast<double>(tile.y) + static_cast<double>(tile.height) / 2 -
                                  y);
        };
    }

    /// Every tile of the field once, those near the focus first; a pick is answered in between.
    template <typename Sink>
    void walk(const FeatureField& field, const std::string& stage, int urgency,
              const RunContext& context, const Sink& sink) {
        const Extent extent = field.extent();
        std::vector<Rect> waiting = tilesOf(wholeOf(extent), options.tile);
        const auto total = static_cast<double>(waiting.size());
        const auto batch = static_cast<std::size_t>(std::max(2 * at::get_num_threads(), 4));
        while (!waiting.empty()) {
            const auto farness = farnessIn(extent);
            const auto count = std::min(batch, waiting.size());
            const auto middle = waiting.begin() + static_cast<std::ptrdiff_t>(count);
            std::ranges::partial_sort(waiting, middle, {}, farness);
            const std::vector<Rect> next(waiting.begin(), middle);
            waiting.erase(waiting.begin(), middle);
            const double done = total - static_cast<double>(waiting.size() + count);
            RunContext part = context;
            part.onProgress = [&](std::string_view name, double fraction) {
                context.progress(name, (done + fraction * static_cast<double>(count)) / total);
            };
            forEachTile(field, next, stage, part, [&](const Rect& rect, const at::Tensor& block) {
                sink(rect, block);
                queue.serveMoreUrgent(urgency);
            });
        }
    }

    FieldWalk walkOf(const std::string& stage, int urgency, const RunContext& context) {
        return [this, stage, urgency, &context](const FeatureField& field, const auto& each) {
            walk(field, stage, urgency, context, each);
        };
    }

    /// Too large to be computed as a whole.
    bool isLarge(const std::string& method, const FeatureField& field) const {
        return !isQuick(method) && field.extent().area() > options.wholePixels;
    }

    /// Every so many pixels of a map: C x h x w. Nothing if the map is quickly walked over whole.
    std::optional<at::Tensor> coarseOf(const std::string& method, const FeatureField& field,
                                       const RunContext& context) {
        const Extent extent = field.extent();
        if (isQuick(method) || (sampleOf(extent).empty() && !isLarge(method, field)))
            return std::nullopt;
        if (const auto found = coarse.find(method); found != coarse.end()) return found->second;
        const std::int64_t stride = coarseStride(extent);
        std::vector<at::Tensor> strips;
        std::vector<Rect> rects;
        for (std::int64_t y = 0; y < extent.height; y += coarseRowsAtOnce * stride)
            rects.push_back(
                {0, y, extent.width, std::min(coarseRowsAtOnce * stride, extent.height - y)});
        forEachTile(SparseField(field, stride), rects, "a first look", context,
                    [&](const Rect&, const at::Tensor& strip) {
                        strips.push_back(strip.cpu());
                        queue.serveMoreUrgent(mapUrgency);
                    });
        return coarse.insert_or_assign(method, at::cat(strips, 1)).first->second;
    }

    /// Forgets maps that are computed where they are seen.
    template <typename Which>
    void dropSeen(const Which& which) {
        std::erase_if(seenMaps, [&](const auto& entry) { return which(entry.second->request); });
        std::erase_if(lostMaps, [&](const auto& entry) { return which(entry.second.second); });
        hasSeenMaps = !seenMaps.empty() || !lostMaps.empty();
    }

    SeenPart seenNow() {
        const std::lock_guard lock(seenMutex);
        return seenPart;
    }

    void followSoon() {
        submit("view", mapUrgency, "computing what is seen",
               [this](std::uint64_t, const RunContext& context) { return follow(context); });
    }

    /// Computes what is seen of a large map and is not there as finely as the screen shows it,
    /// nearest to the focus first.
    Result<void> fillSeen(const std::shared_ptr<SeenMap>& kept, const RunContext& context) {
        SeenMap& map = *kept;
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(map.id, map.request.method, context));
        const Extent extent = field->extent();
        LOFTSCOPE_TRY(const std::string name, titleOfMethod(map.id, map.request.method, context));
        const auto batch = static_cast<std::size_t>(std::max(2 * at::get_num_threads(), 4));
        for (;;) {
            const SeenPart part = seenNow();
            const Rect seen = seenRect(part, extent);
            const std::int64_t stride = seenStride(part, extent);
            std::vector<std::size_t> wanted;
            std::size_t visible = 0;
            for (std::size_t i = 0; i < map.tiles.size(); ++i) {
                if (!overlap(map.tiles[i], seen)) continue;
                ++visible;
                if (map.strides[i] == 0 || map.strides[i] > stride) wanted.push_back(i);
            }
            if (wanted.empty()) return {};
            const std::size_t count = std::min(batch, wanted.size());
            std::ranges::partial_sort(
                wanted, wanted.begin() + static_cast<std::ptrdiff_t>(count), {},
                [&, farness = farnessIn(extent)](std::size_t i) { return farness(map.tiles[i]); });
            std::vector<Rect> next;
            for (std::size_t i = 0; i < count; ++i)
                next.push_back(map.tiles[wanted[i]]);
            const double done = static_cast<double>(visible - wanted.size());
            RunContext inner = context;
            inner.onProgress = [&](std::string_view stage, double fraction) {
                context.progress(stage, (done + fraction * static_cast<double>(count)) /
                                            static_cast<double>(visible));
            };
            std::size_t i = 0;
            forEachTile(SparseField(*field, stride), next, name + ", what is seen", inner,
                        [&](const Rect& rect, const at::Tensor& block) {
                            const at::Tensor scores = projectBlock(map.basis, block);
                            const at::Tensor tile = scores.repeat_interleave(stride, 1)
                                                        .slice(1, 0, rect.height)
                                                        .repeat_interleave(stride, 2)
                                                        .slice(2, 0, rect.width);
                            callback(map.id, FieldTile{map.request, rect, floatsOf(tile), stride});
                            map.strides[wanted[i++]] = stride;
                            queue.serveMoreUrgent(mapUrgency);
                        });
        }
    }

    /// After the screen shows another part of the photo, or maps were lost.
    Result<void> follow(const RunContext& context) {
        while (!lostMaps.empty()) {
            const auto [slot, asked] = *lostMaps.begin();
            const auto outcome = guarded(
                "computing a map", [&] { return scores(asked.first, asked.second, context); });
            // Until it is there it stays lost: memory may be short again.
            if (!outcome && !seenMaps.contains(slot)) lostMaps.insert_or_assign(slot, asked);
            LOFTSCOPE_CHECK(outcome);
        }
        const auto maps = seenMaps;
        for (const auto& [slot, map] : maps)
            LOFTSCOPE_CHECK(fillSeen(map, context));
        return {};
    }

    /// Moments of a method's field over the photo, from a walk that `look` sees as well.
    template <typename Look>
    Result<const Moments*> momentsOf(std::uint64_t id, const std::string& method,
                                     const RunContext& context, const Look& look) {
        if (const auto found = moments.find(method); found != moments.end()) return &found->second;
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, method, context));
        LOFTSCOPE_TRY(const std::string title, titleOfMethod(id, method, context));
        Moments all(field->channels());
        NormAccumulator norms;
        if (isLarge(method, *field)) {
            const auto some = coarseOf(method, *field, context);
            all.add(*some);
            norms.add(*some);
        } else {
            walk(*field, title, mapUrgency, context,
                 [&](const Rect& rect, const at::Tensor& block) {
                     all.add(block);
                     norms.add(block);
                     look(rect, block);
                 });
        }
        context.throwIfStopped();
        callback(id, FieldStatistics{method, channelStatistics(all, norms)});
        return &moments.insert_or_assign(method, std::move(all)).first->second;
    }

    /// The one basis of several methods, every field with the same weight, as `fitPca` has it.
    Result<PcaBasis> sharedBasis(std::uint64_t id, const std::vector<std::string>& methods,
                                 std::int64_t components, const RunContext& context) {
        at::Tensor mean;
        at::Tensor second;
        std::string fittedOn;
        for (const std::string& method : methods) {
            LOFTSCOPE_TRY(const Moments* const one,
                          momentsOf(id, method, context, [](const Rect&, const at::Tensor&) {}));
            LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, method, context));
            LOFTSCOPE_TRY(const std::string title, titleOfMethod(id, method, context));
            if (mean.defined() && mean.size(0) != field->channels()) {
                return fail(ErrorCode::Mismatch,
                            fmt::format("A shared basis needs features of equal channels, but {} "
                                        "has {} and others have {}: choose own bases.",
                                        title, field->channels(), mean.size(0)));
            }
            const auto share = static_cast<double>(methods.size());
            mean = mean.defined() ? mean + one->mean() / share : one->mean() / share;
            second = second.defined() ? second + one->secondMoment() / share
                                      : one->secondMoment() / share;
            fittedOn += (fittedOn.empty() ? "" : " + ") + nameWithSize(title, field->extent());
        }
        PcaBasis basis = basisFromMoments(mean, second, components);
        basis.fittedOn = fittedOn;
        return basis;
    }

    Result<PcaBasis> basisFromFile(const std::string& path, std::int64_t channels) {
        LOFTSCOPE_TRY(PcaBasis basis, readPcaBasis(path));
        if (basis.channels() != channels) {
            return fail(ErrorCode::Mismatch,
                        fmt::format("The PCA basis '{}' was fitted on features of {} channels, but "
                                    "these have {}: choose another basis.",
                                    path, basis.channels(), channels));
        }
        basis = truncated(std::move(basis), options.components);
        if (basis.fittedOn.empty()) basis.fittedOn = "a file";
        return basis;
    }

    Result<void> scores(std::uint64_t id, const MapRequest& request, const RunContext& context) {
        const std::string& method = request.method;
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, method, context));
        LOFTSCOPE_TRY(const std::string name, titleOfMethod(id, method, context));
        const std::int64_t components = componentsOf(field->channels());
        const auto told = [&](const PcaBasis& basis, bool preview) {
            const SharedBasis numbers =
                preview ? nullptr : std::make_shared<const BasisValues>(valuesOf(basis));
            callback(id, FieldFitted{request, preview, floatsOf(basis.variances.sqrt()),
                                     sharesOf(basis), basis.fittedOn, numbers});
        };
        const auto send = [&](const PcaBasis& basis, const Rect& rect, const at::Tensor& block) {
            callback(id, FieldTile{request, rect, floatsOf(projectBlock(basis, block))});
        };
        PcaBasis basis;
        if (request.basis.starts_with(basisFilePrefix)) {
            LOFTSCOPE_TRY(basis, basisFromFile(request.basis.substr(basisFilePrefix.size()),
                                               field->channels()));
        } else if (request.basis == "locked" && locked.contains(method)) {
            basis = locked.at(method);
            LOFTSCOPE_CHECK(checkLockedBasis(basis, field->channels(), name));
            basis = truncated(std::move(basis), options.components);
        }
        const bool given = basis.components.defined();
        const auto loaded = upsamplers.find(method);
        callback(id, FieldBegun{request, name, field->extent(), options.tile,
                                static_cast<int>(given ? basis.size() : components),
                                nameOf(loaded == upsamplers.end() ? Precision::Fp32
                                                                  : loaded->second.precision)});
        const bool large = isLarge(method, *field);
        dropSeen([&](const MapRequest& map) { return slotOf(map) == slotOf(request); });
        const auto first = coarseOf(method, *field, context);
        const auto sendCoarse = [&](const PcaBasis& shown) {
            callback(id, FieldCoarse{request,
                                     coarseStride(field->extent()),
                                     {first->size(1), first->size(2)},
                                     floatsOf(projectBlock(shown, *first))});
        };
        if (request.basis == "shared") {
            LOFTSCOPE_TRY(basis, sharedBasis(id, request.sharedBy, components, context));
        } else if (!given) {
            std::optional<PcaBasis> preview;
            if (first && !large && !moments.contains(method)) {
                Moments some(field->channels());
                some.add(*first);
                preview = basisFromMoments(some.mean(), some.secondMoment(), components);
                told(*preview, true);
                sendCoarse(*preview);
                // Of a small map a tile is a large share: where the user looks, a quarter of one
                // comes first.
                const Extent extent = field->extent();
                const std::vector<Rect> quarters =
                    tilesOf(wholeOf(extent), std::max<std::int64_t>(options.tile / 2, 1));
                const Rect quarter = *std::ranges::min_element(quarters, {}, farnessIn(extent));
                forEachTile(*field, {quarter}, "a first look", context,
                            [&](const Rect& rect, const at::Tensor& block) {
                                send(*preview, rect, block);
                            });
            }
            LOFTSCOPE_TRY(
                const Moments* const all,
                momentsOf(id, method, context, [&](const Rect& rect, const at::Tensor& block) {
                    if (preview) send(*preview, rect, block);
                }));
            basis = basisFromMoments(all->mean(), all->secondMoment(), components);
            basis.fittedOn = nameWithSize(name, field->extent());
            if (large)
                basis.fittedOn += fmt::format(", every {}th pixel", coarseStride(field->extent()));
            if (request.basis == "locked") locked[method] = basis;
        }
        bases.insert_or_assign({method, request.basis}, basis);
        told(basis, false);
        if (first && (large || given)) sendCoarse(basis);
        if (large) {
            auto map = std::make_shared<SeenMap>(
                SeenMap{id, request, basis, tilesOf(wholeOf(field->extent()), options.tile), {}});
            map->strides.resize(map->tiles.size());
            seenMaps.insert_or_assign(slotOf(request), map);
            hasSeenMaps = true;
            return fillSeen(map, context);
        }
        walk(*field, name + ", colours", mapUrgency, context,
             [&](const Rect& rect, const at::Tensor& block) { send(basis, rect, block); });
        return {};
    }

    Result<void> attention(std::uint64_t id, const MapRequest& request, const RunContext& context) {
        LOFTSCOPE_TRY(const auto opened, openScene());
        if (!request.pixel)
            return fail(ErrorCode::InvalidArgument, "Attention needs a pixel: click one.");
        LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(*opened, *request.pixel));
        context.throwIfStopped();
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, request.method, context));
        const auto weights = field->attend(fieldPixel(*opened, *field, pixel));
        if (!weights) {
            LOFTSCOPE_TRY(const std::string name, titleOfMethod(id, request.method, context));
            return fail(ErrorCode::Unsupported,
                        fmt::format("{} has no attention over the low-res grid: choose another "
                                    "method for this pane.",
                                    name));
        }
        callback(id, attentionOf(request, *weights, {}));
        return {};
    }

    Result<void> selfAttention(std::uint64_t id, const MapRequest& request,
                               const RunContext& context) {
        LOFTSCOPE_TRY(const auto opened, openScene());
        BackboneTaps taps;
        taps.attention = true;
        if (request.pixel) {
            LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(*opened, *request.pixel));
            taps.query = tokenOfPixel(*opened, pixel);
        }
        LOFTSCOPE_TRY(const BackboneOutput output,
                      opened->backbone->run(opened->input, taps, context));
        callback(id, attentionOf(request, output.attention, output.attentionElsewhere));
        return {};
    }

    Result<void> similarity(std::uint64_t id, const MapRequest& request,
                            const RunContext& context) {
        LOFTSCOPE_TRY(const auto opened, openScene());
        if (!request.pixel)
            return fail(ErrorCode::InvalidArgument, "Similarity needs a pixel: click one.");
        LOFTSCOPE_TRY(const Pixel guided, guidancePixel(*opened, *request.pixel));
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, request.method, context));
        const Pixel pixel = request.method.empty() ? tokenOfPixel(*opened, guided)
                                                   : fieldPixel(*opened, *field, guided);
        LOFTSCOPE_TRY(const at::Tensor cosines,
                      similarityMap(*field, pixel, options.tile, context));
        callback(id, MapReady{request, mapOf(cosines)});
        return {};
    }

    Result<void> text(std::uint64_t id, const MapRequest& request, const RunContext& context) {
        LOFTSCOPE_TRY(const auto opened, openScene());
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, request.method, context));
        LOFTSCOPE_TRY(const at::Tensor likeness,
                      textMap(*opened, *field, request.text,
                              walkOf("comparing with the text", mapUrgency, context), context));
        callback(id, MapReady{request, mapOf(likeness)});
        return {};
    }

    Result<void> norm(std::uint64_t id, const MapRequest& request, const RunContext& context) {
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, request.method, context));
        callback(id, MapReady{request,
                              mapOf(normMap(*field, walkOf("feature norm", mapUrgency, context)))});
        return {};
    }

    Result<void> distance(std::uint64_t id, const MapRequest& request, const RunContext& context) {
        // The low-res grid beside a map: its tokens, as large as they are.
        const auto comparable = [&](const std::string& method) {
            return method.empty() && request.method != request.other ? std::string("nearest")
                                                                     : method;
        };
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, comparable(request.method), context));
        LOFTSCOPE_TRY(const FieldPtr other, fieldOf(id, comparable(request.other), context));
        LOFTSCOPE_TRY(
            const at::Tensor distances,
            cosineDistanceMap(*field, *other, walkOf("cosine distance", mapUrgency, context)));
        callback(id, MapReady{request, mapOf(distances)});
        return {};
    }

    Result<void> compute(std::uint64_t id, const MapRequest& request, const RunContext& context) {
        switch (request.what) {
        case MapRequest::What::Scores:
            return scores(id, request, context);
        case MapRequest::What::Attention:
            return attention(id, request, context);
        case MapRequest::What::SelfAttention:
            return selfAttention(id, request, context);
        case MapRequest::What::Similarity:
            return similarity(id, request, context);
        case MapRequest::What::Text:
            return text(id, request, context);
        case MapRequest::What::Norm:
            return norm(id, request, context);
        case MapRequest::What::Distance:
            return distance(id, request, context);
        }
        return {};
    }

    Result<const PcaBasis*> basisOf(const MapRequest& request) const {
        const auto found = bases.find({request.method, request.basis});
        if (found == bases.end())
            return fail(ErrorCode::NotFound,
                        "There is no PCA basis yet: wait until the map has its colours.");
        return &found->second;
    }

    Result<void> lock(const std::vector<MapRequest>& shown) {
        locked.clear();
        for (const MapRequest& request : shown) {
            const auto found = bases.find({request.method, request.basis});
            if (found != bases.end()) locked.insert_or_assign(request.method, found->second);
        }
        return {};
    }

    Result<void> lockGiven(const std::map<std::string, SharedBasis>& given) {
        locked.clear();
        for (const auto& [method, values] : given) {
            LOFTSCOPE_TRY(PcaBasis basis, basisFromValues(*values));
            locked.insert_or_assign(method, std::move(basis));
        }
        return {};
    }

    Result<void> lockOverClip(std::uint64_t id, const std::vector<std::string>& methods,
                              const RunContext& context) {
        if (clip == nullptr || !backbone)
            return fail(ErrorCode::NotFound, "No clip is open: open a video or a folder first.");
        LOFTSCOPE_TRY(const c10::Device where, device());
        const std::int64_t count = std::min(clipSamples, clip->frames());
        std::map<std::string, Moments> all;
        RunContext silent = context; // one stage, whatever runs inside
        silent.onProgress = {};
        for (std::int64_t i = 0; i < count; ++i) {
            context.throwIfStopped();
            context.progress("one basis over the clip",
                             static_cast<double>(i) / static_cast<double>(count));
            LOFTSCOPE_TRY(Photo photo, clip->frame((2 * i + 1) * clip->frames() / (2 * count)));
            LOFTSCOPE_TRY(const Scene made,
                          makeScene(sceneRequest(openedAs, std::move(photo), where), silent));
            for (const std::string& method : methods) {
                std::unique_ptr<FeatureField> field = makeGridField(made.low);
                if (!method.empty()) {
                    LOFTSCOPE_TRY(const LoadedUpsampler* const loaded,
                                  upsamplerOf(id, method, silent));
                    LOFTSCOPE_TRY(field, bindField(made, *loaded->model, silent));
                }
                std::vector<Rect> parts =
                    isQuick(method) ? std::vector<Rect>() : sampleOf(field->extent());
                if (parts.empty()) parts = tilesOf(wholeOf(field->extent()), options.tile);
                Moments& moment = all.try_emplace(method, field->channels()).first->second;
                forEachTile(*field, parts, "", silent, [&](const Rect&, const at::Tensor& block) {
                    moment.add(block);
                    queue.serveMoreUrgent(mapUrgency);
                });
            }
        }
        context.throwIfStopped();
        locked.clear();
        ClipBasisFitted fitted{count, {}};
        for (const auto& [method, moment] : all) {
            PcaBasis basis = basisFromMoments(moment.mean(), moment.secondMoment(),
                                              componentsOf(moment.channels()));
            basis.fittedOn = fmt::format("{} frames of {}", count, clipPath.filename().string());
            fitted.bases[method] = std::make_shared<const BasisValues>(valuesOf(basis));
            locked.insert_or_assign(method, std::move(basis));
        }
        callback(id, fitted);
        return {};
    }

    Result<void> save(std::uint64_t id, const MapRequest& request,
                      const std::filesystem::path& path, const RunContext& context) {
        LOFTSCOPE_TRY(const PcaBasis* const basis, basisOf(request));
        LOFTSCOPE_TRY(const std::string name, titleOfMethod(id, request.method, context));
        LOFTSCOPE_CHECK(writePcaBasis(path, *basis,
                                      {{"method", name}, {"backbone", backbone->provenance.name}}));
        callback(id, BasisSaved{path});
        return {};
    }

    /// What was made with a method's weights, which have changed.
    void forget(const std::string& method) {
        fields.erase(method);
        moments.erase(method);
        coarse.erase(method);
        dropSeen([&](const MapRequest& map) { return map.method == method; });
        locked.erase(method);
        std::erase_if(bases, [&](const auto& entry) { return entry.first.first == method; });
    }

    Result<void> adopt(std::uint64_t id, const std::filesystem::path& path,
                       const RunContext& context) {
        LOFTSCOPE_TRY(const c10::Device where, device());
        std::string method;
        {
            LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path, context));
            const RecognisedModel model = recogniseModel(file.tensors);
            if (const auto* upsampler = std::get_if<RecognisedUpsampler>(&model))
                method = upsampler->method;
        }
        ModelChanged changed;
        changed.path = path;
        if (!method.empty()) {
            LOFTSCOPE_TRY(LoadedUpsampler loaded, load(method, path, where, context));
            callback(id, ModelLoaded{describe(loaded, where.str()), method});
            changed.method = method;
            changed.name = loaded.provenance->name;
            changed.warnings = loaded.warnings;
            if (const auto warning =
                    backbone ? fitWarning(backbone->provenance, *loaded.provenance) : std::nullopt)
                changed.warnings.push_back(*warning);
            // What is being made with the old weights is not wanted any more.
            queue.dropBefore(id);
            upsamplers.insert_or_assign(method, std::move(loaded));
            forget(method);
            options.weights[method] = path;
        } else {
            // An unknown model fails here, with what came closest and what it lacks.
            LOFTSCOPE_TRY(LoadedBackbone loaded, loadBackbone(path, where, {}, context));
            callback(id, ModelLoaded{describe(loaded, where.str()), {}});
            changed.backbone = true;
            changed.name = loaded.provenance.name;
            changed.warnings = loaded.warnings;
            backbone = std::move(loaded);
            texts = textQueriesOf(*backbone, where);
            options.backbone = path;
            locked.clear();
        }
        callback(id, changed);
        return {};
    }
};

Engine::Engine(EngineOptions options, EngineCallback callback)
    : state_(std::make_unique<State>(std::move(options), std::move(callback))) {}

Engine::~Engine() = default;

std::uint64_t Engine::openPhoto(OpenRequest request) {
    return state_->submit("open", openUrgency, "opening the photo",
                          [state = state_.get(), request = std::move(request)](
                              std::uint64_t id, const RunContext& context) {
                              return state->open(id, request, context);
                          });
}

std::uint64_t Engine::compute(MapRequest request) {
    using What = MapRequest::What;
    const bool ofPick = request.what == What::Attention || request.what == What::SelfAttention ||
                        request.what == What::Similarity;
    const int urgency = ofPick && (request.what != What::Similarity || isQuick(request.method))
                            ? pickUrgency
                            : mapUrgency;
    std::string slot = slotOf(request);
    return state_->submit(std::move(slot), urgency,
                          ofPick ? "looking at the picked pixel" : "computing a map",
                          [state = state_.get(), request = std::move(request)](
                              std::uint64_t id, const RunContext& context) {
                              return state->compute(id, request, context);
                          });
}

void Engine::lookAt(double x, double y) {
    state_->focusX = x;
    state_->focusY = y;
}

void Engine::show(const SeenPart& part) {
    {
        const std::lock_guard lock(state_->seenMutex);
        if (state_->seenPart == part) return;
        state_->seenPart = part;
    }
    if (!state_->hasSeenMaps) return;
    state_->followSoon();
}

std::uint64_t Engine::lockBases(std::vector<MapRequest> shown) {
    return state_->submit("lock", pickUrgency, "locking the basis",
                          [state = state_.get(), shown = std::move(shown)](
                              std::uint64_t, const RunContext&) { return state->lock(shown); });
}

std::uint64_t Engine::lockGivenBases(std::map<std::string, SharedBasis> bases) {
    return state_->submit(
        "lock", pickUrgency, "locking the basis",
        [state = state_.get(), bases = std::move(bases)](std::uint64_t, const RunContext&) {
            return state->lockGiven(bases);
        });
}

std::uint64_t Engine::lockBasesOverClip(std::vector<std::string> methods) {
    return state_->submit("clip basis", mapUrgency, "fitting one basis over the clip",
                          [state = state_.get(), methods = std::move(methods)](
                              std::uint64_t id, const RunContext& context) {
                              return state->lockOverClip(id, methods, context);
                          });
}

std::uint64_t Engine::saveBasis(MapRequest scores, const std::filesystem::path& path) {
    return state_->submit("save basis", pickUrgency, "writing the basis",
                          [state = state_.get(), scores = std::move(scores),
                           path](std::uint64_t id, const RunContext& context) {
                              return state->save(id, scores, path, context);
                          });
}

std::uint64_t Engine::useModel(const std::filesystem::path& path) {
    return state_->submit(
        "model", openUrgency, "reading the checkpoint",
        [state = state_.get(), path](std::uint64_t id, const RunContext& context) {
            return state->adopt(id, path, context);
        });
}

void Engine::cancelAll() {
    state_->queue.dropAll();
}

int Engine::threads() {
    return at::get_num_threads();
}

std::vector<MethodInfo> Engine::methods() {
    std::vector<MethodInfo> methods;
    for (const UpsamplerMethod& method : upsamplerMethods()) {
        methods.push_back({std::string(method.name), std::string(method.title),
                           std::string(method.description), method.needsWeights(),
                           method.averagesTokens});
    }
    return methods;
}

std::vector<std::string> Engine::devices() {
    return availableDevices();
}

} // namespace loftscope
