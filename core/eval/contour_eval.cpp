// SPDX-License-Identifier: Apache-2.0
#include "core/eval/contour_eval.h"

#include "core/analysis/pca.h"
#include "core/base/guard.h"
#include "core/eval/feature_contours.h"
#include "core/eval/picture_files.h"
#include "core/image/label_map.h"
#include "core/pipeline/scene.h"
#include "core/upsample/tiles.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace loftscope {

namespace {

namespace fs = std::filesystem;

template <typename Item>
std::vector<Item> spaced(const std::vector<Item>& items, std::int64_t count) {
    const auto total = static_cast<std::int64_t>(items.size());
    if (count <= 0 || count >= total) return items;
    std::vector<Item> chosen;
    for (std::int64_t i = 0; i < count; ++i)
        chosen.push_back(items[static_cast<std::size_t>(i * total / count)]);
    return chosen;
}

/// A label map at another size: nearest.
LabelMap resized(const LabelMap& map, const Extent& extent) {
    LabelMap result{extent, std::vector<std::uint8_t>(static_cast<std::size_t>(extent.area()))};
    for (std::int64_t y = 0; y < extent.height; ++y)
        for (std::int64_t x = 0; x < extent.width; ++x)
            result.labels[static_cast<std::size_t>(y * extent.width + x)] =
                map.labels[static_cast<std::size_t>(
                    (2 * y + 1) * map.extent.height / (2 * extent.height) * map.extent.width +
                    (2 * x + 1) * map.extent.width / (2 * extent.width))];
    return result;
}

/// Contours of one picture, by falling strength.
struct FoundContours {
    std::vector<Pixel> pixels;
    std::vector<float> strengths;
};

FoundContours sortedContours(std::vector<ContourPixel> contours) {
    std::ranges::stable_sort(contours, std::ranges::greater(), &ContourPixel::strength);
    FoundContours sorted;
    for (const ContourPixel& contour : contours) {
        sorted.pixels.push_back(contour.pixel);
        sorted.strengths.push_back(contour.strength);
    }
    return sorted;
}

class ContourEvaluation {
public:
    ContourEvaluation(const LoadedBackbone& backbone, const std::vector<EvaluatedMethod>& methods,
                      const std::vector<ContourPicture>& pictures, const ContourOptions& options,
                      c10::Device device, const RunContext& context)
        : backbone_(backbone)
        , methods_(methods)
        , pictures_(pictures)
        , options_(options)
        , device_(device)
        , context_(context)
        , quiet_{context.stop, {}} {}

    Result<ContourReport> run() {
        const at::NoGradGuard noGrad;
        for (const EvaluatedMethod& method : methods_) {
            report_.results.emplace_back();
            report_.results.back().method = method.name;
        }
        LOFTSCOPE_CHECK(fitBases());
        LOFTSCOPE_CHECK(findContours());
        LOFTSCOPE_CHECK(match());
        for (const ContourPicture& picture : pictures_)
            report_.names.push_back(picture.name);
        return std::move(report_);
    }

private:
    Result<Scene> sceneOf(const ContourPicture& picture) const {
        SceneRequest request;
        request.image = picture.photo.string();
        request.backbone = backbone_.provenance.path;
        request.loadedBackbone = backbone_;
        request.inputSize = options_.inputSize;
        request.device = device_;
        if (options_.featureSize > 0) request.output = OutputSize{options_.featureSize, {}};
        return makeScene(request, quiet_);
    }

    /// One basis per method for all pictures, so that strengths can be compared between pictures.
    /// It sees no contours.
    Result<void> fitBases() {
        const std::vector<ContourPicture> sample = spaced(pictures_, options_.basisPictures);
        std::vector<std::optional<Moments>> moments(methods_.size());
        for (std::size_t i = 0; i < sample.size(); ++i) {
            context_.progress("fitting principal components",
                              static_cast<double>(i) / static_cast<double>(sample.size()));
            LOFTSCOPE_TRY(const Scene scene, sceneOf(sample[i]));
            for (std::size_t m = 0; m < methods_.size(); ++m) {
                const Clock clock(report_.results[m].seconds);
                LOFTSCOPE_TRY(const auto field, fieldOf(methods_[m], scene.low, scene.guidance));
                if (!moments[m]) moments[m].emplace(field->channels());
                // Every other tile, as on a chessboard: enough for directions, half the time.
                std::vector<Rect> rects;
                for (const Rect& rect : tilesOf(wholeOf(field->extent()), options_.tile))
                    if ((rect.x / options_.tile + rect.y / options_.tile) % 2 == 0)
                        rects.push_back(rect);
                forEachTile(*field, rects, {}, quiet_,
                            [&](const Rect&, const at::Tensor& block) { moments[m]->add(block); });
            }
        }
        for (const auto& each : moments) {
            PcaBasis basis = basisFromMoments(each->mean(), each->secondMoment(),
                                              std::min(options_.components, each->channels()));
            bases_.push_back(std::move(basis));
        }
        return {};
    }

