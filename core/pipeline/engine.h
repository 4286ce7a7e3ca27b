// SPDX-License-Identifier: Apache-2.0
// The computing behind a window: requests in, immutable results out, on one worker thread. No
// tensors and no exceptions cross this header.
#pragma once

#include "core/analysis/basis_values.h"
#include "core/analysis/channel_statistics.h"
#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/image/image.h"
#include "core/pipeline/map_request.h"
#include "core/pipeline/model_description.h"
#include "core/pipeline/seen_part.h"
#include "core/pipeline/stage_clock.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace loftscope {

/// channels x H x W numbers, channel by channel.
struct FloatMap {
    int channels = 0;
    Extent extent;
    std::vector<float> values;
};
using SharedMap = std::shared_ptr<const FloatMap>;

struct EngineOptions {
    std::filesystem::path backbone;
    /// Checkpoints of methods that need one, by key: "loftup".
    std::map<std::string, std::filesystem::path> weights;
    std::string device = "cpu";     ///< "auto", "cpu", "cuda", "cuda:1"
    std::string precision = "fp32"; ///< of methods that have others: "tf32", "bf16", "fp16"
    /// Principal components per map, fewer if the features have fewer.
    int components = usualComponents;
    std::int64_t tile = 64;                           ///< side of the tiles of a map, pixels
    std::size_t cacheBytes = std::size_t{512} << 20U; ///< features kept per method
    /// Larger maps of methods that take their time are computed where they are seen, on a basis
    /// fitted to every so many pixels.
    std::int64_t wholePixels = 2'000'000;
};

/// An upsampling method as menus name it.
struct MethodInfo {
    std::string key;   ///< "loftup"
    std::string title; ///< "LoftUp"
    std::string description;
    bool needsWeights = false;
    bool averagesTokens = true; ///< as UpsamplerMethod::averagesTokens
};

struct OpenRequest {
    std::filesystem::path path;   ///< of the photo; of a pasted one its name
    Image picture;                ///< not empty: used instead of reading `path`
    std::int64_t inputSize = 224; ///< short side of the backbone's input, pixels
    std::int64_t outputSize = 0;  ///< short side of upsampled maps, pixels; 0: the input's size
    std::string device = {};      ///< as EngineOptions::device; empty: as before
    std::string precision = {};   ///< as EngineOptions::precision; empty: as before
    bool isClip = false;          ///< `path` is a video or a folder: see core/image/clip.h
    std::int64_t frame = 0;       ///< of the clip
};

// --- what comes back --------------------------------------------------------------------------

/// The photo can be shown; features follow.
struct PhotoDecoded {
    std::filesystem::path path;
    Image picture;
    std::vector<std::string> notes; ///< what was done to it, one sentence each
    std::int64_t frame = 0;
    std::int64_t frames = 0; ///< of the clip; 0: it is no frame
    double rate = 0;         ///< frames per second, where the clip has any
};

/// The backbone has run: maps can be asked for.
struct FeaturesReady {
    std::string backbone; ///< "DINOv2 ViT-S/14"
    std::int64_t channels = 0;
    std::int64_t patch = 0;    ///< pixels
    int depth = 0;             ///< blocks of the backbone
    int heads = 0;             ///< of each
    Extent input;              ///< of the backbone
    Extent tokens;             ///< of the low-res grid
    Extent output;             ///< of the upsampled maps
    bool hasTextTower = false; ///< texts can be compared with the features
    std::vector<std::string> warnings;
};

/// A map of scores begins. Tiles follow; those before the FieldFitted that is no preview are
/// colours for the time being and come again.
struct FieldBegun {
    MapRequest request;
    std::string name; ///< "LoftUp"
    Extent extent;
    std::int64_t tile = 0;
    int components = 0;
    std::string precision; ///< what the method really computes in: "fp32", "tf32", "bf16", "fp16"
};

struct FieldFitted {
    MapRequest request;
    bool preview = false; ///< fitted on a sample of the field, so that the first tiles can be shown
    std::vector<float> deviations; ///< standard deviation per component
    std::vector<double> shares;    ///< of the variance per component, 0..1
    std::string fittedOn;          ///< in words
    SharedBasis basis;             ///< null of a preview
};

struct FieldTile {
    MapRequest request;
    Rect rect;
    std::vector<float> scores; ///< components x rect.height x rect.width
    std::int64_t stride = 1;   ///< more: one value for so many pixels; finer ones come when needed
};

/// A first look at a map: every `stride`-th pixel of it. Tiles follow.
struct FieldCoarse {
    MapRequest request;
    std::int64_t stride = 1;   ///< pixels of the map
    Extent extent;             ///< of what is here
    std::vector<float> scores; ///< components x extent.height x extent.width
};

struct AttentionSummary {
    double entropyBits = 0;
    double peak = 0;
    Pixel peakToken;
    double elsewhere = 0; ///< self-attention: share of tokens that are no patches (CLS, registers)
};

