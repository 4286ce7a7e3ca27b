// SPDX-License-Identifier: Apache-2.0
#include "core/eval/segmentation_eval.h"

#include "core/base/guard.h"
#include "core/train/counter_random.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace loftscope {

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// A picture of the data, ready to be upsampled.
struct Sample {
    Scene scene;
    at::Tensor classes; ///< H x W of the label map, uint8
};

Result<Sample> readSample(const LoadedBackbone& backbone, const LabelledPictures& data,
                          const LabelledPicture& picture, const SegmentationOptions& options,
                          c10::Device device, const RunContext& context) {
    Sample sample;
    LOFTSCOPE_TRY(sample.classes, readClasses(data, picture));
    SceneRequest request;
    request.image = picture.photo.string();
    request.backbone = backbone.provenance.path;
    request.loadedBackbone = backbone;
    request.inputSize = options.inputSize;
    request.device = device;
    if (options.featureSize > 0) request.output = OutputSize{options.featureSize, {}};
    LOFTSCOPE_TRY(sample.scene, makeScene(request, context));
    const Extent photo = sample.scene.mapping.photo;
    const double photoAspect = static_cast<double>(photo.width) / static_cast<double>(photo.height);
    const double labelAspect =
        static_cast<double>(sample.classes.size(1)) / static_cast<double>(sample.classes.size(0));
    if (std::abs(labelAspect / photoAspect - 1) > 0.03)
        return fail(ErrorCode::Mismatch,
                    fmt::format("The label map '{}' is {} x {}, but its photo is {} x {}: they do "
                                "not show the same.",
                                picture.labels.string(), sample.classes.size(1),
                                sample.classes.size(0), photo.width, photo.height));
    return sample;
}

/// Tiles of a field, of which a share is used.
struct TileChoice {
    std::vector<Rect> tiles;
    std::vector<bool> chosen;
    std::int64_t tile = 0;
    std::int64_t columns = 0;

    TileChoice(const Extent& extent, std::int64_t side, double share, CounterRandom random)
        : tiles(tilesOf(wholeOf(extent), side))
        , chosen(tiles.size(), true)
        , tile(side)
        , columns((extent.width + side - 1) / side) {
        const auto wanted = std::max<std::size_t>(
            1, static_cast<std::size_t>(std::lround(share * static_cast<double>(tiles.size()))));
        std::vector<std::size_t> order(tiles.size());
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t left = order.size(); left > wanted; --left) {
            const auto pick =
                static_cast<std::size_t>(random.below(static_cast<std::int64_t>(left)));
            chosen[order[pick]] = false;
            order[pick] = order[left - 1];
        }
    }
    bool covers(std::int64_t x, std::int64_t y) const {
        return chosen[static_cast<std::size_t>(y / tile * columns + x / tile)];
    }
};

/// The cell of an axis with `to` cells under sample `i` of one with `from`: what nearest resizing
/// takes.
std::int64_t nearestOf(std::int64_t i, std::int64_t from, std::int64_t to) {
    return (2 * i + 1) * to / (2 * from);
}

/// Labelled pixels of the label map, at random, that lie in chosen tiles.
std::vector<Pixel> drawPixels(const at::Tensor& classes, const Extent& extent,
                              const TileChoice& tiles, std::int64_t count, CounterRandom random) {
    std::vector<Pixel> pixels;
    const auto* const data = classes.const_data_ptr<std::uint8_t>();
    const std::int64_t height = classes.size(0);
    const std::int64_t width = classes.size(1);
    for (std::int64_t y = 0; y < height; ++y) {
        const std::int64_t fieldY = nearestOf(y, height, extent.height);
        for (std::int64_t x = 0; x < width; ++x)
            if (data[y * width + x] != ignoredLabel &&
                tiles.covers(nearestOf(x, width, extent.width), fieldY))
                pixels.push_back({x, y});
    }
    const auto wanted = std::min<std::size_t>(pixels.size(), static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < wanted; ++i)
        std::swap(pixels[i], pixels[i + static_cast<std::size_t>(random.below(
                                            static_cast<std::int64_t>(pixels.size() - i)))]);
    pixels.resize(wanted);
    return pixels;
}