    Result<void> findContours() {
        found_.resize(methods_.size());
        for (std::size_t i = 0; i < pictures_.size(); ++i) {
            context_.throwIfStopped();
            context_.progress("finding contours",
                              static_cast<double>(i) / static_cast<double>(pictures_.size()));
            LOFTSCOPE_TRY(const Scene scene, sceneOf(pictures_[i]));
            const Extent extent = scene.guidance.extent;
            extents_.push_back(extent);
            if (i == 0) {
                report_.grid = scene.low.extent();
                report_.features = extent;
            }
            for (std::size_t m = 0; m < methods_.size(); ++m) {
                const Clock clock(report_.results[m].seconds);
                LOFTSCOPE_TRY(const auto field, fieldOf(methods_[m], scene.low, scene.guidance));
                LOFTSCOPE_TRY(at::Tensor map,
                              projectField(bases_[m], *field, options_.tile, quiet_));
                // A field that chooses its own size: as large as the others, so that smoothing and
                // tolerance mean the same.
                if (field->extent() != extent)
                    map = at::upsample_bilinear2d(map.unsqueeze(0), {extent.height, extent.width},
                                                  false)[0];
                found_[m].push_back(sortedContours(featureContours(map.cpu(), options_.sigma)));
            }
        }
        return {};
    }

    /// Thresholds that let through 200 to all pixels per picture, in equal ratios.
    std::vector<float> thresholdsOf(const std::vector<FoundContours>& found) const {
        std::vector<float> all;
        for (const FoundContours& contours : found)
            all.insert(all.end(), contours.strengths.begin(), contours.strengths.end());
        if (all.empty()) return {0.0F};
        std::ranges::sort(all, std::ranges::greater());
        const auto total = static_cast<double>(all.size());
        const double least = std::min(total, 200.0 * static_cast<double>(found.size()));
        std::vector<float> thresholds;
        for (std::int64_t t = 0; t < options_.thresholds; ++t) {
            const double share =
                options_.thresholds == 1
                    ? 1
                    : static_cast<double>(t) / static_cast<double>(options_.thresholds - 1);
            const double rank = least * std::pow(total / least, share);
            thresholds.push_back(all[std::min(all.size(), static_cast<std::size_t>(rank)) - 1]);
        }
        return thresholds;
    }

    Result<void> match() {
        std::vector<std::vector<float>> thresholds;
        for (const auto& found : found_)
            thresholds.push_back(thresholdsOf(found));
        std::vector<std::vector<std::vector<ContourCounts>>> counts(
            methods_.size(), std::vector<std::vector<ContourCounts>>(pictures_.size()));
        for (std::size_t i = 0; i < pictures_.size(); ++i) {
            context_.throwIfStopped();
            context_.progress("matching contours",
                              static_cast<double>(i) / static_cast<double>(pictures_.size()));
            std::vector<ObjectMask> drawn;
            for (const fs::path& path : pictures_[i].segmentations) {
                LOFTSCOPE_TRY(const LabelMap map, decodeLabelMap(path));
                drawn.push_back(contoursOfSegments(extents_[i], resized(map, extents_[i]).labels));
            }
            const double tolerance =
                options_.tolerance * std::hypot(static_cast<double>(extents_[i].height),
                                                static_cast<double>(extents_[i].width));
            at::parallel_for(0, static_cast<std::int64_t>(methods_.size()), 1,
                             [&](std::int64_t begin, std::int64_t end) {
                                 for (auto m = static_cast<std::size_t>(begin);
                                      m < static_cast<std::size_t>(end); ++m)
                                     counts[m][i] =
                                         countsOf(found_[m][i], thresholds[m], drawn, tolerance);
                             });
        }
        const auto pictures = static_cast<std::int64_t>(pictures_.size());
        const auto draws = bootstrapDraws(pictures, options_.resamples, options_.seed);
        const std::vector<std::int64_t> once(pictures_.size(), 1);
        std::vector<std::vector<double>> resampled(methods_.size());
        for (std::size_t m = 0; m < methods_.size(); ++m) {
            ContourResult& result = report_.results[m];
            result.scores = contourScores(counts[m], once);
            result.curve.resize(thresholds[m].size());
            for (const auto& picture : counts[m]) {
                for (std::size_t t = 0; t < picture.size(); ++t)
                    result.curve[t] += picture[t];
                result.bestPerPicture.push_back(
                    std::ranges::max_element(picture, {}, &ContourCounts::f)->f());
            }
            for (const auto& weights : draws)
                resampled[m].push_back(contourScores(counts[m], weights).ods);
            result.ods = middle95(resampled[m]);
            if (m == 0) continue;
            result.gain = result.scores.ods - report_.results[0].scores.ods;
            std::vector<double> gains;
            for (std::size_t r = 0; r < draws.size(); ++r)
                gains.push_back(resampled[m][r] - resampled[0][r]);
            result.gainInterval = middle95(std::move(gains));
        }
        return {};
    }

