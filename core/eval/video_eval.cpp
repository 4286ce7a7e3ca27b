// SPDX-License-Identifier: Apache-2.0
#include "core/eval/video_eval.h"

#include "core/base/guard.h"
#include "core/eval/confusion.h"
#include "core/image/decode.h"
#include "core/image/label_map.h"
#include "core/image/normalise.h"
#include "core/image/pillow_resize.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace loftscope {

namespace {

/// What methods are given of a frame.
struct PreparedFrame {
    FeatureGrid low;
    Guidance guidance;
};

struct PreparedClip {
    std::vector<PreparedFrame> frames;
    std::vector<LabelMap> masks; ///< of the annotated size, 255 set to 0
    int objects = 0;
};

at::Tensor bilinear(const at::Tensor& maps, std::int64_t height, std::int64_t width) {
    return at::upsample_bilinear2d(maps.unsqueeze(0), {height, width}, false)[0];
}

Result<PreparedClip> prepareClip(const LoadedBackbone& backbone, const VideoClip& clip,
                                 const VideoOptions& options, std::int64_t side, c10::Device device,
                                 const RunContext& context) {
    PreparedClip prepared;
    for (std::size_t i = 0; i < clip.frames.size(); ++i) {
        LOFTSCOPE_TRY(LabelMap mask, decodeLabelMap(clip.masks[i]));
        std::ranges::replace(mask.labels, static_cast<std::uint8_t>(ignoredLabel), std::uint8_t{0});
        if (i > 0 && mask.extent != prepared.masks.front().extent)
            return fail(ErrorCode::Mismatch,
                        fmt::format("The mask '{}' has another size than the first one of its "
                                    "clip.",
                                    clip.masks[i].string()));
        prepared.objects = std::max<int>(prepared.objects, *std::ranges::max_element(mask.labels));
        prepared.masks.push_back(std::move(mask));

        LOFTSCOPE_TRY(const Photo photo, decodePhoto(clip.frames[i]));
        const Image square = pillowResize(photo.image, {side, side}, PillowFilter::Bicubic);
        const at::Tensor input =
            normalisedTensor(square, backbone.model->normalisation()).to(device);
        LOFTSCOPE_TRY(BackboneOutput output, backbone.model->run(input, {}, context));
        PreparedFrame frame;
        frame.low = std::move(output.tokens);
        frame.guidance.extent = {options.featureSize, options.featureSize};
        frame.guidance.picture = bilinear(input[0], options.featureSize, options.featureSize);
        prepared.frames.push_back(std::move(frame));
    }
    if (prepared.objects == 0)
        return fail(
            ErrorCode::InvalidArgument,
            fmt::format("The masks of the clip '{}' show no object: all are 0.", clip.name));
    return prepared;
}

/// K x h x w scores of a label map, nearest as Pillow resizes: 1 for the label, 0 else.
at::Tensor oneHot(const LabelMap& mask, const Extent& extent, int objects) {
    at::Tensor scores = at::zeros({objects + 1, extent.height, extent.width}, at::kFloat);
    auto* const data = scores.mutable_data_ptr<float>();
    for (std::int64_t y = 0; y < extent.height; ++y) {
        const std::int64_t sy = (2 * y + 1) * mask.extent.height / (2 * extent.height);
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const std::int64_t sx = (2 * x + 1) * mask.extent.width / (2 * extent.width);
            const std::int64_t label =
                mask.labels[static_cast<std::size_t>(sy * mask.extent.width + sx)];
            data[label * extent.area() + y * extent.width + x] = 1;
        }
    }
    return scores;
}

/// Labels at the size of the annotation: bilinear to the input's size, scaled, the largest score,
/// nearest.
LabelMap labelsFrom(const at::Tensor& scores, std::int64_t side, const Extent& extent,
                    bool normalise) {
    at::Tensor large = bilinear(scores, side, side);
    if (normalise) {
        const at::Tensor least = large.amin({1, 2}, true);
        const at::Tensor range = large.amax({1, 2}, true) - least;
        // A label that is nowhere stays 0.
        large = (large - least) / range.masked_fill(range == 0, 1);
    }
    const at::Tensor winner = large.argmax(0).to(at::kByte).contiguous();
    const auto* const data = winner.const_data_ptr<std::uint8_t>();
    LabelMap labels{extent, std::vector<std::uint8_t>(static_cast<std::size_t>(extent.area()))};
    for (std::int64_t y = 0; y < extent.height; ++y)
        for (std::int64_t x = 0; x < extent.width; ++x)
            labels.labels[static_cast<std::size_t>(y * extent.width + x)] =
                data[(2 * y + 1) * side / (2 * extent.height) * side +
                     (2 * x + 1) * side / (2 * extent.width)];
    return labels;
}

ObjectMask objectMask(const LabelMap& labels, int object) {
    ObjectMask mask{labels.extent, std::vector<std::uint8_t>(labels.labels.size())};
    std::ranges::transform(labels.labels, mask.inside.begin(), [&](std::uint8_t label) {
        return static_cast<std::uint8_t>(label == object ? 1 : 0);
    });
    return mask;
}

at::Tensor wholeField(const FeatureField& field, std::int64_t tile, const RunContext& context) {
    at::Tensor features =
        at::empty({field.channels(), field.extent().height, field.extent().width}, at::kFloat);
    forEachTile(
        field, wholeOf(field.extent()), tile, {}, context,
        [&](const Rect& rect, const at::Tensor& block) {
            features.slice(1, rect.y, rect.bottom()).slice(2, rect.x, rect.right()).copy_(block);
        });
    return features;
}