/// Features of the field under pixels of a picture of `given` pixels: P x C. Only the tiles that
/// are needed are computed.
at::Tensor featuresAt(const FeatureField& field, const std::vector<Pixel>& pixels,
                      const Extent& given, std::int64_t tile, const RunContext& context) {
    const Extent extent = field.extent();
    const std::int64_t columns = (extent.width + tile - 1) / tile;
    const std::vector<Rect> tiles = tilesOf(wholeOf(extent), tile);
    struct Wanted {
        std::vector<std::int64_t> rows;    ///< of the result
        std::vector<std::int64_t> offsets; ///< within the tile
    };
    std::vector<Wanted> wanted(tiles.size());
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        const std::int64_t x = nearestOf(pixels[i].x, given.width, extent.width);
        const std::int64_t y = nearestOf(pixels[i].y, given.height, extent.height);
        const auto t = static_cast<std::size_t>(y / tile * columns + x / tile);
        wanted[t].rows.push_back(static_cast<std::int64_t>(i));
        wanted[t].offsets.push_back((y - tiles[t].y) * tiles[t].width + x - tiles[t].x);
    }
    std::vector<Rect> needed;
    std::vector<const Wanted*> neededPixels;
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        if (wanted[t].rows.empty()) continue;
        needed.push_back(tiles[t]);
        neededPixels.push_back(&wanted[t]);
    }
    at::Tensor features =
        at::empty({static_cast<std::int64_t>(pixels.size()), field.channels()}, at::kFloat);
    std::size_t next = 0;
    forEachTile(field, needed, {}, context, [&](const Rect&, const at::Tensor& block) {
        const Wanted& here = *neededPixels[next++];
        const auto count = static_cast<std::int64_t>(here.rows.size());
        const at::Tensor offsets =
            at::from_blob(const_cast<std::int64_t*>(here.offsets.data()), {count}, at::kLong)
                .to(block.device());
        const at::Tensor rows =
            at::from_blob(const_cast<std::int64_t*>(here.rows.data()), {count}, at::kLong);
        features.index_copy_(0, rows, block.flatten(1).index_select(1, offsets).t().cpu());
    });
    return features;
}

at::Tensor labelsAt(const at::Tensor& classes, const std::vector<Pixel>& pixels) {
    at::Tensor labels = at::empty({static_cast<std::int64_t>(pixels.size())}, at::kLong);
    auto* const out = labels.mutable_data_ptr<std::int64_t>();
    const auto* const data = classes.const_data_ptr<std::uint8_t>();
    for (std::size_t i = 0; i < pixels.size(); ++i)
        out[i] = data[pixels[i].y * classes.size(1) + pixels[i].x];
    return labels;
}

/// `map` (h x w, uint8) at another size: nearest, as `nearestOf`.
at::Tensor resizedNearest(const at::Tensor& map, std::int64_t height, std::int64_t width) {
    if (map.size(0) == height && map.size(1) == width) return map;
    const auto indices = [](std::int64_t from, std::int64_t to) {
        at::Tensor index = at::empty({from}, at::kLong);
        for (std::int64_t i = 0; i < from; ++i)
            index.mutable_data_ptr<std::int64_t>()[i] = nearestOf(i, from, to);
        return index;
    };
    return map.index_select(0, indices(height, map.size(0)))
        .index_select(1, indices(width, map.size(1)));
}

/// A field of class scores: the probe's logits, computed on the tokens where that gives the same.
struct ClassifiedField {
    std::unique_ptr<FeatureField> field;
    LinearProbe probe;
};
Result<ClassifiedField> classifiedField(const EvaluatedMethod& method, const LinearProbe& probe,
                                        const Scene& scene) {
    ClassifiedField result;
    if (!method.averagesTokens()) {
        LOFTSCOPE_TRY(result.field, fieldOf(method, scene.low, scene.guidance));
        result.probe = probe;
        return result;
    }
    const at::Tensor& tokens = scene.low.values;
    const std::int64_t classes = probe.weight.size(0);
    const FeatureGrid logits{(at::matmul(probe.weight, tokens.flatten(1)) + probe.bias.unsqueeze(1))
                                 .view({classes, tokens.size(1), tokens.size(2)})};
    LOFTSCOPE_TRY(result.field, fieldOf(method, logits, scene.guidance));
    result.probe.weight = at::eye(classes, tokens.options());
    result.probe.bias = at::zeros({classes}, tokens.options());
    return result;
}

RunContext quietly(const RunContext& context) {
    return {context.stop, {}};
}

