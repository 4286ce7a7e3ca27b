// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/comparison.h"

#include "core/analysis/attention_statistics.h"
#include "core/analysis/map_picture.h"
#include "core/analysis/pca.h"
#include "core/analysis/pca_picture.h"
#include "core/analysis/similarity.h"
#include "core/base/guard.h"
#include "core/upsample/cached_field.h"
#include "core/upsample/interpolation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

namespace loftscope {

namespace {

/// Distinguishable for colour-blind readers (Okabe and Ito), bright enough on any picture.
constexpr std::array<std::array<std::uint8_t, 3>, 6> pickColors{
    {{230, 159, 0}, {86, 180, 233}, {0, 158, 115}, {240, 228, 66}, {204, 121, 167}, {213, 94, 0}}};

/// Per method; a 448 x 672 map of 384 channels takes 462 MB.
constexpr std::size_t cacheBytes = std::size_t{512} << 20U;

std::string sizeOf(const Extent& extent) {
    return fmt::format("{} x {}", extent.width, extent.height);
}

class Comparison {
public:
    Comparison(const Scene& scene, const std::vector<ComparedMethod>& methods,
               const ComparisonRequest& request, const RunContext& context)
        : scene_(scene)
        , methods_(methods)
        , request_(request)
        , context_(context)
        , low_(makeGridField(scene.low)) {}

