// SPDX-License-Identifier: Apache-2.0
#include "ui/window/window_figure.h"

#include "ui/render/layer_picture.h"
#include "ui/window/content_kinds.h"
#include "ui/window/window_text.h"

#include <QCoreApplication>

#include <algorithm>
#include <set>

namespace loftscope {

namespace {

/// `b` with A's side of the wipe in its place, on the finer of their grids.
Image wiped(const Image& a, const Image& b, const Wipe& wipe) {
    const Extent size = a.extent().area() > b.extent().area() ? a.extent() : b.extent();
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size.area()) * 3);
    std::uint8_t* to = pixels.data();
    for (std::int64_t y = 0; y < size.height; ++y) {
        for (std::int64_t x = 0; x < size.width; ++x, to += 3) {
            const std::int64_t along = wipe.edge == WipeEdge::Vertical ? x : y;
            const std::int64_t length = wipe.edge == WipeEdge::Vertical ? size.width : size.height;
            const bool before =
                static_cast<double>(along) + 0.5 < wipe.position * static_cast<double>(length);
            const Image& from = before ? a : b;
            std::copy_n(from.row(y * from.height() / size.height) +
                            3 * (x * from.width() / size.width),
                        3, to);
        }
    }
    return {size, std::move(pixels)};
}

std::optional<ColorBar> colorBarOf(const Layer& layer, const QString& unit) {
    if (layer.kind != LayerKind::Scalar && layer.kind != LayerKind::Difference) return std::nullopt;
    ColorBar bar;
    bar.map = layer.scalar.map;
    bar.low = static_cast<double>(layer.scalar.range.low);
    bar.high = std::max(bar.low, static_cast<double>(layer.scalar.range.high));
    bar.reversed = layer.scalar.reversed;
    bar.unit = unit.toStdString();
    return bar;
}

class Composer {
public:
    Composer(const PaneModel& model, const VisibleParts& visible, const FigureChoices& choices)
        : model_(model)
        , visible_(visible)
        , choices_(choices) {}

    std::optional<PaneDraft> draftOf(const PaneState& state) {
        const WorkspaceState& all = model_.state();
        const bool compared = state.id == all.selected && state.id != all.reference;
        const CompareMode compare = compared ? all.compare : CompareMode::Off;
        const PaneContent& content = model_.content(state.id);
        const QString reference = model_.content(all.reference).title;
        PaneDraft draft;
        draft.rest.title = content.title.toStdString();
        draft.layer = model_.layerOf(state.id);
        if (compare == CompareMode::Difference) {
            const Layer difference = model_.comparisonLayer();
            if (difference.kind != LayerKind::Empty) {
                draft.layer = difference;
                draft.rest.title =
                    windowText("%1 \u2212 %2").arg(content.title, reference).toStdString();
            }
        }
        const Box seen = visible_(state.id);
        const bool cut = choices_.part == FigurePart::VisiblePart;
        draft.part =
            intersectionOf(cut ? seen : boxOf(model_.photoExtent()), coveredPart(draft.layer));
        if (draft.part.empty()) return std::nullopt;
        if (compare == CompareMode::Wipe) {
            draft.reference = model_.layerOf(all.reference);
            draft.wipe = all.wipe;
            draft.rest.title = windowText("%1 | %2").arg(reference, content.title).toStdString();
        }
        if (choices_.details) draft.rest.subtitle = content.details.toStdString();
        if (choices_.colorBars) draft.rest.bar = colorBarOf(draft.layer, content.unit);
        if (choices_.picks) addPicks(draft.rest, draft.part);
        if (choices_.part == FigurePart::Inset) addInset(draft.rest, draft.part, seen);
        if (draft.layer.kind == LayerKind::Scores) showsPca_ = true;
        if (state.kind != "photo") {
            methods_.insert("");
            methods_.insert(state.method);
        }
        keep(draft.layer, state.id);
        if (draft.reference) keep(*draft.reference, all.reference);
        return draft;
    }

    bool showsPca() const { return showsPca_; }
    /// The methods whose maps are shown, and "" for the backbone.
    const std::set<std::string>& methods() const { return methods_; }

private:
    /// What the window goes on filling is copied, once for all panes that share it.
    void keep(Layer& layer, int pane) {
        const bool filling = model_.content(pane).progress >= 0;
        for (auto* map : {&layer.map, &layer.fallback, &layer.other}) {
            if (!*map || (!filling && (*map)->complete())) continue;
            auto& copy = copies_[map->get()];
            if (!copy) copy = std::make_shared<MapBuffer>(**map);
            *map = copy;
        }
    }

