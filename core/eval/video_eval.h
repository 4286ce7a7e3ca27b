// SPDX-License-Identifier: Apache-2.0
// Video object segmentation without training: the mask of the first frame is carried on by the
// similarity of upsampled features, and compared with the annotated masks.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/eval/bootstrap.h"
#include "core/eval/evaluated_method.h"
#include "core/eval/label_propagation.h"
#include "core/eval/video_clips.h"
#include "core/eval/video_metrics.h"
#include "core/pipeline/models.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct VideoOptions {
    std::int64_t inputSize = 224;   ///< side of the square that frames are resized to
    std::int64_t featureSize = 112; ///< side of the upsampled features
    PropagationOptions propagation;
    bool normaliseMasks = true; ///< scores of each label to 0..1 over the frame before the largest
                                ///< counts
    std::int64_t tile = 64;
    std::int64_t resamples = 1000;
    std::uint64_t seed = 0;
};

/// One object of one clip.
struct ObjectResult {
    std::string clip;
    int object = 1;
    ClipStatistics region;   ///< J
    ClipStatistics boundary; ///< F
    std::vector<double> regionPerFrame;
    std::vector<double> boundaryPerFrame;
    double both() const { return (region.mean + boundary.mean) / 2; }
};

struct VideoResult {
    std::string method;
    std::vector<ObjectResult> objects;
    ClipStatistics region; ///< means over objects
    ClipStatistics boundary;
    double both = 0;            ///< J&F
    Interval bothInterval;      ///< 95 %, over objects
    std::optional<double> gain; ///< of J&F over the first method; nothing for the first
    Interval gainInterval;
    double seconds = 0;
};

struct VideoReport {
    std::vector<VideoResult> results;
    std::int64_t frames = 0; ///< that count, over all clips
    Extent grid;
    Extent features;
};

/// Errors: those of the files, InvalidArgument (no object in a clip), Mismatch, OutOfMemory,
/// Cancelled.
Result<VideoReport> evaluateVideo(const LoadedBackbone& backbone,
                                  const std::vector<EvaluatedMethod>& methods,
                                  const std::vector<VideoClip>& clips, const VideoOptions& options,
                                  c10::Device device, const RunContext& context);

} // namespace loftscope
