// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/engine.h"

#include "core/analysis/attention_statistics.h"
#include "core/analysis/pca.h"
#include "core/analysis/similarity.h"
#include "core/base/guard.h"
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
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <span>
#include <utility>

namespace loftscope {

namespace {

/// What is answered first; a map gives way between its tiles.
enum Urgency { mapUrgency = 0, pickUrgency = 1, openUrgency = 2 };

constexpr std::chrono::milliseconds progressInterval{33};
/// Smaller tiles would spend most of their time on LoftUp's margins.
constexpr std::int64_t smallestTile = 16;

std::vector<float> floatsOf(const at::Tensor& tensor) {
    const at::Tensor dense = tensor.to(at::kCPU, at::kFloat).contiguous();
    const std::span values(dense.const_data_ptr<float>(), static_cast<std::size_t>(dense.numel()));
    return {values.begin(), values.end()};
}

/// Of k x H x W or H x W.
SharedMap mapOf(const at::Tensor& tensor) {
    const at::Tensor planes = tensor.dim() == 2 ? tensor.unsqueeze(0) : tensor;
    FloatMap map{static_cast<int>(planes.size(0)), {planes.size(1), planes.size(2)}, {}};
    map.values = floatsOf(planes);
    return std::make_shared<const FloatMap>(std::move(map));
}

double explainedByThree(const PcaBasis& basis) {
    const std::int64_t shown = std::min<std::int64_t>(3, basis.size());
    return basis.variances.slice(0, 0, shown).sum().item<double>() /
           std::max(basis.totalVariance, 1e-300);
}

AttentionReady attentionOf(const std::string& method, const Pixel& pixel,
                           const at::Tensor& weights) {
    AttentionReady ready;
    ready.method = method;
    ready.pixel = pixel;
    ready.blocks = static_cast<int>(weights.size(0));
    ready.heads = static_cast<int>(weights.size(1));
    const at::Tensor byHead = weights.mean(0);
    const auto add = [&](const at::Tensor& map) {
        const AttentionStatistics statistics = attentionStatistics(map);
        ready.maps.push_back(mapOf(map));
        ready.summaries.push_back({statistics.entropyBits, statistics.peak, statistics.peakToken});
    };
    for (int block = -1; block < ready.blocks; ++block) {
        const at::Tensor heads = block < 0 ? byHead : weights[block];
        add(heads.mean(0));
        for (int head = 0; head < ready.heads; ++head)
            add(heads[head]);
    }
    return ready;
}

} // namespace

/// Everything but the queue belongs to the worker thread.
struct Engine::State {
    using FieldPtr = std::shared_ptr<const FeatureField>;

    EngineOptions options;
    EngineCallback callback;
    std::optional<LoadedBackbone> backbone;
    std::map<std::string, LoadedUpsampler> upsamplers;
    std::shared_ptr<const Scene> scene;
    std::map<std::string, FieldPtr> fields;
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
        clock = interrupted;
        if (clock != nullptr) clock->exclude(stages.sinceStart());
        RequestEnded ended;
        if (!outcome) ended.error = std::move(outcome).error();
        ended.elapsedMs = std::chrono::duration<double, std::milli>(stages.sinceStart()).count();
        ended.doing = doing;
        ended.stages = stages.finish();
        callback(id, ended);
    }

    /// Where memory was short: smaller tiles, then the CPU. Says what has changed; nothing if
    /// nothing is left to try.
    std::optional<std::string> makeRoom() {
        fields.clear(); // with what they cache
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
            moved->backbone = backbone->model;
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
        LOFTSCOPE_TRY(LoadedUpsampler loaded,
                      loadUpsampler(method,
                                    method == "loftup" ? options.loftUp : std::filesystem::path(),
                                    where, context));
        if (loaded.provenance) callback(id, ModelLoaded{describe(loaded, where.str())});
        return &upsamplers.insert_or_assign(method, std::move(loaded)).first->second;
    }