    static std::vector<ContourCounts> countsOf(const FoundContours& found,
                                               const std::vector<float>& thresholds,
                                               const std::vector<ObjectMask>& drawn,
                                               double tolerance) {
        std::vector<ContourMatching> people;
        for (const ObjectMask& mask : drawn)
            people.emplace_back(mask, tolerance);
        std::vector<ContourCounts> counts;
        std::size_t taken = 0;
        for (const float threshold : thresholds) {
            std::size_t end = taken;
            while (end < found.pixels.size() && found.strengths[end] >= threshold)
                ++end;
            const std::span<const Pixel> more(found.pixels.data() + taken, end - taken);
            taken = end;
            ContourCounts here;
            here.found = static_cast<std::int64_t>(taken);
            for (ContourMatching& person : people) {
                person.add(more);
                here.drawn += person.drawn();
                here.drawnPaired += person.pairs();
            }
            for (std::size_t i = 0; i < taken; ++i)
                here.foundPaired +=
                    std::ranges::any_of(people,
                                        [i](const auto& person) { return person.paired(i); })
                        ? 1
                        : 0;
            counts.push_back(here);
        }
        return counts;
    }

    /// Adds the time until the end of its block.
    class Clock {
    public:
        explicit Clock(double& seconds)
            : seconds_(seconds) {}
        ~Clock() {
            seconds_ +=
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
        }
        Clock(const Clock&) = delete;
        Clock& operator=(const Clock&) = delete;

    private:
        double& seconds_;
        std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    };

    const LoadedBackbone& backbone_;
    const std::vector<EvaluatedMethod>& methods_;
    const std::vector<ContourPicture>& pictures_;
    const ContourOptions& options_;
    c10::Device device_;
    const RunContext& context_;
    RunContext quiet_;
    std::vector<PcaBasis> bases_;
    std::vector<Extent> extents_;
    std::vector<std::vector<FoundContours>> found_; ///< per method and picture
    ContourReport report_;
};

} // namespace

Result<std::vector<ContourPicture>>
openSegmentedPhotos(const fs::path& folder, const std::string& split, std::int64_t count) {
    LOFTSCOPE_TRY(const std::vector<fs::path> photos, picturesBelow(folder / "images" / split));
    LOFTSCOPE_TRY(const std::vector<fs::path> maps, picturesBelow(folder / "segs" / split));
    std::vector<ContourPicture> pictures;
    for (const fs::path& photo : photos) {
        ContourPicture picture{photo.stem().string(), photo, {}};
        for (const fs::path& map : maps)
            if (map.stem().string().starts_with(picture.name + "_"))
                picture.segmentations.push_back(map);
        if (picture.segmentations.empty())
            return fail(ErrorCode::NotFound,
                        fmt::format("The photo '{}' has no segmentation '{}_*.png' in '{}'.",
                                    photo.string(), picture.name,
                                    (folder / "segs" / split).string()));
        pictures.push_back(std::move(picture));
    }
    return spaced(pictures, count);
}

Result<ContourReport> evaluateContours(const LoadedBackbone& backbone,
                                       const std::vector<EvaluatedMethod>& methods,
                                       const std::vector<ContourPicture>& pictures,
                                       const ContourOptions& options, c10::Device device,
                                       const RunContext& context) {
    return guarded("evaluating contours", [&] {
        return ContourEvaluation(backbone, methods, pictures, options, device, context).run();
    });
}

} // namespace loftscope
