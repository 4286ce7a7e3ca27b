// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/comparison.h"

#include "core/analysis/attention_statistics.h"
#include "core/analysis/basis_values.h"
#include "core/analysis/feature_maps.h"
#include "core/analysis/pca_file.h"
#include "core/analysis/similarity.h"
#include "core/base/guard.h"
#include "core/pipeline/data_files.h"
#include "core/pipeline/locked_basis.h"
#include "core/pipeline/pane_colors.h"
#include "core/upsample/cached_field.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/tiles.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

namespace loftscope {

namespace {

using Kind = PaneView::Kind;

/// Per method; a 448 x 672 map of 384 channels takes 462 MB.
constexpr std::size_t cacheBytes = std::size_t{512} << 20U;

std::string sizeOf(const Extent& extent) {
    return fmt::format("{} x {}", extent.width, extent.height);
}

/// "PCA 1-3", "PCA 4,2,7".
std::string componentsText(const PaneView& view) {
    if (view.component) return fmt::format("PCA {}", *view.component + 1);
    const auto& [r, g, b] = view.components;
    return g == r + 1 && b == r + 2 ? fmt::format("PCA {}-{}", r + 1, b + 1)
                                    : fmt::format("PCA {},{},{}", r + 1, g + 1, b + 1);
}

/// A part of a picture, sampled at `extent`: cells that are larger stay crisp.
Image partOf(const Image& picture, const Extent& whole, const Rect& part) {
    // A finer map keeps its own pixels.
    const std::int64_t factor =
        std::max<std::int64_t>(1, (picture.width() + whole.width - 1) / whole.width);
    const Extent extent{part.height * factor, part.width * factor};
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(extent.area()) * 3);
    for (std::int64_t y = 0; y < extent.height; ++y) {
        const std::int64_t row =
            (2 * (part.y * factor + y) + 1) * picture.height() / (2 * whole.height * factor);
        for (std::int64_t x = 0; x < extent.width; ++x) {
            const std::int64_t column =
                (2 * (part.x * factor + x) + 1) * picture.width() / (2 * whole.width * factor);
            const std::uint8_t* const pixel = picture.row(row) + 3 * column;
            pixels.insert(pixels.end(), pixel, pixel + 3);
        }
    }
    return {extent, std::move(pixels)};
}

/// A scalar map and what it is called.
struct ScalarMap {
    at::Tensor values; // h x w
    PaneView::Span range;
    std::string unit;
};

class Comparison {
public:
    Comparison(const Scene& scene, const std::vector<ComparedMethod>& methods,
               const ComparisonRequest& request, const RunContext& context, FigureData* data)
        : scene_(scene)
        , methods_(methods)
        , request_(request)
        , plan_(request.plan)
        , context_(context)
        , data_(data)
        , panes_(panesOf(request.plan, methods))
        , components_(
              std::max<std::int64_t>(componentsOf(panes_), data != nullptr ? usualComponents : 0))
        , low_(makeGridField(scene.low)) {}