    Result<FieldPtr> fieldOf(std::uint64_t id, const std::string& method,
                             const RunContext& context) {
        if (const auto found = fields.find(method); found != fields.end()) return found->second;
        LOFTSCOPE_TRY(const auto opened, openScene());
        LOFTSCOPE_TRY(const LoadedUpsampler* const loaded, upsamplerOf(id, method, context));
        LOFTSCOPE_TRY(auto bound, bindField(*opened, *loaded->model));
        // A map is walked over twice for its basis and once for every similarity.
        FieldPtr field = loaded->provenance ? makeCachedField(std::move(bound), options.cacheBytes)
                                            : std::move(bound);
        fields.insert_or_assign(method, field);
        return field;
    }

    Result<void> open(std::uint64_t id, const OpenRequest& request, const RunContext& context) {
        Photo photo;
        if (request.picture.empty()) {
            LOFTSCOPE_TRY(photo, decodePhoto(request.path));
        } else {
            photo.image = request.picture;
        }
        context.throwIfStopped();
        // From here on the photo before is history; until here a broken file changes nothing.
        queue.dropBefore(id);
        scene.reset();
        fields.clear();
        callback(id, PhotoDecoded{request.path, photo.image, photo.notes});

        useDevice(request.device);
        LOFTSCOPE_TRY(const c10::Device where, device());
        if (!backbone) {
            context.progress("reading the backbone", 0);
            LOFTSCOPE_TRY(backbone, loadBackbone(options.backbone, where, std::nullopt, context));
            callback(id, ModelLoaded{describe(*backbone, where.str())});
        }
        context.progress("running the backbone", 0);
        SceneRequest wanted;
        wanted.image = request.path.string();
        wanted.photo = std::move(photo);
        wanted.backbone = options.backbone;
        wanted.loadedBackbone = backbone;
        wanted.inputSize = request.inputSize;
        if (request.outputSize > 0) wanted.output = OutputSize{request.outputSize, {}};
        wanted.device = where;
        LOFTSCOPE_TRY(Scene made, makeScene(wanted, context));
        const auto low = makeGridField(made.low);
        LOFTSCOPE_TRY(const PcaBasis basis,
                      fitPca(std::array{PcaSource{low.get(), "low-res"}},
                             componentsOf(low->channels()), options.tile, context));
        LOFTSCOPE_TRY(const at::Tensor scores, projectField(basis, *low, options.tile, context));
        FeaturesReady ready;
        ready.backbone = backbone->spec.name;
        ready.channels = made.low.channels();
        ready.patch = backbone->model->patch();
        ready.input = made.inputExtent;
        ready.output = made.guidance.extent;
        ready.scores = mapOf(scores);
        ready.deviations = floatsOf(basis.variances.sqrt());
        ready.explained = explainedByThree(basis);
        ready.warnings = made.warnings;
        scene = std::make_shared<const Scene>(std::move(made));
        callback(id, ready);
        Moments moments(scene->low.channels());
        moments.add(scene->low.values);
        NormAccumulator norms;
        norms.add(scene->low.values);
        callback(id, FieldStatistics{"", channelStatistics(moments, norms)});
        return {};
    }

    std::int64_t componentsOf(std::int64_t channels) const {
        return std::min<std::int64_t>(options.components, channels);
    }

