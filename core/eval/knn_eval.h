// SPDX-License-Identifier: Apache-2.0
// k-nearest-neighbour classification of photos by their mean feature: how much of what a photo
// shows is in its features, without training.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/eval/bootstrap.h"
#include "core/eval/evaluated_method.h"
#include "core/pipeline/models.h"
#include "core/train/photo_source.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct KnnOptions {
    std::int64_t inputSize = 224;  ///< side of the square that the backbone sees
    std::int64_t featureSize = 56; ///< side of the features that are averaged
    std::int64_t trainPerClass = 6;
    std::int64_t testPerClass = 6;
    std::int64_t neighbours = 5;
    std::vector<std::string> skip; ///< classes to leave out
    std::int64_t tile = 64;
    std::int64_t resamples = 1000;
    std::uint64_t seed = 0;
};

struct KnnResult {
    std::string method;
    double accuracy = 0;
    Interval interval;          ///< 95 %, over test photos
    std::optional<double> gain; ///< over the first method
    Interval gainInterval;
    std::map<std::string, double> perClass;
    double seconds = 0;
};

struct KnnReport {
    std::vector<KnnResult> results;
    std::int64_t classes = 0;
    std::int64_t trainPhotos = 0;
    std::int64_t testPhotos = 0;
};

/// A photo's class is the folder that it is in, as its name says. The first photos of a class are
/// for training, those after them for testing; classes with too few are left out. Errors: those of
/// the photos, InvalidArgument (fewer than two classes), Cancelled.
Result<KnnReport> evaluateKnn(const LoadedBackbone& backbone,
                              const std::vector<EvaluatedMethod>& methods,
                              const PhotoSource& photos, const KnnOptions& options,
                              c10::Device device, const RunContext& context);

/// Class of each query by a vote of its `neighbours` nearest, weighted exp(cosine / 0.07) (as DINO
/// and DINOv2 vote). `references`: N x C with classes `labels` (N, int64, 0..classes - 1);
/// `queries`: M x C. Returns M, int64.
at::Tensor nearestClasses(const at::Tensor& references, const at::Tensor& labels,
                          const at::Tensor& queries, std::int64_t classes, std::int64_t neighbours);

} // namespace loftscope