    Result<FigureSpec> run() {
        if (plan_.only > static_cast<int>(panes_.size()))
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("Pane {} is to be shown alone, but there are {} panes.",
                                    plan_.only, panes_.size()));
        LOFTSCOPE_CHECK(nameEveryMethod());
        LOFTSCOPE_CHECK(collectPicks());
        LOFTSCOPE_TRY(const std::optional<Rect> crop, guidanceRect(plan_.crop));
        const Extent whole = scene_.guidance.extent;
        FigureSpec figure;
        maps_.resize(panes_.size());
        figure.panes.resize(panes_.size());
        for (const std::size_t i : order()) {
            LOFTSCOPE_TRY(FigurePane pane, paneAt(i));
            if (panes_[i].title) pane.title = *panes_[i].title;
            if (panes_[i].subtitle) pane.subtitle = *panes_[i].subtitle;
            if (!plan_.titles && !panes_[i].title && !plan_.rowPerPhoto) pane.title.clear();
            if (!plan_.subtitles && !panes_[i].subtitle) pane.subtitle.clear();
            if (!plan_.bars) pane.bar.reset();
            if (crop) pane.picture = partOf(pane.picture, whole, *crop);
            figure.panes[i] = std::move(pane);
        }
        LOFTSCOPE_TRY(const std::vector<Inset> insets, insetsWithin(crop.value_or(wholeOf(whole))));
        const std::vector<Marker> markers = markersWithin(crop.value_or(wholeOf(whole)));
        for (FigurePane& pane : figure.panes) {
            pane.insets = insets;
            if (plan_.markers) pane.markers = markers;
        }
        if (plan_.only > 0) {
            // The others took part in shared bases, subtractions and numbers.
            FigurePane shown = std::move(figure.panes[static_cast<std::size_t>(plan_.only) - 1]);
            figure.panes.clear();
            figure.panes.push_back(std::move(shown));
        }
        figure.columns = plan_.columns;
        figure.columnLabels = plan_.columnLabels;
        figure.rowLabels = plan_.rowLabels;
        figure.title = plan_.title;
        figure.paneWidth = plan_.paneWidth;
        figure.look = plan_.look;
        if (plan_.notes) addNotes(figure);
        if (data_ != nullptr) {
            LOFTSCOPE_CHECK(completeAttention());
            data_->bases = bases_;
            for (const auto& [pick, pixel] : picks_)
                data_->picks.push_back(pick);
            for (const auto& [key, weights] : attention_)
                if (key.second != noPick)
                    data_->attention.push_back({key.second, key.first, weights.cpu()});
        }
        return figure;
    }

private:
    /// Places of the panes, those last that subtract others.
    std::vector<std::size_t> order() const {
        std::vector<std::size_t> places;
        for (const bool subtracting : {false, true})
            for (std::size_t i = 0; i < panes_.size(); ++i)
                if ((panes_[i].view.subtrahend > 0) == subtracting) places.push_back(i);
        return places;
    }