class VideoEvaluation {
public:
    VideoEvaluation(const LoadedBackbone& backbone, const std::vector<EvaluatedMethod>& methods,
                    const std::vector<VideoClip>& clips, const VideoOptions& options,
                    c10::Device device, const RunContext& context)
        : backbone_(backbone)
        , methods_(methods)
        , clips_(clips)
        , options_(options)
        , device_(device)
        , context_(context)
        , side_(std::max<std::int64_t>(1, (2 * options.inputSize + backbone.model->patch()) /
                                              (2 * backbone.model->patch())) *
                backbone.model->patch()) {}

    Result<VideoReport> run() {
        const at::NoGradGuard noGrad;
        for (const EvaluatedMethod& method : methods_) {
            report_.results.emplace_back();
            report_.results.back().method = method.name;
        }
        report_.features = {options_.featureSize, options_.featureSize};
        for (std::size_t c = 0; c < clips_.size(); ++c) {
            progress(c, 0);
            LOFTSCOPE_TRY(const PreparedClip clip,
                          prepareClip(backbone_, clips_[c], options_, side_, device_,
                                      RunContext{context_.stop, {}}));
            report_.grid = clip.frames.front().low.extent();
            report_.frames += static_cast<std::int64_t>(clip.frames.size()) - 2;
            for (std::size_t m = 0; m < methods_.size(); ++m)
                LOFTSCOPE_CHECK(follow(c, clip, m));
        }
        summarise();
        return std::move(report_);
    }

private:
    Result<void> follow(std::size_t c, const PreparedClip& clip, std::size_t m) {
        const auto begin = std::chrono::steady_clock::now();
        const std::size_t count = clip.frames.size();
        std::vector<ObjectResult> objects;
        for (int object = 1; object <= clip.objects; ++object) {
            objects.emplace_back();
            objects.back().clip = clips_[c].name;
            objects.back().object = object;
        }
        std::optional<LabelPropagation> propagation;
        // The last frame does not count, so that it need not be followed.
        for (std::size_t i = 0; i + 1 < count; ++i) {
            context_.throwIfStopped();
            progress(
                c, (static_cast<double>(m) + static_cast<double>(i) / static_cast<double>(count)) /
                       static_cast<double>(methods_.size()));
            LOFTSCOPE_TRY(const auto field,
                          fieldOf(methods_[m], clip.frames[i].low, clip.frames[i].guidance));
            const at::Tensor features =
                wholeField(*field, options_.tile, RunContext{context_.stop, {}});
            if (i == 0) {
                propagation.emplace(options_.propagation, features,
                                    oneHot(clip.masks[0], field->extent(), clip.objects));
                continue;
            }
            const LabelMap labels = labelsFrom(propagation->next(features), side_,
                                               clip.masks[i].extent, options_.normaliseMasks);
            for (ObjectResult& object : objects) {
                const ObjectMask predicted = objectMask(labels, object.object);
                const ObjectMask truth = objectMask(clip.masks[i], object.object);
                object.regionPerFrame.push_back(regionSimilarity(predicted, truth));
                object.boundaryPerFrame.push_back(boundaryMeasure(predicted, truth));
            }
        }
        for (ObjectResult& object : objects) {
            object.region = clipStatistics(object.regionPerFrame);
            object.boundary = clipStatistics(object.boundaryPerFrame);
            report_.results[m].objects.push_back(std::move(object));
        }
        report_.results[m].seconds +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        return {};
    }

    void summarise() {
        const auto objects = static_cast<std::int64_t>(report_.results.front().objects.size());
        const auto draws = bootstrapDraws(objects, options_.resamples, options_.seed);
        for (VideoResult& result : report_.results) {
            for (const ObjectResult& object : result.objects) {
                const auto share = 1 / static_cast<double>(objects);
                const auto add = [share](ClipStatistics& sum, const ClipStatistics& value) {
                    sum.mean += share * value.mean;
                    sum.recall += share * value.recall;
                    sum.decay += share * value.decay;
                };
                add(result.region, object.region);
                add(result.boundary, object.boundary);
            }
            result.both = (result.region.mean + result.boundary.mean) / 2;
            const VideoResult& first = report_.results.front();
            const bool isFirst = &result == &first;
            if (!isFirst) result.gain = result.both - first.both;
            std::vector<double> values;
            std::vector<double> gains;
            for (const auto& counts : draws) {
                double sum = 0;
                double firstSum = 0;
                for (std::size_t i = 0; i < counts.size(); ++i) {
                    sum += static_cast<double>(counts[i]) * result.objects[i].both();
                    firstSum += static_cast<double>(counts[i]) * first.objects[i].both();
                }
                values.push_back(sum / static_cast<double>(objects));
                gains.push_back((sum - firstSum) / static_cast<double>(objects));
            }
            result.bothInterval = middle95(std::move(values));
            if (!isFirst) result.gainInterval = middle95(std::move(gains));
        }
    }

    void progress(std::size_t clip, double within) const {
        context_.progress("following " + clips_[clip].name, (static_cast<double>(clip) + within) /
                                                                static_cast<double>(clips_.size()));
    }

    const LoadedBackbone& backbone_;
    const std::vector<EvaluatedMethod>& methods_;
    const std::vector<VideoClip>& clips_;
    const VideoOptions& options_;
    c10::Device device_;
    const RunContext& context_;
    std::int64_t side_; ///< of the backbone's input: a multiple of the patch
    VideoReport report_;
};

} // namespace

Result<VideoReport> evaluateVideo(const LoadedBackbone& backbone,
                                  const std::vector<EvaluatedMethod>& methods,
                                  const std::vector<VideoClip>& clips, const VideoOptions& options,
                                  c10::Device device, const RunContext& context) {
    return guarded("evaluating video object segmentation", [&] {
        return VideoEvaluation(backbone, methods, clips, options, device, context).run();
    });
}

} // namespace loftscope