class SegmentationEvaluation {
public:
    SegmentationEvaluation(const LoadedBackbone& backbone,
                           const std::vector<EvaluatedMethod>& methods,
                           const LabelledPictures& data, const SegmentationOptions& options,
                           c10::Device device, const RunContext& context)
        : backbone_(backbone)
        , methods_(methods)
        , data_(data)
        , options_(options)
        , device_(device)
        , context_(context)
        , train_(evenlySpaced(data.train, options.trainPictures))
        , test_(evenlySpaced(data.test, options.testPictures))
        , classes_(static_cast<std::int64_t>(data.classes.size())) {}

    Result<SegmentationReport> run() {
        for (const EvaluatedMethod& method : methods_) {
            report_.results.emplace_back();
            report_.results.back().method = method.name;
        }
        LOFTSCOPE_CHECK(trainProbes());
        LOFTSCOPE_CHECK(testProbes());
        score();
        report_.trainPictures = static_cast<std::int64_t>(train_.size());
        report_.testPictures = static_cast<std::int64_t>(test_.size());
        for (const LabelledPicture& picture : test_)
            report_.testNames.push_back(picture.name);
        return std::move(report_);
    }

private:
    Result<void> trainProbes() {
        std::vector<std::vector<at::Tensor>> features(methods_.size());
        std::vector<at::Tensor> labels;
        for (std::size_t i = 0; i < train_.size(); ++i) {
            context_.throwIfStopped();
            context_.progress("collecting training pixels",
                              static_cast<double>(i) / static_cast<double>(train_.size()));
            LOFTSCOPE_TRY(const Sample sample, readSample(backbone_, data_, train_[i], options_,
                                                          device_, quietly(context_)));
            const Extent extent = sample.scene.guidance.extent;
            const TileChoice tiles(extent, options_.tile, options_.trainShare,
                                   random(RandomPurpose::ProbePixels, 2 * i));
            const std::vector<Pixel> pixels =
                drawPixels(sample.classes, extent, tiles, options_.pixelsPerPicture,
                           random(RandomPurpose::ProbePixels, 2 * i + 1));
            if (pixels.empty()) continue;
            labels.push_back(labelsAt(sample.classes, pixels));
            for (std::size_t m = 0; m < methods_.size(); ++m) {
                const auto begin = Clock::now();
                LOFTSCOPE_TRY(const auto field,
                              fieldOf(methods_[m], sample.scene.low, sample.scene.guidance));
                features[m].push_back(featuresAt(*field, pixels,
                                                 {sample.classes.size(0), sample.classes.size(1)},
                                                 options_.tile, quietly(context_)));
                report_.results[m].seconds += secondsSince(begin);
            }
        }
        if (labels.empty())
            return fail(ErrorCode::InvalidArgument,
                        "The training pictures have no labelled pixel to learn from.");
        const at::Tensor truth = at::cat(labels).to(device_);
        report_.trainPixels = truth.size(0);
        for (std::size_t m = 0; m < methods_.size(); ++m) {
            context_.progress("training the probes",
                              static_cast<double>(m) / static_cast<double>(methods_.size()));
            at::Tensor pixels = at::cat(features[m]).to(device_);
            features[m].clear();
            ProbeOptions probe = options_.probe;
            probe.seed = options_.seed;
            LOFTSCOPE_TRY(LinearProbe trained,
                          trainProbe(pixels, truth, classes_, probe, quietly(context_)));
            report_.results[m].trainingLoss = trained.trainingLoss;
            report_.results[m].trainingAccuracy = trained.trainingAccuracy;
            probes_.push_back(std::move(trained));
        }
        return {};
    }