    /// For the numbers: of every pick what a pane shows of one.
    Result<void> completeAttention() {
        for (const PlannedPane& pane : panes_) {
            PaneView view = pane.view;
            for (std::size_t i = 0; i < picks_.size(); ++i) {
                view.pick = static_cast<int>(i) + 1;
                if (view.kind == Kind::Attention) {
                    LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(view.method));
                    LOFTSCOPE_CHECK(attentionOf(view, *field));
                } else if (view.kind == Kind::SelfAttention && !view.ofClassToken) {
                    LOFTSCOPE_CHECK(selfAttentionOf(view));
                }
            }
        }
        return {};
    }

    /// Panes that leave the method open show the last one.
    Result<void> nameEveryMethod() {
        for (PlannedPane& pane : panes_) {
            PaneView& view = pane.view;
            const bool named =
                view.kind == Kind::Image || view.kind == Kind::SelfAttention || view.subtrahend > 0;
            if (!named && view.method.empty())
                view.method = methods_.empty() ? "lowres" : methods_.back().key;
            for (const std::string& key : {view.method, view.other}) {
                if (key.empty() || key == "lowres" || methodOf(key) != nullptr) continue;
                return fail(ErrorCode::InvalidArgument,
                            fmt::format("The pane '{0}' needs the method {1}: add --upsampler {1}.",
                                        textOf(view), key));
            }
        }
        return {};
    }

    Result<void> collectPicks() {
        for (const PlannedPick& pick : plan_.picks) {
            LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(scene_, pick.at));
            picks_.push_back({pick, pixel});
        }
        for (PlannedPane& pane : panes_) {
            PaneView& view = pane.view;
            if (!asksAboutPixel(view)) continue;
            if (view.pixel) {
                const auto known = std::ranges::find(
                    picks_, *view.pixel, [](const auto& each) { return each.first.at; });
                view.pick = static_cast<int>(known - picks_.begin()) + 1;
                if (known != picks_.end()) continue;
                LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(scene_, *view.pixel));
                picks_.push_back(
                    {{*view.pixel, std::to_string(picks_.size() + 1), colorOfPick(picks_.size())},
                     pixel});
                continue;
            }
            if (view.pick == 0) view.pick = plan_.activePick;
            if (view.pick < 1 || view.pick > static_cast<int>(plan_.picks.size()))
                return fail(
                    ErrorCode::InvalidArgument,
                    plan_.picks.empty()
                        ? fmt::format("The pane '{0}' needs a pixel: write {0}@x,y, or pick one "
                                      "with --pick x,y.",
                                      textOf(paneWithoutPick(view)))
                        : fmt::format("The pane '{}' asks for pick {}, but there are {}.",
                                      textOf(view), view.pick, plan_.picks.size()));
        }
        return {};
    }

    static PaneView paneWithoutPick(PaneView view) {
        view.pick = 0;
        return view;
    }

    Result<FigurePane> paneAt(std::size_t index) {
        const PaneView& view = panes_[index].view;
        context_.throwIfStopped();
        switch (view.kind) {
        case Kind::Image:
            return imagePane();
        case Kind::Features:
            return featuresPane(view, index);
        case Kind::Attention:
            return attentionPane(view, index);
        case Kind::SelfAttention:
            return selfAttentionPane(view, index);
        case Kind::Similarity:
            return similarityPane(view, index);
        case Kind::Text:
            return textPane(view, index);
        case Kind::Norm:
            return normPane(view, index);
        case Kind::Difference:
            return differencePane(view, index);
        }
        return fail(ErrorCode::Internal, "Unknown kind of pane.");
    }

    Result<FigurePane> imagePane() const {
        if (scene_.picture.empty())
            return fail(ErrorCode::InvalidArgument,
                        "There is no picture to show: give --image or --guidance.");
        FigurePane pane;
        pane.picture = scene_.picture;
        pane.title = "Image";
        pane.subtitle = sizeOf(scene_.picture.extent());
        pane.smooth = true;
        return pane;
    }

    void keep(const PaneView& view, std::size_t index, const at::Tensor& values,
              const std::string& unit, const std::string& basis = {}) {
        if (data_ == nullptr) return;
        const std::string text = textOf(view);
        FigureData::Map map;
        map.name = dataName(index + 1, text);
        map.values = values.cpu().to(at::kFloat).contiguous();
        map.unit = unit;
        map.pane = text;
        map.basis = basis;
        if (asksAboutPixel(view)) {
            const Pixel at = picks_[placeOf(view)].first.at;
            map.pick = fmt::format("{},{}", at.x, at.y);
        }
        for (const std::string& method : {view.method, view.other})
            if (!method.empty()) map.methods.push_back(method);
        data_->maps.push_back(std::move(map));
    }

    /// A pane of one number per pixel, with its colour bar.
    FigurePane scalarPane(const PaneView& view, std::size_t index, ScalarMap map, std::string title,
                          std::string subtitle) {
        FigurePane pane;
        pane.picture = scalarPicture(map.values, map.range, view, scene_.picture);
        pane.smooth = view.smooth;
        pane.title = std::move(title);
        pane.subtitle = std::move(subtitle);
        if (view.kind != Kind::Features) keep(view, index, map.values, map.unit);
        pane.bar = ColorBar{view.map, map.range.low, map.range.high, map.unit, view.reversed};
        maps_[index] = std::move(map);
        return pane;
    }

    Result<FigurePane> featuresPane(const PaneView& view, std::size_t index) {
        LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(view.method));
        LOFTSCOPE_TRY(const PcaBasis* const basis, basisOf(view, *field));
        LOFTSCOPE_TRY(const at::Tensor scores,
                      projectField(*basis, *field, request_.tile, context_));
        const std::int64_t highest = componentsOf({{view, {}, {}}}) - 1;
        if (highest >= scores.size(0))
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The pane '{}' asks for component {}, but there are components "
                                    "0 to {}.",
                                    textOf(view), highest, scores.size(0) - 1));
        shownPca_ = true;
        keep(view, index, scores, "score", basisKey(basisNameOf(view), view.method));
        double shown = 0;
        const std::vector<int> components =
            view.component ? std::vector<int>{*view.component}
                           : std::vector<int>(view.components.begin(), view.components.end());
        for (const int component : components)
            shown += basis->variances[component].item<double>();
        shown /= std::max(basis->totalVariance, 1e-300);
        const bool own = view.basis == "own" || !lockedOrOther(view);
        const std::string basisName =
            own ? "own"
            : view.basis.starts_with(basisFilePrefix)
                ? std::filesystem::path(view.basis.substr(basisFilePrefix.size()))
                      .filename()
                      .string()
            : view.basis == "lowres" ? "low-res"
                                     : view.basis;
        const std::string subtitle =
            fmt::format("{}{}, {}, {} basis{}", sizeOf(field->extent()), precisionText(view.method),
                        componentsText(view), basisName,
                        own ? fmt::format(" ({:.0f} % of variance)", shown * 100) : "");
        if (view.component) {
            at::Tensor score = scores[*view.component];
            PaneView::Span range = rangeOfMap(score, view); // before the flip, as those of colours
            if (std::ranges::find(view.flipped, *view.component) != view.flipped.end()) {
                score = -score;
                range = {-range.high, -range.low};
            }
            return scalarPane(
                view, index,
                {score, range, fmt::format("score of component {}", *view.component + 1)},
                featureTitle(view.method), subtitle);
        }
        FigurePane pane;
        pane.picture = scoresPicture(scores, basis->variances, view, scene_.picture);
        pane.smooth = view.smooth;
        pane.title = featureTitle(view.method);
        pane.subtitle = subtitle;
        return pane;
    }

    /// True unless the basis is locked and there is none for the method.
    bool lockedOrOther(const PaneView& view) const {
        return view.basis != "locked" || request_.lockedBases.contains(view.method);
    }

    std::string basisNameOf(const PaneView& view) const {
        return lockedOrOther(view) ? view.basis : "own";
    }

    Result<const PcaBasis*> basisOf(const PaneView& view, const FeatureField& field) {
        const std::string name = basisNameOf(view);
        const std::string key = basisKey(name, view.method);
        if (const auto known = bases_.find(key); known != bases_.end()) return &known->second;
        PcaBasis basis;
        if (name == "locked") {
            basis = request_.lockedBases.at(view.method);
            LOFTSCOPE_CHECK(checkLockedBasis(basis, field.channels(), titleOfMethod(view.method)));
        } else if (name.starts_with(basisFilePrefix)) {
            LOFTSCOPE_TRY(basis, readPcaBasis(view.basis.substr(basisFilePrefix.size())));
        } else {
            std::vector<PcaSource> sources{{&field, titleOfMethod(view.method)}};
            if (view.basis == "lowres") sources = {{low_.get(), "low-res"}};
            if (view.basis == "shared") {
                sources.clear();
                std::vector<std::string> sharers;
                for (const PlannedPane& pane : panes_)
                    if (pane.view.kind == Kind::Features && pane.view.basis == "shared" &&
                        std::ranges::find(sharers, pane.view.method) == sharers.end())
                        sharers.push_back(pane.view.method);
                for (const std::string& method : sharers) {
                    LOFTSCOPE_TRY(const FeatureField* const sharer, fieldOf(method));
                    sources.push_back({sharer, titleOfMethod(method)});
                }
            }
            LOFTSCOPE_TRY(basis, fitPca(sources, std::min(components_, scene_.low.channels()),
                                        request_.tile, context_));
        }
        return &bases_.emplace(key, std::move(basis)).first->second;
    }

    Result<FigurePane> attentionPane(const PaneView& view, std::size_t index) {
        if (view.method == "lowres")
            return fail(ErrorCode::InvalidArgument,
                        "Low-res features attend to nothing but themselves: choose an upsampler.");
        LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(view.method));
        LOFTSCOPE_TRY(const at::Tensor* const attention, attentionOf(view, *field));
        return weightsPane(view, index, *attention, "block",
                           fmt::format("Attention of {}", picks_[placeOf(view)].first.label),
                           titleOfMethod(view.method));
    }

    Result<const at::Tensor*> attentionOf(const PaneView& view, const FeatureField& field) {
        const auto key = std::pair{view.method, placeOf(view)};
        if (const auto known = attention_.find(key); known != attention_.end())
            return &known->second;
        const Pixel pixel = picks_[placeOf(view)].second;
        LOFTSCOPE_TRY(const std::optional<at::Tensor> attention,
                      guarded("computing attention",
                              [&] { return field.attend(fieldPixel(scene_, field, pixel)); }));
        if (!attention)
            return fail(
                ErrorCode::Unsupported,
                fmt::format("The method {} has no weights over the low-res grid.", view.method));
        return &attention_.emplace(key, *attention).first->second;
    }

    Result<FigurePane> selfAttentionPane(const PaneView& view, std::size_t index) {
        if (!scene_.backbone)
            return fail(ErrorCode::InvalidArgument,
                        "Self-attention needs a backbone: give --backbone instead of --features.");
        LOFTSCOPE_TRY(const at::Tensor attention, selfAttentionOf(view));
        return weightsPane(view, index, attention, "layer",
                           view.ofClassToken ? std::string("Self-attention of CLS")
                                             : fmt::format("Self-attention of {}",
                                                           picks_[placeOf(view)].first.label),
                           "");
    }

    Result<at::Tensor> selfAttentionOf(const PaneView& view) {
        BackboneTaps taps;
        taps.attention = true;
        const auto key = std::pair{std::string(), view.ofClassToken ? noPick : placeOf(view)};
        if (const auto known = attention_.find(key); known != attention_.end())
            return known->second;
        if (!view.ofClassToken) taps.query = tokenOfPixel(scene_, picks_[placeOf(view)].second);
        LOFTSCOPE_TRY(const BackboneOutput output,
                      scene_.backbone->run(scene_.input, taps, context_));
        return attention_.emplace(key, output.attention).first->second;
    }

    /// `weights`: blocks x heads x h x w.
    FigurePane weightsPane(const PaneView& view, std::size_t index, const at::Tensor& weights,
                           std::string_view blockWord, const std::string& what,
                           const std::string& method) {
        const std::int64_t blocks = weights.size(0);
        const std::int64_t heads = weights.size(1);
        const auto block = std::min<std::int64_t>(view.block, blocks - 1);
        const auto head = std::min<std::int64_t>(view.head, heads - 1);
        at::Tensor map = block < 0 ? weights.mean(0) : weights[block];
        map = (head < 0 ? map.mean(0) : map[head]).cpu();
        const AttentionStatistics statistics = attentionStatistics(map);
        std::string subtitle;
        if (blocks * heads > 1) {
            subtitle = block < 0 ? fmt::format("mean of {} {}s, ", blocks, blockWord)
                                 : fmt::format("{} {} of {}, ", blockWord, block + 1, blocks);
            subtitle += head < 0 ? fmt::format("mean of {} heads, ", heads)
                                 : fmt::format("head {} of {}, ", head + 1, heads);
        }
        subtitle += fmt::format("entropy {:.1f} bit", statistics.entropyBits);
        PaneView::Span range = rangeOfMap(map, view);
        // Weights begin at none, so that dark means nothing.
        if (view.ranges.empty() && view.lowPercent == 0 && range.low >= 0) range.low = 0;
        std::string title = what;
        if (head >= 0) title += fmt::format(", head {}", head + 1);
        if (!method.empty()) title += ", " + method;
        return scalarPane(view, index, {map, range, "share of attention"}, title, subtitle);
    }

    Result<FigurePane> similarityPane(const PaneView& view, std::size_t index) {
        LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(view.method));
        const Pixel pixel = picks_[placeOf(view)].second;
        LOFTSCOPE_TRY(const at::Tensor map,
                      similarityMap(*field,
                                    view.method == "lowres" ? tokenOfPixel(scene_, pixel)
                                                            : fieldPixel(scene_, *field, pixel),
                                    request_.tile, context_));
        PaneView::Span range = rangeOfMap(map, view);
        if (view.ranges.empty() && view.highPercent == 100 && view.map != ColorMap::BlueRed)
            range.high = std::max(range.low, 1.0);
        return scalarPane(view, index, {map, range, "cosine similarity"},
                          fmt::format("Similarity to {}, {}", picks_[placeOf(view)].first.label,
                                      titleOfMethod(view.method)),
                          sizeOf(field->extent()) + precisionText(view.method));
    }

    Result<FigurePane> textPane(PaneView view, std::size_t index) {
        if (view.text.empty() && !plan_.texts.empty()) view.text = plan_.texts.front();
        if (view.text.empty())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The pane '{0}' needs a text: write {0};query=a dog, or give "
                                    "--text.",
                                    textOf(view)));
        LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(view.method));
        LOFTSCOPE_TRY(const at::Tensor map, guarded("comparing with the text", [&] {
                          return textMap(scene_, *field, view.text, walk("comparing with the text"),
                                         context_);
                      }));
        if (const auto warning = textWarning(view.method);
            warning && std::ranges::find(warnings_, *warning) == warnings_.end())
            warnings_.push_back(*warning);
        return scalarPane(view, index, {map, rangeOfMap(map, view), "cosine similarity"},
                          fmt::format("“{}”, {}", view.text, titleOfMethod(view.method)),
                          sizeOf(field->extent()) + precisionText(view.method));
    }

    FieldWalk walk(std::string_view stage) const {
        return [this, stage](const FeatureField& field,
                             const std::function<void(const Rect&, const at::Tensor&)>& each) {
            forEachTile(field, wholeOf(field.extent()), request_.tile, stage, context_, each);
        };
    }

    Result<FigurePane> normPane(const PaneView& view, std::size_t index) {
        LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(view.method));
        LOFTSCOPE_TRY(const at::Tensor map, guarded("computing norms", [&] {
                          return normMap(*field, walk("computing norms"));
                      }));
        return scalarPane(view, index, {map, rangeOfMap(map, view), "feature norm"},
                          "Norm, " + titleOfMethod(view.method),
                          sizeOf(field->extent()) + precisionText(view.method));
    }

    Result<FigurePane> differencePane(const PaneView& view, std::size_t index) {
        if (view.subtrahend > 0) return paneDifference(view, index);
        LOFTSCOPE_TRY(const FeatureField* field, fieldOf(view.method));
        LOFTSCOPE_TRY(const FeatureField* other, fieldOf(view.other));
        return distancePane(view, index, *field, *other);
    }

    Result<FigurePane> distancePane(const PaneView& view, std::size_t index,
                                    const FeatureField& field, const FeatureField& other) {
        LOFTSCOPE_TRY(const at::Tensor map, guarded("comparing features", [&] {
                          return cosineDistanceMap(field, other, walk("comparing features"));
                      }));
        return scalarPane(
            view, index, {map, rangeOfMap(map, view), "1 \u2212 cosine"},
            fmt::format("{} \u2013 {}", titleOfMethod(view.method), titleOfMethod(view.other)),
            sizeOf(field.extent()));
    }

    Result<FigurePane> paneDifference(const PaneView& view, std::size_t index) {
        const auto check = [&](int place) -> Result<std::size_t> {
            if (place < 1 || static_cast<std::size_t>(place) > panes_.size() ||
                static_cast<std::size_t>(place) == index + 1)
                return fail(ErrorCode::InvalidArgument,
                            fmt::format("The pane '{}' can only subtract other panes, 1 to {}.",
                                        textOf(view), panes_.size()));
            return static_cast<std::size_t>(place) - 1;
        };
        LOFTSCOPE_TRY(const std::size_t first, check(view.minuend));
        LOFTSCOPE_TRY(const std::size_t second, check(view.subtrahend));
        const PaneView& a = panes_[first].view;
        const PaneView& b = panes_[second].view;
        if (a.kind == Kind::Features && b.kind == Kind::Features && !(a.component && b.component)) {
            PaneView distance = view;
            distance.method = a.method;
            distance.other = b.method;
            LOFTSCOPE_TRY(const FeatureField* field, fieldOf(a.method));
            LOFTSCOPE_TRY(const FeatureField* other, fieldOf(b.method));
            return distancePane(distance, index, *field, *other);
        }
        if (!maps_[first] || !maps_[second])
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("The pane '{}' needs two feature panes or two maps of one "
                                    "number per pixel.",
                                    textOf(view)));
        const at::Tensor& x = maps_[first]->values;
        const at::Tensor& y = maps_[second]->values;
        const Extent extent{std::max(x.size(0), y.size(0)), std::max(x.size(1), y.size(1))};
        const auto enlarged = [&](const at::Tensor& map) {
            return at::upsample_nearest2d(map.unsqueeze(0).unsqueeze(0),
                                          {extent.height, extent.width})[0][0];
        };
        const at::Tensor map = enlarged(x) - enlarged(y);
        return scalarPane(view, index, {map, rangeOfMap(map, view), maps_[first]->unit},
                          fmt::format("Pane {} \u2212 pane {}", view.minuend, view.subtrahend),
                          sizeOf(extent));
    }

    const ComparedMethod* methodOf(const std::string& key) const {
        const auto found = std::ranges::find(methods_, key, &ComparedMethod::key);
        return found == methods_.end() ? nullptr : &*found;
    }

    std::string titleOfMethod(const std::string& key) const {
        const ComparedMethod* const method = methodOf(key);
        return method == nullptr ? std::string("low-res") : titleOf(*method->upsampler.model);
    }

    std::string featureTitle(const std::string& key) const {
        return key == "lowres" ? std::string("Low-res features") : titleOfMethod(key);
    }

    /// Reduced precision is said wherever it is seen.
    std::string precisionText(const std::string& key) const {
        const ComparedMethod* const method = methodOf(key);
        return method == nullptr || method->upsampler.precision == Precision::Fp32
                   ? std::string()
                   : ", " + nameOf(method->upsampler.precision);
    }

    Result<const FeatureField*> fieldOf(const std::string& key) {
        if (key == "lowres") return low_.get();
        if (const auto found = fields_.find(key); found != fields_.end())
            return found->second.get();
        LOFTSCOPE_TRY(auto field, bindField(scene_, *methodOf(key)->upsampler.model, context_));
        // PCA walks over a field twice, similarity once more: what fits is kept.
        field = makeCachedField(std::move(field), cacheBytes);
        return fields_.emplace(key, std::move(field)).first->second.get();
    }

    static constexpr auto noPick = std::numeric_limits<std::size_t>::max();

    static std::size_t placeOf(const PaneView& view) {
        return static_cast<std::size_t>(view.pick) - 1;
    }

    /// A rectangle of the photo in pixels of the guidance.
    Result<std::optional<Rect>> guidanceRect(const std::optional<Rect>& given) const {
        if (!given) return std::optional<Rect>();
        LOFTSCOPE_TRY(const Pixel first, guidancePixel(scene_, {given->x, given->y}));
        LOFTSCOPE_TRY(const Pixel last,
                      guidancePixel(scene_, {given->right() - 1, given->bottom() - 1}));
        return std::optional(Rect{first.x, first.y, last.x + 1 - first.x, last.y + 1 - first.y});
    }

    Result<std::vector<Inset>> insetsWithin(const Rect& shown) const {
        constexpr std::size_t most = 3;
        if (plan_.insets.size() > most)
            return fail(
                ErrorCode::InvalidArgument,
                fmt::format("A figure has room for {} insets, not {}.", most, plan_.insets.size()));
        std::vector<Inset> insets;
        for (const PlannedInset& planned : plan_.insets) {
            LOFTSCOPE_TRY(const std::optional<Rect> part, guidanceRect(planned.part));
            if (part->x < shown.x || part->y < shown.y || part->right() > shown.right() ||
                part->bottom() > shown.bottom())
                return fail(ErrorCode::InvalidArgument,
                            fmt::format("The inset {},{},{},{} is not inside the crop.",
                                        planned.part.x, planned.part.y, planned.part.width,
                                        planned.part.height));
            const auto width = static_cast<double>(shown.width);
            const auto height = static_cast<double>(shown.height);
            Inset inset{.x = static_cast<double>(part->x - shown.x) / width,
                        .y = static_cast<double>(part->y - shown.y) / height,
                        .width = static_cast<double>(part->width) / width,
                        .height = static_cast<double>(part->height) / height,
                        .share = planned.share,
                        .color = planned.color};
            inset.corner = planned.corner.value_or(cornerFor(inset, insets));
            insets.push_back(inset);
        }
        return insets;
    }

    std::vector<Marker> markersWithin(const Rect& shown) const {
        std::vector<Marker> markers;
        for (const auto& [pick, pixel] : picks_) {
            const double x =
                (static_cast<double>(pixel.x - shown.x) + 0.5) / static_cast<double>(shown.width);
            const double y =
                (static_cast<double>(pixel.y - shown.y) + 0.5) / static_cast<double>(shown.height);
            if (x > 0 && x < 1 && y > 0 && y < 1) markers.push_back({x, y, pick.label, pick.color});
        }
        return markers;
    }

    void addNotes(FigureSpec& figure) const {
        std::string models;
        const auto add = [&](const ModelProvenance& model) {
            models +=
                fmt::format("{}{}: {} ({}, SHA-256 {}...)", models.empty() ? "" : "; ", model.role,
                            model.name, model.path.filename().string(), model.sha256.substr(0, 12));
        };
        for (const ModelProvenance& model : scene_.models)
            add(model);
        for (const ComparedMethod& method : methods_)
            if (method.upsampler.provenance) add(*method.upsampler.provenance);
        if (!models.empty()) figure.notes.push_back(models + ".");
        std::ranges::copy(scene_.notes, std::back_inserter(figure.notes));
        std::ranges::copy(scene_.warnings, std::back_inserter(figure.notes));
        std::ranges::copy(warnings_, std::back_inserter(figure.notes));
        if (shownPca_) {
            const bool own = std::ranges::any_of(panes_, [&](const PlannedPane& pane) {
                return pane.view.kind == Kind::Features && pane.view.basis == "own";
            });
            figure.notes.push_back(
                own ? "PCA colours are arbitrary: each map has its own basis, scaled from its 1st "
                      "to its 99th percentile; compare shapes, not colours, between maps."
                    : "PCA colours: the basis is named above each map; LoftUp does not stay in the "
                      "backbone's feature space, so that its colours need not agree.");
        }
        for (const auto& [pick, pixel] : picks_)
            figure.notes.push_back(fmt::format("Pixel {}: ({}, {}) of the picture as given.",
                                               pick.label, pick.at.x, pick.at.y));
        if (plan_.crop)
            figure.notes.push_back(fmt::format("Shown is the part of {} x {} pixels at ({}, {}) of "
                                               "the picture as given.",
                                               plan_.crop->width, plan_.crop->height, plan_.crop->x,
                                               plan_.crop->y));
    }

    const Scene& scene_;
    const std::vector<ComparedMethod>& methods_;
    const ComparisonRequest& request_;
    const FigurePlan& plan_;
    const RunContext& context_;
    FigureData* data_;
    std::vector<PlannedPane> panes_;
    std::int64_t components_;
    std::unique_ptr<FeatureField> low_;
    std::map<std::string, std::unique_ptr<FeatureField>> fields_;
    std::map<std::string, PcaBasis> bases_;
    std::map<std::pair<std::string, std::size_t>, at::Tensor> attention_;
    std::vector<std::pair<PlannedPick, Pixel>> picks_; // with the guidance's pixel
    std::vector<std::optional<ScalarMap>> maps_;       // of the panes that have one
    std::vector<std::string> warnings_;                ///< of panes
    bool shownPca_ = false;
};

} // namespace

