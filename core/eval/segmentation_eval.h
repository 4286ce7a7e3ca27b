// SPDX-License-Identifier: Apache-2.0
// Semantic segmentation by a linear probe on upsampled features: how much of what the labels say
// can be read off each pixel's feature alone.
//
// The photo goes through the frozen backbone once, every method upsamples the same tokens, and a
// probe of each method learns from the same pixels. A feature map is never held: training pixels
// are picked from its tiles, test pictures are classified tile by tile.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/eval/bootstrap.h"
#include "core/eval/confusion.h"
#include "core/eval/evaluated_method.h"
#include "core/eval/labelled_pictures.h"
#include "core/eval/linear_probe.h"
#include "core/pipeline/scene.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct SegmentationOptions {
    std::int64_t inputSize = 224; ///< short side of the backbone's input
    /// Short side of the upsampled features; 0: as large as the input.
    std::int64_t featureSize = 0;
    std::int64_t trainPictures = 0; ///< evenly spaced ones; 0: all
    std::int64_t testPictures = 0;
    std::int64_t pixelsPerPicture = 1024; ///< that a training picture contributes
    /// Share of a picture's tiles that is looked at, chosen at random but the same for all methods:
    /// 1 is everything, less is faster.
    double trainShare = 1;
    double testShare = 1;
    std::int64_t tile = 64;
    std::int64_t resamples = 1000; ///< for confidence intervals
    std::uint64_t seed = 0;
    ProbeOptions probe;
};

struct SegmentationResult {
    std::string method;
    SegmentationScores scores;
    at::Tensor confusion; ///< K x K over all test pixels
    Interval meanIoU;     ///< 95 %, over test pictures
    /// How much better than the first method, and its interval over the same draws; nothing for the
    /// first.
    std::optional<double> gain;
    Interval gainInterval;
    double trainingLoss = 0;
    double trainingAccuracy = 0;
    double seconds = 0; ///< upsampling and classifying
};

struct SegmentationReport {
    std::vector<SegmentationResult> results; ///< in the order of the methods
    std::int64_t trainPictures = 0;
    std::int64_t testPictures = 0;
    std::int64_t trainPixels = 0;
    std::int64_t testPixels = 0; ///< labelled ones that were tested
    std::vector<std::string> testNames;
    Extent grid; ///< of the first test picture
    Extent features;
};

/// Errors: those of the files, InvalidArgument, Mismatch, OutOfMemory, Cancelled.
Result<SegmentationReport> evaluateSegmentation(const LoadedBackbone& backbone,
                                                const std::vector<EvaluatedMethod>& methods,
                                                const LabelledPictures& data,
                                                const SegmentationOptions& options,
                                                c10::Device device, const RunContext& context);

} // namespace loftscope
