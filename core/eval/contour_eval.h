// SPDX-License-Identifier: Apache-2.0
// Do features change where people see contours? Ridges of the feature gradient against the
// contours of the Berkeley segmentation data set.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/eval/bootstrap.h"
#include "core/eval/contour_matching.h"
#include "core/eval/evaluated_method.h"
#include "core/pipeline/models.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct ContourPicture {
    std::string name;
    std::filesystem::path photo;
    std::vector<std::filesystem::path> segmentations; ///< of several people, indexed PNGs
};

/// `images/SPLIT/ID.jpg` and `segs/SPLIT/ID_*.png`; `count` evenly spaced ones (0: all). Errors:
/// NotFound.
Result<std::vector<ContourPicture>> openSegmentedPhotos(const std::filesystem::path& folder,
                                                        const std::string& split,
                                                        std::int64_t count);

struct ContourOptions {
    std::int64_t inputSize = 320;    ///< short side of the backbone's input
    std::int64_t featureSize = 0;    ///< short side of the features; 0: as large as the input
    std::int64_t components = 16;    ///< principal components that the gradient is taken of
    std::int64_t basisPictures = 20; ///< that the components come from (evenly spaced)
    double sigma = 1.5;              ///< smoothing, in pixels of the features
    double tolerance = 0.0075;       ///< of the diagonal
    std::int64_t thresholds = 25;
    std::int64_t tile = 64;
    std::int64_t resamples = 1000;
    std::uint64_t seed = 0;
};

struct ContourResult {
    std::string method;
    ContourScores scores;
    Interval ods;               ///< 95 %, over pictures
    std::optional<double> gain; ///< of ODS F over the first method
    Interval gainInterval;
    std::vector<ContourCounts> curve;   ///< per threshold, the strongest first
    std::vector<double> bestPerPicture; ///< F with the picture's own threshold
    double seconds = 0;
};

struct ContourReport {
    std::vector<ContourResult> results;
    std::vector<std::string> names;
    Extent grid; ///< of the first picture
    Extent features;
};

/// Errors: those of the files, InvalidArgument, OutOfMemory, Cancelled.
Result<ContourReport> evaluateContours(const LoadedBackbone& backbone,
                                       const std::vector<EvaluatedMethod>& methods,
                                       const std::vector<ContourPicture>& pictures,
                                       const ContourOptions& options, c10::Device device,
                                       const RunContext& context);

} // namespace loftscope