std::int64_t componentsOf(const std::vector<PlannedPane>& panes) {
    int highest = 2;
    for (const PlannedPane& pane : panes) {
        const PaneView& view = pane.view;
        if (view.kind != Kind::Features) continue;
        if (view.mask) highest = std::max(highest, view.mask->component);
        if (view.component) {
            highest = std::max(highest, *view.component);
        } else {
            highest = std::max(highest, std::ranges::max(view.components));
        }
    }
    return highest + 1;
}

std::vector<PlannedPane> panesOf(const FigurePlan& plan,
                                 const std::vector<ComparedMethod>& methods) {
    if (!plan.panes.empty()) return plan.panes;
    std::vector<PlannedPane> panes{{paneOf(Kind::Image), {}, {}},
                                   {paneOf(Kind::Features, "lowres"), {}, {}}};
    for (const ComparedMethod& method : methods)
        panes.push_back({paneOf(Kind::Features, method.key), {}, {}});
    std::vector<std::string> keys;
    for (const ComparedMethod& method : methods)
        keys.push_back(method.key);
    std::ranges::move(textPanes(plan.texts, keys), std::back_inserter(panes));
    return panes;
}

Result<FigureSpec> compareMethods(const Scene& scene, const std::vector<ComparedMethod>& methods,
                                  const ComparisonRequest& request, const RunContext& context,
                                  FigureData* data) {
    return guarded("computing the figure",
                   [&] { return Comparison(scene, methods, request, context, data).run(); });
}