    Result<void> testProbes() {
        const at::NoGradGuard noGrad;
        confusions_.resize(methods_.size());
        for (std::size_t i = 0; i < test_.size(); ++i) {
            context_.throwIfStopped();
            context_.progress("testing",
                              static_cast<double>(i) / static_cast<double>(test_.size()));
            LOFTSCOPE_TRY(const Sample sample, readSample(backbone_, data_, test_[i], options_,
                                                          device_, quietly(context_)));
            const Extent extent = sample.scene.guidance.extent;
            if (i == 0) {
                report_.grid = sample.scene.low.extent();
                report_.features = extent;
            }
            const TileChoice tiles(extent, options_.tile, options_.testShare,
                                   random(RandomPurpose::ProbePixels, (1ULL << 32U) + i));
            const at::Tensor tested = testedPixels(sample.classes, extent, tiles);
            for (std::size_t m = 0; m < methods_.size(); ++m) {
                const auto begin = Clock::now();
                LOFTSCOPE_TRY(const ClassifiedField classified,
                              classifiedField(methods_[m], probes_[m], sample.scene));
                const Extent size = classified.field->extent();
                std::vector<Rect> rects;
                if (size == extent) {
                    for (std::size_t t = 0; t < tiles.tiles.size(); ++t)
                        if (tiles.chosen[t]) rects.push_back(tiles.tiles[t]);
                } else {
                    rects = tilesOf(wholeOf(size), options_.tile);
                }
                at::Tensor predicted = at::full({size.height, size.width}, ignoredLabel, at::kByte);
                forEachTile(*classified.field, rects, {}, quietly(context_),
                            [&](const Rect& rect, const at::Tensor& block) {
                                predicted.slice(0, rect.y, rect.bottom())
                                    .slice(1, rect.x, rect.right())
                                    .copy_(classified.probe.classify(block));
                            });
                const at::Tensor atLabels =
                    resizedNearest(predicted, sample.classes.size(0), sample.classes.size(1));
                confusions_[m].push_back(confusionMatrix(tested, atLabels, classes_));
                report_.results[m].seconds += secondsSince(begin);
            }
        }
        return {};
    }

    /// The label map, with 255 outside the chosen tiles: the same pixels count for every method,
    /// also for one that is coarser.
    static at::Tensor testedPixels(const at::Tensor& classes, const Extent& extent,
                                   const TileChoice& tiles) {
        at::Tensor tested = classes.clone();
        auto* const data = tested.mutable_data_ptr<std::uint8_t>();
        for (std::int64_t y = 0; y < tested.size(0); ++y)
            for (std::int64_t x = 0; x < tested.size(1); ++x)
                if (!tiles.covers(nearestOf(x, tested.size(1), extent.width),
                                  nearestOf(y, tested.size(0), extent.height)))
                    data[y * tested.size(1) + x] = ignoredLabel;
        return tested;
    }

    void score() {
        const auto draws = bootstrapDraws(static_cast<std::int64_t>(test_.size()),
                                          options_.resamples, options_.seed);
        const auto weighted = [](const std::vector<at::Tensor>& confusions,
                                 const std::vector<std::int64_t>& counts) {
            at::Tensor sum = at::zeros_like(confusions.front());
            for (std::size_t i = 0; i < counts.size(); ++i)
                if (counts[i] != 0) sum.add_(confusions[i], counts[i]);
            return segmentationScores(sum).meanIoU;
        };
        std::vector<std::vector<double>> resampled(methods_.size());
        for (std::size_t m = 0; m < methods_.size(); ++m) {
            SegmentationResult& result = report_.results[m];
            result.confusion = at::zeros_like(confusions_[m].front());
            for (const at::Tensor& confusion : confusions_[m])
                result.confusion += confusion;
            result.scores = segmentationScores(result.confusion);
            for (const auto& counts : draws)
                resampled[m].push_back(weighted(confusions_[m], counts));
            result.meanIoU = middle95(resampled[m]);
            if (m == 0) continue;
            result.gain = result.scores.meanIoU - report_.results[0].scores.meanIoU;
            std::vector<double> gains;
            for (std::size_t r = 0; r < draws.size(); ++r)
                gains.push_back(resampled[m][r] - resampled[0][r]);
            result.gainInterval = middle95(gains);
        }
        report_.testPixels = report_.results[0].confusion.sum().item<std::int64_t>();
    }

    CounterRandom random(RandomPurpose purpose, std::uint64_t index) const {
        return {options_.seed, purpose, index};
    }

    const LoadedBackbone& backbone_;
    const std::vector<EvaluatedMethod>& methods_;
    const LabelledPictures& data_;
    const SegmentationOptions& options_;
    c10::Device device_;
    const RunContext& context_;
    std::vector<LabelledPicture> train_;
    std::vector<LabelledPicture> test_;
    std::int64_t classes_;
    std::vector<LinearProbe> probes_;
    std::vector<std::vector<at::Tensor>> confusions_; ///< per method and test picture
    SegmentationReport report_;
};

} // namespace

Result<SegmentationReport> evaluateSegmentation(const LoadedBackbone& backbone,
                                                const std::vector<EvaluatedMethod>& methods,
                                                const LabelledPictures& data,
                                                const SegmentationOptions& options,
                                                c10::Device device, const RunContext& context) {
    return guarded("evaluating segmentation", [&] {
        return SegmentationEvaluation(backbone, methods, data, options, device, context).run();
    });
}

} // namespace loftscope