    Result<void> map(std::uint64_t id, const std::string& method, const RunContext& context) {
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, method, context));
        LOFTSCOPE_TRY(const LoadedUpsampler* const loaded, upsamplerOf(id, method, context));
        const std::string name = titleOf(*loaded->model);
        const std::int64_t components = componentsOf(field->channels());
        const std::int64_t tile = options.tile; // a request in between may make it smaller
        callback(id, FieldBegun{method, name, field->extent(), tile, static_cast<int>(components)});
        Moments moments(field->channels());
        NormAccumulator norms;
        forEachTile(*field, wholeOf(field->extent()), tile, name, context,
                    [&](const Rect&, const at::Tensor& block) {
                        moments.add(block);
                        norms.add(block);
                        queue.serveMoreUrgent(mapUrgency);
                    });
        context.throwIfStopped();
        const PcaBasis basis = basisFromMoments(moments.mean(), moments.secondMoment(), components);
        callback(id,
                 FieldFitted{method, floatsOf(basis.variances.sqrt()), explainedByThree(basis)});
        callback(id, FieldStatistics{method, channelStatistics(moments, norms)});
        forEachTile(*field, wholeOf(field->extent()), tile, name + ", colours", context,
                    [&](const Rect& rect, const at::Tensor& block) {
                        callback(id, FieldTile{method, rect, floatsOf(projectBlock(basis, block))});
                        queue.serveMoreUrgent(mapUrgency);
                    });
        return {};
    }

    Result<void> attendAndCompare(std::uint64_t id, const Pixel& photoPixel,
                                  const std::vector<std::string>& methods,
                                  const RunContext& context) {
        LOFTSCOPE_TRY(const auto opened, openScene());
        LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(*opened, photoPixel));
        const auto low = makeGridField(opened->low);
        LOFTSCOPE_TRY(const at::Tensor lowCosines,
                      similarityMap(*low, tokenOfPixel(*opened, pixel), options.tile, context));
        callback(id, SimilarityReady{"", photoPixel, mapOf(lowCosines)});
        for (const std::string& method : methods) {
            LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, method, context));
            if (const auto weights = field->attend(pixel))
                callback(id, attentionOf(method, photoPixel, *weights));
            context.throwIfStopped();
            LOFTSCOPE_TRY(const LoadedUpsampler* const loaded, upsamplerOf(id, method, context));
            if (loaded->provenance) continue;
            LOFTSCOPE_TRY(const at::Tensor cosines,
                          similarityMap(*field, pixel, options.tile, context));
            callback(id, SimilarityReady{method, photoPixel, mapOf(cosines)});
        }
        return {};
    }

    Result<void> compare(std::uint64_t id, const Pixel& photoPixel, const std::string& method,
                         const RunContext& context) {
        LOFTSCOPE_TRY(const auto opened, openScene());
        LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(*opened, photoPixel));
        LOFTSCOPE_TRY(const FieldPtr field, fieldOf(id, method, context));
        LOFTSCOPE_TRY(const at::Tensor cosines,
                      similarityMap(*field, pixel, options.tile, context));
        callback(id, SimilarityReady{method, photoPixel, mapOf(cosines)});
        return {};
    }

    Result<void> adopt(std::uint64_t id, const std::filesystem::path& path,
                       const RunContext& context) {
        LOFTSCOPE_TRY(const c10::Device where, device());
        RecognisedModel model;
        {
            LOFTSCOPE_TRY(const TensorFile file, readTensorFile(path, context));
            model = recogniseModel(file.tensors);
        }
        ModelChanged changed;
        changed.path = path;
        if (std::holds_alternative<LoftUpSpec>(model)) {
            LOFTSCOPE_TRY(LoadedUpsampler loaded, loadUpsampler("loftup", path, where, context));
            callback(id, ModelLoaded{describe(loaded, where.str())});
            changed.name = loaded.provenance->name;
            changed.warnings = loaded.warnings;
            queue.drop("field:loftup");
            upsamplers.insert_or_assign("loftup", std::move(loaded));
            fields.erase("loftup");
            options.loftUp = path;
        } else {
            // An unknown model fails here, with what came closest and what it lacks.
            LOFTSCOPE_TRY(LoadedBackbone loaded, loadBackbone(path, where, std::nullopt, context));
            callback(id, ModelLoaded{describe(loaded, where.str())});
            changed.backbone = true;
            changed.name = loaded.spec.name;
            changed.warnings = loaded.warnings;
            backbone = std::move(loaded);
            options.backbone = path;
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

std::uint64_t Engine::computeField(const std::string& method) {
    return state_->submit(
        "field:" + method, mapUrgency, "computing the map of " + method,
        [state = state_.get(), method](std::uint64_t id, const RunContext& context) {
            return state->map(id, method, context);
        });
}

std::uint64_t Engine::pick(const Pixel& photoPixel, std::vector<std::string> methods) {
    return state_->submit("pick", pickUrgency, "looking at the picked pixel",
                          [state = state_.get(), photoPixel, methods = std::move(methods)](
                              std::uint64_t id, const RunContext& context) {
                              return state->attendAndCompare(id, photoPixel, methods, context);
                          });
}

std::uint64_t Engine::similarity(const Pixel& photoPixel, const std::string& method) {
    return state_->submit(
        "similarity", mapUrgency, "comparing with the picked pixel",
        [state = state_.get(), photoPixel, method](std::uint64_t id, const RunContext& context) {
            return state->compare(id, photoPixel, method, context);
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

} // namespace loftscope
