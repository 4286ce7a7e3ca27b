// SPDX-License-Identifier: Apache-2.0
// The computing behind a window: requests in, immutable results out, on one worker thread. No
// tensors and no exceptions cross this header.
#pragma once

#include "core/analysis/channel_statistics.h"
#include "core/base/error.h"
#include "core/base/geometry.h"
#include "core/image/image.h"
#include "core/pipeline/model_description.h"
#include "core/pipeline/stage_clock.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
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
    std::filesystem::path loftUp; ///< weights of the method "loftup"; empty: there is none
    std::string device = "cpu";   ///< "auto", "cpu", "cuda", "cuda:1"
    int components = 6;     ///< principal components per map, fewer if the features have fewer
    std::int64_t tile = 64; ///< side of the tiles of a map, pixels
    std::size_t cacheBytes = std::size_t{512} << 20U; ///< features kept of methods with weights
};

struct OpenRequest {
    std::filesystem::path path;   ///< of the photo; of a pasted one its name
    Image picture;                ///< not empty: used instead of reading `path`
    std::int64_t inputSize = 224; ///< short side of the backbone's input, pixels
    std::int64_t outputSize = 0;  ///< short side of upsampled maps, pixels; 0: the input's size
    std::string device = {};      ///< as EngineOptions::device; empty: as before
};

// --- what comes back --------------------------------------------------------------------------

/// The photo can be shown; features follow.
struct PhotoDecoded {
    std::filesystem::path path;
    Image picture;
    std::vector<std::string> notes; ///< what was done to it, one sentence each
};

/// The backbone has run; the low-res map in its own PCA basis.
struct FeaturesReady {
    std::string backbone; ///< "DINOv2 ViT-S/14"
    std::int64_t channels = 0;
    std::int64_t patch = 0;        ///< pixels
    Extent input;                  ///< of the backbone
    Extent output;                 ///< of the upsampled maps
    SharedMap scores;              ///< components x h x w
    std::vector<float> deviations; ///< standard deviation per component
    double explained = 0;          ///< share of the variance in the first three components, 0..1
    std::vector<std::string> warnings;
};

/// A method starts on its map; tiles follow once the basis is fitted.
struct FieldBegun {
    std::string method; ///< key: "bilinear", "loftup"
    std::string name;   ///< "LoftUp"
    Extent extent;
    std::int64_t tile = 0;
    int components = 0;
};

struct FieldFitted {
    std::string method;
    std::vector<float> deviations; ///< standard deviation per component; the mean score is 0
    double explained = 0;
};

struct FieldTile {
    std::string method;
    Rect rect;
    std::vector<float> scores; ///< components x rect.height x rect.width
};

struct AttentionSummary {
    double entropyBits = 0;
    double peak = 0;
    Pixel peakToken;
};

/// Every block's and head's weights over the low-res grid for one photo pixel, means included.
struct AttentionReady {
    std::string method;
    Pixel pixel; ///< of the photo
    int blocks = 0;
    int heads = 0;
    /// (blocks + 1) * (heads + 1) maps of one channel; use `mapOf`.
    std::vector<SharedMap> maps;
    std::vector<AttentionSummary> summaries;
    /// Blocks and heads count from 0; -1 is the mean over them.
    std::size_t indexOf(int block, int head) const {
        return static_cast<std::size_t>((block + 1) * (heads + 1) + head + 1);
    }
};

struct SimilarityReady {
    std::string method; ///< empty: the low-res grid
    Pixel pixel;        ///< of the photo
    SharedMap cosines;
};

/// A checkpoint was recognised and is used from now on.
struct ModelChanged {
    bool backbone = false; ///< the photo has to be opened again; else: an upsampler
    std::string name;      ///< as recognised, e.g. "DINOv2 ViT-S/14"
    std::filesystem::path path;
    std::vector<std::string> warnings;
};

/// A model has been read from its file and is used from now on.
struct ModelLoaded {
    ModelDescription model;
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
    std::variant<PhotoDecoded, FeaturesReady, FieldBegun, FieldFitted, FieldTile, AttentionReady,
                 SimilarityReady, ModelChanged, ModelLoaded, FieldStatistics, EngineNote,
                 StageProgress, RequestEnded, EngineIdle>;

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
    /// The map of a method over the open photo.
    std::uint64_t computeField(const std::string& method);
    /// What the methods attend to at a photo pixel, and its similarity in the low-res grid and
    /// under methods without weights. Answered between the tiles of a map.
    std::uint64_t pick(const Pixel& photoPixel, std::vector<std::string> methods);
    /// Similarity under a method with weights; its map is computed first if it was asked for first.
    std::uint64_t similarity(const Pixel& photoPixel, const std::string& method);
    /// Recognises a checkpoint and uses it.
    std::uint64_t useModel(const std::filesystem::path& path);
    void cancelAll();

    /// Threads that LibTorch computes with.
    static int threads();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace loftscope