    void addPicks(FigurePane& pane, const Box& part) const {
        for (const Pick& pick : model_.state().picks) {
            if (!part.contains(pick.at)) continue;
            const glm::dvec2 at = (pick.at - part.origin) / part.size;
            pane.markers.push_back({at.x, at.y, std::to_string(pick.number), pick.color});
        }
    }

    static void addInset(FigurePane& pane, const Box& part, const Box& seen) {
        const Box inside = intersectionOf(seen, part);
        // An inset of nearly everything would enlarge nothing.
        if (inside.empty() || inside.size.x * inside.size.y > 0.5 * part.size.x * part.size.y)
            return;
        const glm::dvec2 origin = (inside.origin - part.origin) / part.size;
        const glm::dvec2 size = inside.size / part.size;
        Inset inset{.x = origin.x, .y = origin.y, .width = size.x, .height = size.y};
        inset.corner = cornerFor(inset, pane.insets);
        pane.insets.push_back(inset);
    }

    const PaneModel& model_;
    const VisibleParts& visible_;
    const FigureChoices& choices_;
    bool showsPca_ = false;
    std::set<std::string> methods_;
    std::map<const MapBuffer*, std::shared_ptr<const MapBuffer>> copies_;
};

std::vector<std::string> notesOf(const PaneModel& model, const FigureOrigin& origin,
                                 const Composer& composer, const FigureChoices& choices) {
    std::vector<std::string> notes;
    QStringList models;
    for (const std::string& method : composer.methods()) {
        const auto found = origin.models.find(method);
        if (found == origin.models.end()) continue;
        const ModelDescription& each = found->second;
        models.append(windowText("%1: %2, SHA-256 %3...")
                          .arg(QString::fromStdString(each.name),
                               QString::fromStdString(each.path.filename().string()),
                               QString::fromStdString(each.sha256.substr(0, 12))));
    }
    if (!models.isEmpty()) notes.push_back(models.join("; ").toStdString() + ".");
    const Extent photo = model.photoExtent();
    notes.push_back(windowText("%1, %2 \u00d7 %3 pixels.")
                        .arg(origin.photo)
                        .arg(photo.width)
                        .arg(photo.height)
                        .toStdString());
    if (composer.showsPca())
        notes.push_back(
            windowText("PCA colours are arbitrary: where maps have bases of their own, compare "
                       "shapes, not colours, between them.")
                .toStdString());
    if (choices.picks) {
        QStringList picks;
        for (const Pick& pick : model.state().picks) {
            const Pixel pixel = pixelContaining(pick.at, photo);
            picks.append(windowText("%1: (%2, %3)").arg(pick.number).arg(pixel.x).arg(pixel.y));
        }
        if (!picks.isEmpty())
            notes.push_back(
                windowText("Picked pixels of the photo: %1.").arg(picks.join(", ")).toStdString());
    }
    return notes;
}

} // namespace

FigureDraft draftOf(const PaneModel& model, const FigureOrigin& origin, const VisibleParts& visible,
                    const FigureChoices& choices) {
    FigureDraft figure;
    Composer composer(model, visible, choices);
    const WorkspaceState& state = model.state();
    for (const PaneState& pane : state.panes) {
        if (choices.selectedAlone && pane.id != state.selected) continue;
        if (state.maximised != 0 && pane.id != state.maximised) continue;
        if (auto draft = composer.draftOf(pane)) figure.panes.push_back(std::move(*draft));
    }
    if (figure.panes.empty()) return figure;
    figure.rest.columns = std::min(choices.columns, static_cast<int>(figure.panes.size()));
    figure.rest.title = choices.title.toStdString();
    figure.rest.scale = choices.pixelScale;
    figure.rest.look.widthMm = choices.widthMm;
    if (choices.notes) figure.rest.notes = notesOf(model, origin, composer, choices);
    return figure;
}

FigureSpec figureOf(const FigureDraft& draft, std::int64_t longest) {
    FigureSpec figure = draft.rest;
    for (const PaneDraft& each : draft.panes) {
        FigurePane pane = each.rest;
        const LayerPicture picture = pictureOf(each.layer, each.part, longest);
        pane.picture = picture.image;
        pane.smooth = !picture.crisp;
        if (each.reference) {
            const LayerPicture before = pictureOf(*each.reference, each.part, longest);
            if (!before.image.empty()) {
                pane.picture = wiped(before.image, picture.image, each.wipe);
                pane.smooth = pane.smooth && !before.crisp;
            }
        }
        figure.panes.push_back(std::move(pane));
    }
    return figure;
}

double missingShare(const PaneModel& model) {
    double missing = 0;
    for (const PaneState& pane : model.state().panes) {
        const PaneContent& content = model.content(pane.id);
        const bool incomplete = content.map && !content.map->complete();
        if (incomplete) missing = std::max(missing, 1 - content.map->coveredFraction());
    }
    return missing;
}

} // namespace loftscope