    Result<FigureSpec> run() {
        FigureSpec figure;
        for (const PaneRequest& pane : request_.panes) {
            LOFTSCOPE_TRY(FigurePane made, paneOf(pane));
            figure.panes.push_back(std::move(made));
        }
        for (FigurePane& pane : figure.panes)
            pane.markers = markers_;
        LOFTSCOPE_TRY(const std::vector<Inset> insets, insetsOf(request_.insets));
        for (FigurePane& pane : figure.panes)
            pane.insets = insets;
        addNotes(figure);
        return figure;
    }

private:
    Result<FigurePane> paneOf(const PaneRequest& request) {
        switch (request.kind) {
        case PaneRequest::Kind::Image:
            return imagePane();
        case PaneRequest::Kind::LowRes:
            return pcaPane(*low_, "Low-res features");
        case PaneRequest::Kind::Method: {
            LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(request.method));
            return pcaPane(*field, titleOf(*methodOf(request.method)->upsampler.model));
        }
        case PaneRequest::Kind::Attention:
            return attentionPane(request);
        case PaneRequest::Kind::Similarity:
            return similarityPane(request);
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

    Result<FigurePane> pcaPane(const FeatureField& field, const std::string& title) {
        if (!lowBasis_ && request_.basis == BasisChoice::LowRes) {
            LOFTSCOPE_TRY(lowBasis_, fitPca(std::array{PcaSource{low_.get(), "low-res"}}, 3,
                                            request_.tile, context_));
        }
        PcaBasis basis;
        if (lowBasis_) {
            basis = *lowBasis_;
        } else {
            LOFTSCOPE_TRY(basis,
                          fitPca(std::array{PcaSource{&field, title}}, 3, request_.tile, context_));
        }
        LOFTSCOPE_TRY(const at::Tensor scores, projectField(basis, field, request_.tile, context_));
        FigurePane pane;
        LOFTSCOPE_TRY(pane.picture, pcaPicture(scores, basis, PcaDisplay{}));
        pane.title = title;
        const double shown = basis.variances.slice(0, 0, 3).sum().item<double>() /
                             std::max(basis.totalVariance, 1e-300);
        const bool own = request_.basis == BasisChoice::Own;
        pane.subtitle =
            fmt::format("{}, PCA 1-3, {} basis{}", sizeOf(field.extent()), own ? "own" : "low-res",
                        own ? fmt::format(" ({:.0f} % of variance)", shown * 100) : "");
        shownPca_ = true;
        return pane;
    }

    Result<FigurePane> attentionPane(const PaneRequest& request) {
        LOFTSCOPE_TRY(const Pixel pixel, pick(request.pixel));
        const std::string key = request.method.empty() ? lastMethod() : request.method;
        LOFTSCOPE_TRY(const FeatureField* const field, fieldOf(key));
        LOFTSCOPE_TRY(const std::optional<at::Tensor> attention,
                      guarded("computing attention",
                              [&] { return field->attend(fieldPixel(scene_, *field, pixel)); }));
        if (!attention)
            return fail(ErrorCode::Unsupported,
                        fmt::format("The method {} has no weights over the low-res grid.", key));
        const std::int64_t blocks = attention->size(0);
        const std::int64_t heads = attention->size(1);
        const at::Tensor map = (*attention)[blocks - 1].mean(0);
        const AttentionStatistics statistics = attentionStatistics(map);
        FigurePane pane;
        pane.picture = mapPicture(map, 0, statistics.peak, ColorMap::Viridis);
        pane.title = fmt::format("Attention of {}, {}", markers_[pickNumber(request.pixel)].label,
                                 methodOf(key)->upsampler.model->name());
        pane.subtitle = heads > 1
                            ? fmt::format("block {} of {}, mean of {} heads, entropy {:.1f} bit",
                                          blocks, blocks, heads, statistics.entropyBits)
                            : fmt::format("entropy {:.1f} bit", statistics.entropyBits);
        pane.bar = ColorBar{ColorMap::Viridis, 0, statistics.peak, "share of attention"};
        return pane;
    }

    Result<FigurePane> similarityPane(const PaneRequest& request) {
        LOFTSCOPE_TRY(const Pixel pixel, pick(request.pixel));
        const std::string key = request.method.empty() ? lastMethod() : request.method;
        const bool low = key == "lowres";
        const FeatureField* field = low_.get();
        if (!low) {
            LOFTSCOPE_TRY(field, fieldOf(key));
        }
        LOFTSCOPE_TRY(const at::Tensor map, similarityMap(*field,
                                                          low ? tokenOfPixel(scene_, pixel)
                                                              : fieldPixel(scene_, *field, pixel),
                                                          request_.tile, context_));
        const double lowest = map.min().item<double>();
        FigurePane pane;
        pane.picture = mapPicture(map, lowest, 1.0, ColorMap::Magma);
        pane.title = fmt::format("Similarity to {}, {}", markers_[pickNumber(request.pixel)].label,
                                 low ? "low-res" : methodOf(key)->upsampler.model->name());
        pane.subtitle = sizeOf(field->extent());
        pane.bar = ColorBar{ColorMap::Magma, lowest, 1.0, "cosine similarity"};
        return pane;
    }

    const ComparedMethod* methodOf(const std::string& key) const {
        const auto found = std::ranges::find(methods_, key, &ComparedMethod::key);
        return found == methods_.end() ? nullptr : &*found;
    }

    std::string lastMethod() const {
        return methods_.empty() ? std::string("lowres") : methods_.back().key;
    }

    Result<const FeatureField*> fieldOf(const std::string& key) {
        if (const auto found = fields_.find(key); found != fields_.end())
            return found->second.get();
        const ComparedMethod* const method = methodOf(key);
        if (method == nullptr) {
            return fail(
                ErrorCode::InvalidArgument,
                fmt::format("The pane '{0}' needs the method {0}: add --upsampler {0}.", key));
        }
        LOFTSCOPE_TRY(auto field, bindField(scene_, *method->upsampler.model, context_));
        // PCA walks over a field twice, similarity once more: what fits is kept.
        field = makeCachedField(std::move(field), cacheBytes);
        return fields_.emplace(key, std::move(field)).first->second.get();
    }

    std::size_t pickNumber(const Pixel& given) const {
        return static_cast<std::size_t>(std::ranges::find(picks_, given) - picks_.begin());
    }

    /// The guidance's pixel of a pick, which is numbered and marked when it is new.
    Result<Pixel> pick(const Pixel& given) {
        LOFTSCOPE_TRY(const Pixel pixel, guidancePixel(scene_, given));
        if (pickNumber(given) == picks_.size()) {
            picks_.push_back(given);
            Marker marker;
            marker.x = (static_cast<double>(pixel.x) + 0.5) /
                       static_cast<double>(scene_.guidance.extent.width);
            marker.y = (static_cast<double>(pixel.y) + 0.5) /
                       static_cast<double>(scene_.guidance.extent.height);
            marker.label = std::to_string(picks_.size());
            marker.color = pickColors[(picks_.size() - 1) % pickColors.size()];
            markers_.push_back(marker);
        }
        return pixel;
    }

    Result<std::vector<Inset>> insetsOf(const std::vector<Rect>& given) const {
        constexpr std::array<std::array<std::uint8_t, 3>, 3> colors{
            {{255, 196, 0}, {0, 200, 255}, {255, 96, 208}}};
        if (given.size() > colors.size())
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("A figure has room for {} insets, not {}.", colors.size(),
                                    given.size()));
        std::vector<Inset> insets;
        for (const Rect& rect : given) {
            LOFTSCOPE_TRY(const Pixel first, guidancePixel(scene_, {rect.x, rect.y}));
            LOFTSCOPE_TRY(const Pixel last,
                          guidancePixel(scene_, {rect.right() - 1, rect.bottom() - 1}));
            const auto width = static_cast<double>(scene_.guidance.extent.width);
            const auto height = static_cast<double>(scene_.guidance.extent.height);
            Inset inset{.x = static_cast<double>(first.x) / width,
                        .y = static_cast<double>(first.y) / height,
                        .width = static_cast<double>(last.x + 1 - first.x) / width,
                        .height = static_cast<double>(last.y + 1 - first.y) / height,
                        .color = colors[insets.size()]};
            inset.corner = cornerFor(inset, insets);
            insets.push_back(inset);
        }
        return insets;
    }

