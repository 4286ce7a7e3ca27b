// SPDX-License-Identifier: Apache-2.0
#include "core/eval/knn_eval.h"

#include "core/base/guard.h"
#include "core/image/normalise.h"
#include "core/image/prepare.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace loftscope {

namespace {

constexpr double voteTemperature = 0.07;

at::Tensor unitRows(const at::Tensor& rows) {
    return rows / rows.square().sum(1, true).sqrt().clamp_min(1e-12);
}

/// "a/b/photo.jpg" -> "a/b"
std::string classOf(const std::string& name) {
    const std::size_t slash = name.rfind('/');
    return slash == std::string::npos ? "" : name.substr(0, slash);
}

struct Split {
    std::vector<std::string> classes;
    std::vector<std::int64_t> photos; ///< indices: training first, then test
    std::vector<std::int64_t> labels;
    std::size_t train = 0;
};

Result<Split> splitOf(const PhotoSource& photos, const KnnOptions& options) {
    std::map<std::string, std::vector<std::int64_t>> byClass;
    for (std::int64_t i = 0; i < photos.size(); ++i) {
        const std::string name = classOf(photos.name(i));
        const bool left = std::ranges::any_of(options.skip, [&](const std::string& skipped) {
            return name == skipped || name.ends_with("/" + skipped);
        });
        if (!left) byClass[name].push_back(i);
    }
    const auto needed = static_cast<std::size_t>(options.trainPerClass + options.testPerClass);
    std::erase_if(byClass, [&](const auto& entry) { return entry.second.size() < needed; });
    if (byClass.size() < 2)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("There must be two or more classes (folders) of at least {} photos "
                                "each: give more photos, or ask for fewer per class.",
                                needed));
    Split split;
    for (const bool test : {false, true}) {
        std::int64_t label = 0;
        for (const auto& [name, indices] : byClass) {
            if (!test) split.classes.push_back(name);
            const std::int64_t begin = test ? options.trainPerClass : 0;
            const std::int64_t count = test ? options.testPerClass : options.trainPerClass;
            for (std::int64_t i = begin; i < begin + count; ++i) {
                split.photos.push_back(indices[static_cast<std::size_t>(i)]);
                split.labels.push_back(label);
            }
            ++label;
        }
        if (!test) split.train = split.photos.size();
    }
    return split;
}

Image imageOf(const TrainingPhoto& photo) {
    const auto* const first = photo.pixels.const_data_ptr<std::uint8_t>();
    return Image({photo.pixels.size(0), photo.pixels.size(1)},
                 {first, first + photo.pixels.numel()});
}

at::Tensor meanOf(const FeatureField& field, std::int64_t tile, const RunContext& context) {
    at::Tensor sum = at::zeros({field.channels()}, at::kDouble);
    forEachTile(field, wholeOf(field.extent()), tile, {}, context,
                [&](const Rect&, const at::Tensor& block) {
                    sum += block.flatten(1).sum(1).cpu().to(at::kDouble);
                });
    return (sum / static_cast<double>(field.extent().area())).to(at::kFloat);
}

} // namespace

at::Tensor nearestClasses(const at::Tensor& references, const at::Tensor& labels,
                          const at::Tensor& queries, std::int64_t classes,
                          std::int64_t neighbours) {
    const at::NoGradGuard noGrad;
    const at::Tensor cosines = at::matmul(unitRows(queries), unitRows(references).t());
    const auto [nearest, who] = at::topk(cosines, std::min(neighbours, references.size(0)), 1);
    at::Tensor votes = at::zeros({queries.size(0), classes}, queries.options());
    votes.scatter_add_(1, labels.index_select(0, who.flatten()).view_as(who),
                       (nearest / voteTemperature).exp());
    return votes.argmax(1);
}