/// Every block's and head's weights over the low-res grid, means included. Self-attention: blocks
/// of the backbone.
struct AttentionReady {
    MapRequest request;
    int blocks = 0;
    int heads = 0;
    /// (blocks + 1) * (heads + 1) maps of one channel; use `indexOf`.
    std::vector<SharedMap> maps;
    std::vector<AttentionSummary> summaries;
    /// Blocks and heads count from 0; -1 is the mean over them; beyond the last counts as the last.
    std::size_t indexOf(int block, int head) const {
        return static_cast<std::size_t>((std::min(block, blocks - 1) + 1) * (heads + 1) +
                                        std::min(head, heads - 1) + 1);
    }
};

/// Similarity, likeness to a text, norm or distance: one channel.
struct MapReady {
    MapRequest request;
    SharedMap map;
};

/// Panes whose basis is "locked" have the clip's from now on.
struct ClipBasisFitted {
    std::int64_t frames = 0;                  ///< that it was fitted on
    std::map<std::string, SharedBasis> bases; ///< by method
};

struct BasisSaved {
    std::filesystem::path path;
};

/// A checkpoint was recognised and is used from now on.
struct ModelChanged {
    bool backbone = false; ///< the photo has to be opened again; else: an upsampler
    std::string method;    ///< of an upsampler: the key by which its maps are asked for
    std::string name;      ///< as recognised, e.g. "DINOv2 ViT-S/14"
    std::filesystem::path path;
    std::vector<std::string> warnings;
};

/// A model has been read from its file and is used from now on.
struct ModelLoaded {
    ModelDescription model;
    std::string method; ///< of an upsampler: the key by which its maps are asked for
};

/// Of a method's whole map, before any basis.
struct FieldStatistics {
    std::string method; ///< empty: the low-res grid
    ChannelStatistics statistics;
};

/// Something the user should know while it goes on, one sentence: memory was short.
struct EngineNote {
    std::string sentence;
};

struct StageProgress {
    std::string stage; ///< in the field's terms: "fitting PCA"
    double fraction = 0;
};

/// A request has ended: done, cancelled (ErrorCode::Cancelled) or failed. Dropped ones say nothing.
struct RequestEnded {
    std::optional<Error> error;
    double elapsedMs = 0;
    std::string doing;             ///< what it was, e.g. "opening the photo"
    std::vector<StageTime> stages; ///< in the order in which they began
};

/// Nothing is left to do; every request up to the event's id is answered.
struct EngineIdle {};

using EngineEvent =
    std::variant<PhotoDecoded, FeaturesReady, FieldBegun, FieldFitted, FieldCoarse, FieldTile,
                 AttentionReady, MapReady, BasisSaved, ClipBasisFitted, ModelChanged, ModelLoaded,
                 FieldStatistics, EngineNote, StageProgress, RequestEnded, EngineIdle>;

/// Called on the worker thread, in order; `id` is that of the request it answers.
using EngineCallback = std::function<void(std::uint64_t id, const EngineEvent& event)>;

class Engine {
public:
    Engine(EngineOptions options, EngineCallback callback);
    /// Stops what runs (between two tiles or blocks) and waits for that.
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Ids of requests rise. A newer request of a kind replaces older ones; a photo that can be
    /// read also ends what was asked about the one before.
    std::uint64_t openPhoto(OpenRequest request);
    /// Answered with FieldBegun, FieldFitted and FieldTile, with AttentionReady or with MapReady.
    /// A newer request of the same slot (`slotOf`) replaces an older one. Attention and what is
    /// quickly computed for a picked pixel is answered between the tiles of a map.
    std::uint64_t compute(MapRequest request);
    /// Where the user looks, as fractions of the photo: tiles near it are computed first.
    void lookAt(double x, double y);
    /// What of the photo the screen shows: large maps are computed there, and further on as this
    /// changes. Their tiles come under the id of their request.
    void show(const SeenPart& part);

    /// Keeps the bases that maps of scores have now, by method, for "locked" ones, also of photos
    /// to come; of a method that has none the own one at its first use. Before: those locked
    /// earlier are forgotten.
    std::uint64_t lockBases(std::vector<MapRequest> shown);
    /// Locks the given bases by method, e.g. those of a session, instead of any locked earlier.
    std::uint64_t lockGivenBases(std::map<std::string, SharedBasis> bases);
    /// Locks one basis for each method, fitted on frames from all over the open clip, so that
    /// colours mean the same in every frame. Answered with ClipBasisFitted.
    std::uint64_t lockBasesOverClip(std::vector<std::string> methods);
    /// Writes the basis that a map of scores has. Answered with BasisSaved.
    std::uint64_t saveBasis(MapRequest scores, const std::filesystem::path& path);
    /// Recognises a checkpoint and uses it; what was asked before and is not done is dropped.
    std::uint64_t useModel(const std::filesystem::path& path);
    void cancelAll();

    /// Threads that LibTorch computes with.
    static int threads();
    /// Every method there is, in the order in which users are shown them.
    static std::vector<MethodInfo> methods();
    /// Names of the devices that there are: "cpu", "cuda:0", ...
    static std::vector<std::string> devices();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace loftscope