    void addNotes(FigureSpec& figure) const {
        std::string models;
        for (const ModelProvenance& model : scene_.models)
            models +=
                fmt::format("{}{}: {} ({}, SHA-256 {}...)", models.empty() ? "" : "; ", model.role,
                            model.name, model.path.filename().string(), model.sha256.substr(0, 12));
        for (const ComparedMethod& method : methods_) {
            if (!method.upsampler.provenance) continue;
            const ModelProvenance& model = *method.upsampler.provenance;
            models += fmt::format("; {}: {} ({}, SHA-256 {}...)", model.role, model.name,
                                  model.path.filename().string(), model.sha256.substr(0, 12));
        }
        if (!models.empty()) figure.notes.push_back(models + ".");
        std::ranges::copy(scene_.notes, std::back_inserter(figure.notes));
        if (shownPca_) {
            figure.notes.push_back(
                request_.basis == BasisChoice::Own
                    ? "PCA colours are arbitrary: each map has its own basis, scaled from its 1st "
                      "to its 99th percentile; compare shapes, "
                      "not colours, between maps."
                    : "PCA colours: one basis, fitted on the low-res features; LoftUp does not "
                      "stay in the backbone's feature space, so that "
                      "its colours need not agree.");
        }
        for (std::size_t i = 0; i < picks_.size(); ++i)
            figure.notes.push_back(fmt::format("Pixel {}: ({}, {}) of the picture as given.", i + 1,
                                               picks_[i].x, picks_[i].y));
    }

    const Scene& scene_;
    const std::vector<ComparedMethod>& methods_;
    const ComparisonRequest& request_;
    const RunContext& context_;
    std::unique_ptr<FeatureField> low_;
    std::map<std::string, std::unique_ptr<FeatureField>> fields_;
    std::optional<PcaBasis> lowBasis_;
    std::vector<Pixel> picks_;
    std::vector<Marker> markers_;
    bool shownPca_ = false;
};

} // namespace

Result<PaneRequest> parsePane(const std::string& text) {
    PaneRequest pane;
    const std::size_t at = text.find('@');
    std::string head = text.substr(0, at);
    if (const std::size_t colon = head.find(':'); colon != std::string::npos) {
        pane.method = head.substr(colon + 1);
        head = head.substr(0, colon);
    }
    const bool picked = head == "attention" || head == "similarity";
    if (picked != (at != std::string::npos)) {
        return fail(ErrorCode::InvalidArgument,
                    picked ? fmt::format("The pane '{0}' needs a pixel: write {0}@x,y.", text)
                           : fmt::format("The pane '{}' takes no pixel.", text));
    }
    if (picked) {
        const std::string place = text.substr(at + 1);
        const char* const end = place.data() + place.size();
        const auto x = std::from_chars(place.data(), end, pane.pixel.x);
        const bool comma = x.ec == std::errc() && x.ptr != end && *x.ptr == ',';
        const auto y = comma ? std::from_chars(x.ptr + 1, end, pane.pixel.y) : x;
        if (!comma || y.ec != std::errc() || y.ptr != end)
            return fail(
                ErrorCode::InvalidArgument,
                fmt::format("'{}' is not a pixel in the pane '{}': write x,y.", place, text));
        pane.kind =
            head == "attention" ? PaneRequest::Kind::Attention : PaneRequest::Kind::Similarity;
    } else if (head == "image") {
        pane.kind = PaneRequest::Kind::Image;
    } else if (head == "lowres") {
        pane.kind = PaneRequest::Kind::LowRes;
    } else {
        pane.kind = PaneRequest::Kind::Method;
        pane.method = head;
    }
    return pane;
}

Result<FigureSpec> compareMethods(const Scene& scene, const std::vector<ComparedMethod>& methods,
                                  const ComparisonRequest& request, const RunContext& context) {
    return Comparison(scene, methods, request, context).run();
}

} // namespace loftscope