Result<KnnReport> evaluateKnn(const LoadedBackbone& backbone,
                              const std::vector<EvaluatedMethod>& methods,
                              const PhotoSource& photos, const KnnOptions& options,
                              c10::Device device, const RunContext& context) {
    return guarded("evaluating nearest neighbours", [&]() -> Result<KnnReport> {
        const at::NoGradGuard noGrad;
        LOFTSCOPE_TRY(const Split split, splitOf(photos, options));
        const RunContext quiet{context.stop, {}};
        KnnReport report;
        report.classes = static_cast<std::int64_t>(split.classes.size());
        report.trainPhotos = static_cast<std::int64_t>(split.train);
        report.testPhotos = static_cast<std::int64_t>(split.photos.size() - split.train);
        report.results.resize(methods.size());
        std::vector<std::vector<at::Tensor>> means(methods.size());
        for (std::size_t i = 0; i < split.photos.size(); ++i) {
            context.throwIfStopped();
            context.progress("averaging features",
                             static_cast<double>(i) / static_cast<double>(split.photos.size()));
            LOFTSCOPE_TRY(const TrainingPhoto photo, photos.load(split.photos[i]));
            LOFTSCOPE_TRY(const PreparedPicture prepared,
                          preparePicture(imageOf(photo), {.shortSide = options.inputSize,
                                                          .patch = backbone.model->patch(),
                                                          .fit = FitRule::CenterSquare}));
            const at::Tensor input =
                normalisedTensor(prepared.picture, backbone.model->normalisation()).to(device);
            LOFTSCOPE_TRY(const BackboneOutput output, backbone.model->run(input, {}, quiet));
            const Guidance guidance{
                {options.featureSize, options.featureSize},
                at::upsample_bilinear2d(input, {options.featureSize, options.featureSize},
                                        false)[0]};
            for (std::size_t m = 0; m < methods.size(); ++m) {
                const auto begin = std::chrono::steady_clock::now();
                LOFTSCOPE_TRY(const auto field, fieldOf(methods[m], output.tokens, guidance));
                means[m].push_back(meanOf(*field, options.tile, quiet));
                report.results[m].seconds +=
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
            }
        }
        const at::Tensor labels = at::tensor(split.labels, at::kLong);
        const auto train = static_cast<std::int64_t>(split.train);
        const at::Tensor truth = labels.slice(0, train);
        const auto draws = bootstrapDraws(report.testPhotos, options.resamples, options.seed);
        std::vector<at::Tensor> hits;
        std::vector<std::vector<double>> resampled(methods.size());
        for (std::size_t m = 0; m < methods.size(); ++m) {
            KnnResult& result = report.results[m];
            result.method = methods[m].name;
            const at::Tensor features = at::stack(means[m]);
            hits.push_back(nearestClasses(features.slice(0, 0, train), labels.slice(0, 0, train),
                                          features.slice(0, train), report.classes,
                                          options.neighbours)
                               .eq(truth)
                               .to(at::kDouble));
            const auto* const hit = hits.back().const_data_ptr<double>();
            result.accuracy = hits.back().mean().item<double>();
            for (std::int64_t i = 0; i < report.testPhotos; ++i)
                result.perClass[split.classes[static_cast<std::size_t>(
                    split.labels[static_cast<std::size_t>(train + i)])]] +=
                    hit[i] / static_cast<double>(options.testPerClass);
            for (const auto& counts : draws) {
                double sum = 0;
                for (std::size_t i = 0; i < counts.size(); ++i)
                    sum += static_cast<double>(counts[i]) * hit[i];
                resampled[m].push_back(sum / static_cast<double>(report.testPhotos));
            }
            result.interval = middle95(resampled[m]);
            if (m == 0) continue;
            result.gain = result.accuracy - report.results[0].accuracy;
            std::vector<double> gains;
            for (std::size_t r = 0; r < draws.size(); ++r)
                gains.push_back(resampled[m][r] - resampled[0][r]);
            result.gainInterval = middle95(std::move(gains));
        }
        return report;
    });
}

} // namespace loftscope