void appendRow(FigureSpec& figure, FigureSpec row, const FigurePlan& plan,
               const std::string& name) {
    const auto index = static_cast<std::size_t>(
        figure.panes.empty() ? 0
                             : figure.panes.size() / std::max<std::size_t>(row.panes.size(), 1));
    const bool first = figure.panes.empty();
    std::vector<std::string> titles;
    for (FigurePane& pane : row.panes) {
        titles.push_back(pane.title);
        if (!plan.titles) pane.title.clear();
    }
    std::vector<FigurePane> panes = std::move(figure.panes);
    std::vector<std::string> notes = std::move(figure.notes);
    std::vector<std::string> rows = std::move(figure.rowLabels);
    if (first) {
        rows.clear();
        figure = row;
        figure.panes.clear();
        figure.notes.clear();
        figure.columns = static_cast<int>(row.panes.size());
        if (plan.columnLabels.empty() && !plan.titles) figure.columnLabels = titles;
    }
    std::ranges::move(row.panes, std::back_inserter(panes));
    for (std::string& note : row.notes)
        if (std::ranges::find(notes, note) == notes.end()) notes.push_back(std::move(note));
    rows.push_back(index < plan.rowLabels.size() ? plan.rowLabels[index] : name);
    figure.panes = std::move(panes);
    figure.notes = std::move(notes);
    figure.rowLabels = std::move(rows);
}

} // namespace loftscope
