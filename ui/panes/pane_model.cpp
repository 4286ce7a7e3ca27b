// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/pane_model.h"

#include "ui/panes/numbers.h"
#include "ui/render/layer_picture.h"

#include <glm/common.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace loftscope {
namespace {

constexpr std::size_t undoLimit = 200;

bool isFlipped(const PaneState& pane, int component) {
    return component >= 0 && component < 32 && (pane.flips >> component & 1U) != 0;
}

/// Values of `map` and `other` at the same photo points, on a grid of `side` x `side`.
std::vector<float> sampledDifference(const Layer& layer, int side) {
    std::vector<float> values;
    const Box common = intersectionOf(layer.region, layer.otherRegion);
    if (common.empty()) return values;
    for (int y = 0; y < side; ++y) {
        for (int x = 0; x < side; ++x) {
            const glm::dvec2 pixel =
                common.origin + common.size * ((glm::dvec2(x, y) + 0.5) / double(side));
            const Pixel a =
                pixelContaining(mapPoint(*layer.map, layer.region, pixel), layer.map->extent());
            const Pixel b = pixelContaining(mapPoint(*layer.other, layer.otherRegion, pixel),
                                            layer.other->extent());
            if (!layer.map->covered(a)) continue;
            const float value = layer.sign * layer.map->at(layer.scalar.channel, a) -
                                layer.otherSign * layer.other->at(layer.otherChannel, b);
            if (std::isfinite(value)) values.push_back(value);
        }
    }
    return values;
}

} // namespace

PaneModel::PaneModel(QObject* parent)
    : QObject(parent) {
    PaneState photo;
    photo.id = nextId_++;
    state_.panes.push_back(photo);
    correct(state_);
}

// --- state and undo ---------------------------------------------------------------------------

void PaneModel::correct(WorkspaceState& state) {
    if (state.panes.size() > maximumPanes) state.panes.resize(maximumPanes);
    const auto exists = [&](int id) {
        return std::any_of(state.panes.begin(), state.panes.end(),
                           [&](const PaneState& pane) { return pane.id == id; });
    };
    if (state.panes.empty()) return;
    if (!exists(state.selected)) state.selected = state.panes.front().id;
    if (!exists(state.reference)) state.reference = state.panes.front().id;
    if (!exists(state.maximised)) state.maximised = 0;
    state.activePick = std::clamp(state.activePick, -1, static_cast<int>(state.picks.size()) - 1);
}

void PaneModel::setState(WorkspaceState state, const QString& what) {
    if (state.panes.empty()) return;
    for (PaneState& pane : state.panes) {
        if (pane.id <= 0) pane.id = nextId_;
        nextId_ = std::max(nextId_, pane.id + 1);
    }
    change(what, {}, [&](WorkspaceState& current) { current = std::move(state); });
}

void PaneModel::change(const QString& what, const QString& gesture,
                       const std::function<void(WorkspaceState&)>& mutate) {
    WorkspaceState next = state_;
    mutate(next);
    correct(next);
    if (next == state_) return;
    const bool merges = !gesture.isEmpty() && gesture == gesture_ && !undo_.empty();
    if (!what.isEmpty()) {
        gesture_ = gesture;
        if (!merges) {
            undo_.push_back({state_, what});
            if (undo_.size() > undoLimit) undo_.erase(undo_.begin());
        }
        redo_.clear();
    }
    adopt(std::move(next));
    if (!what.isEmpty()) Q_EMIT historyChanged();
}

void PaneModel::adopt(WorkspaceState state) {
    const WorkspaceState before = std::exchange(state_, std::move(state));
    const auto idsOf = [](const WorkspaceState& of) {
        std::vector<int> ids;
        for (const PaneState& pane : of.panes)
            ids.push_back(pane.id);
        return ids;
    };
    const bool layout = idsOf(before) != idsOf(state_) || before.maximised != state_.maximised ||
                        before.columns != state_.columns;
    bool views = before.linked != state_.linked || before.view != state_.view;
    std::vector<int> changedPanes;
    for (const PaneState& pane : state_.panes) {
        const auto old = std::find_if(before.panes.begin(), before.panes.end(),
                                      [&](const PaneState& other) { return other.id == pane.id; });
        if (old == before.panes.end()) {
            changedPanes.push_back(pane.id);
            continue;
        }
        PaneState withNewView = *old;
        withNewView.view = pane.view;
        if (withNewView != pane) changedPanes.push_back(pane.id);
        views = views || old->view != pane.view;
    }
    if (layout) Q_EMIT layoutChanged();
    for (const int id : changedPanes)
        Q_EMIT paneChanged(id);
    if (before.selected != state_.selected) Q_EMIT selectionChanged(state_.selected);
    if (views) Q_EMIT viewChanged();
    if (before.compare != state_.compare || before.wipe != state_.wipe ||
        before.reference != state_.reference) {
        Q_EMIT compareChanged();
    }
    if (before.compute != state_.compute) Q_EMIT computeChanged();
    if (before.picks != state_.picks || before.activePick != state_.activePick) {
        Q_EMIT picksChanged();
    }
    Q_EMIT changed();
}

void PaneModel::undo() {
    if (undo_.empty()) return;
    Step step = std::move(undo_.back());
    undo_.pop_back();
    redo_.push_back({state_, step.what});
    gesture_.clear();
    adopt(std::move(step.before));
    Q_EMIT historyChanged();
}

void PaneModel::redo() {
    if (redo_.empty()) return;
    Step step = std::move(redo_.back());
    redo_.pop_back();
    undo_.push_back({state_, step.what});
    gesture_.clear();
    adopt(std::move(step.before));
    Q_EMIT historyChanged();
}

// --- panes ------------------------------------------------------------------------------------

void PaneModel::setPhoto(std::shared_ptr<const ImagePyramid> photo) {
    photo_ = std::move(photo);
    contents_.clear();
    comparison_ = {};
    statistics_.clear();
    hover_.reset();
    undo_.clear();
    redo_.clear();
    gesture_.clear();
    WorkspaceState next = state_;
    next.picks.clear();
    next.activePick = -1;
    next.view = {};
    for (PaneState& pane : next.panes)
        pane.view = {};
    adopt(std::move(next));
    Q_EMIT photoChanged();
    Q_EMIT hoverChanged();
    Q_EMIT historyChanged();
    Q_EMIT changed();
}

void PaneModel::setFrame(std::shared_ptr<const ImagePyramid> photo) {
    if (!photo || photo->extent() != photoExtent()) {
        setPhoto(std::move(photo));
        return;
    }
    photo_ = std::move(photo);
    Q_EMIT photoChanged();
    Q_EMIT changed();
}

PaneState* PaneModel::paneIn(WorkspaceState& state, int id) const {
    const auto found = std::find_if(state.panes.begin(), state.panes.end(),
                                    [&](const PaneState& pane) { return pane.id == id; });
    return found == state.panes.end() ? nullptr : &*found;
}

const PaneState* PaneModel::pane(int id) const {
    const auto found = std::find_if(state_.panes.begin(), state_.panes.end(),
                                    [&](const PaneState& pane) { return pane.id == id; });
    return found == state_.panes.end() ? nullptr : &*found;
}

const PaneState& PaneModel::selectedPane() const {
    const PaneState* selected = pane(state_.selected);
    return selected != nullptr ? *selected : state_.panes.front();
}

int PaneModel::idAt(int index) const {
    const auto i = static_cast<std::size_t>(index);
    return index >= 0 && i < state_.panes.size() ? state_.panes[i].id : 0;
}

int PaneModel::addPane(PaneState pane) {
    if (state_.panes.size() >= maximumPanes) return 0;
    pane.id = nextId_++;
    change(tr("Add pane"), {}, [&](WorkspaceState& state) {
        state.panes.push_back(pane);
        state.selected = pane.id;
        state.maximised = 0;
    });
    return pane.id;
}

void PaneModel::removePane(int id) {
    if (state_.panes.size() < 2) return;
    change(tr("Remove pane"), {}, [&](WorkspaceState& state) {
        std::erase_if(state.panes, [&](const PaneState& pane) { return pane.id == id; });
    });
}

int PaneModel::duplicatePane(int id) {
    const PaneState* original = pane(id);
    if (original == nullptr || state_.panes.size() >= maximumPanes) return 0;
    PaneState copy = *original;
    copy.id = nextId_++;
    change(tr("Duplicate pane"), {}, [&](WorkspaceState& state) {
        const auto place = std::ranges::find(state.panes, id, &PaneState::id);
        state.panes.insert(place + 1, copy);
        state.selected = copy.id;
        state.maximised = 0;
    });
    return copy.id;
}

void PaneModel::swapPanes(int first, int second) {
    change(tr("Swap panes"), {}, [&](WorkspaceState& state) {
        PaneState* a = paneIn(state, first);
        PaneState* b = paneIn(state, second);
        if (a != nullptr && b != nullptr) std::swap(*a, *b);
    });
}

void PaneModel::setPane(const PaneState& pane, const QString& what, const QString& gesture) {
    change(what, gesture, [&](WorkspaceState& state) {
        if (PaneState* target = paneIn(state, pane.id)) *target = pane;
    });
}

void PaneModel::changePanes(const std::function<bool(const PaneState&)>& affected,
                            const std::function<void(PaneState&)>& mutate, const QString& what,
                            const QString& gesture) {
    change(what, gesture, [&](WorkspaceState& state) {
        for (PaneState& pane : state.panes)
            if (affected(pane)) mutate(pane);
    });
}

void PaneModel::changeColors(int id, const std::function<void(PaneState&)>& mutate,
                             const QString& what, const QString& gesture) {
    const bool all = state_.colorsTogether && content(id).form == LayerKind::Scores;
    changePanes(
        [&](const PaneState& pane) {
            return pane.id == id || (all && content(pane.id).form == LayerKind::Scores);
        },
        mutate, what, gesture);
}

void PaneModel::setColorsTogether(bool together) {
    change(tr("Link colours"), {}, [&](WorkspaceState& state) { state.colorsTogether = together; });
}

void PaneModel::select(int id) {
    change({}, {}, [&](WorkspaceState& state) {
        if (pane(id) == nullptr) return;
        state.selected = id;
        if (state.maximised != 0) state.maximised = id;
    });
}

void PaneModel::setReference(int id) {
    change(tr("Set reference"), {}, [&](WorkspaceState& state) {
        if (pane(id) != nullptr) state.reference = id;
    });
}

void PaneModel::toggleMaximised(int id) {
    change({}, {}, [&](WorkspaceState& state) {
        state.maximised = state.maximised == 0 ? id : 0;
        if (pane(id) != nullptr) state.selected = id;
    });
}

void PaneModel::setColumns(int columns) {
    change(tr("Arrange panes"), {},
           [&](WorkspaceState& state) { state.columns = std::clamp(columns, 0, maximumPanes); });
}

void PaneModel::stepComponents(int id, int direction) {
    const PaneState* current = pane(id);
    const PaneContent& shown = content(id);
    if (current == nullptr || shown.form != LayerKind::Scores || !shown.map) return;
    const int last = shown.map->channels() - 1;
    const auto firstOf = [](const PaneState& pane) {
        return *std::ranges::min_element(pane.scores.components);
    };
    const int channel = std::clamp(current->scalar.channel + direction, 0, last);
    const int start = std::clamp((firstOf(*current) / 3 + direction) * 3, 0, last / 3 * 3);
    const bool single = current->singleComponent;
    changeColors(
        id,
        [&](PaneState& pane) {
            if (single) {
                pane.scalar.channel = channel;
            } else {
                pane.scores.components = {start, std::min(start + 1, last),
                                          std::min(start + 2, last)};
            }
        },
        tr("Choose components"));
}

// --- view -------------------------------------------------------------------------------------

View PaneModel::viewOf(int id) const {
    const PaneState* found = pane(id);
    return state_.linked || found == nullptr ? state_.view : found->view;
}

void PaneModel::setView(int id, const View& view) {
    change(tr("Move view"), "view", [&](WorkspaceState& state) {
        PaneState* target = paneIn(state, id);
        if (state.linked) {
            state.view = view;
        } else if (target != nullptr) {
            target->view = view;
        }
    });
}

void PaneModel::setLinked(bool linked) {
    change(linked ? tr("Link views") : tr("Unlink views"), {}, [&](WorkspaceState& state) {
        if (state.linked == linked) return;
        state.linked = linked;
        if (linked) {
            if (const PaneState* selected = paneIn(state, state.selected)) {
                state.view = selected->view;
            }
        } else {
            for (PaneState& pane : state.panes)
                pane.view = state.view;
        }
    });
}

void PaneModel::fit() {
    View view = viewOf(state_.selected);
    view.fitted = true;
    setView(state_.selected, view);
}

void PaneModel::oneToOne() {
    View view = viewOf(state_.selected);
    if (view.fitted) view.center = boxOf(photoExtent()).center();
    setView(state_.selected, loftscope::oneToOne(view, photoExtent()));
}

void PaneModel::goTo(glm::dvec2 pixel) {
    View view = viewOf(state_.selected);
    if (view.fitted) view.zoom = 1;
    setView(state_.selected, centeredOn(view, photoExtent(), pixel));
}

// --- compare ----------------------------------------------------------------------------------

void PaneModel::setCompute(const ComputeSettings& settings) {
    change(tr("Change what is computed"), {},
           [&](WorkspaceState& state) { state.compute = settings; });
}

void PaneModel::setCompare(CompareMode mode) {
    change(tr("Compare"), {}, [&](WorkspaceState& state) { state.compare = mode; });
}

void PaneModel::setWipe(const Wipe& wipe) {
    change(tr("Move wipe"), "wipe", [&](WorkspaceState& state) { state.wipe = wipe; });
}

void PaneModel::setFlipped(bool flipped) {
    if (flipped_ == flipped) return;
    flipped_ = flipped;
    Q_EMIT compareChanged();
    Q_EMIT changed();
}

// --- picks and hover --------------------------------------------------------------------------

void PaneModel::placePick(glm::dvec2 pixel) {
    const std::optional<Pick> active = activePick();
    if (active && !active->pinned) {
        movePick(state_.activePick, pixel);
        return;
    }
    addPick(pixel);
}

void PaneModel::addPick(glm::dvec2 pixel) {
    change(tr("Pick pixel"), "pick", [&](WorkspaceState& state) {
        int number = 1;
        while (std::ranges::find(state.picks, number, &Pick::number) != state.picks.end())
            ++number;
        if (state.activePick >= 0)
            state.picks[static_cast<std::size_t>(state.activePick)].pinned = true;
        const auto later = std::ranges::upper_bound(state.picks, number, {}, &Pick::number);
        state.activePick = static_cast<int>(later - state.picks.begin());
        state.picks.insert(later, {number, pixel, pickColor(number), false});
    });
}

void PaneModel::removePick(int index) {
    if (index < 0 || index >= static_cast<int>(state_.picks.size())) return;
    change(tr("Remove pick"), {}, [&](WorkspaceState& state) {
        state.picks.erase(state.picks.begin() + index);
        if (state.activePick > index) --state.activePick;
        state.activePick = std::min(state.activePick, static_cast<int>(state.picks.size()) - 1);
    });
}

void PaneModel::stepPick(int direction) {
    const int count = static_cast<int>(state_.picks.size());
    if (count == 0) return;
    setActivePick((state_.activePick + direction + count) % count);
}

void PaneModel::movePick(int index, glm::dvec2 pixel) {
    if (index < 0 || index >= static_cast<int>(state_.picks.size())) return;
    const glm::dvec2 end = glm::max(boxOf(photoExtent()).size - 0.5, glm::dvec2(0));
    change(tr("Pick pixel"), "pick", [&](WorkspaceState& state) {
        state.picks[static_cast<std::size_t>(index)].at = glm::clamp(pixel, glm::dvec2(0), end);
        state.activePick = index;
    });
}

void PaneModel::setActivePick(int index) {
    change({}, {}, [&](WorkspaceState& state) { state.activePick = index; });
}

void PaneModel::pinPick() {
    if (!activePick()) return;
    change(tr("Pin pick"), {}, [&](WorkspaceState& state) {
        Pick& pick = state.picks[static_cast<std::size_t>(state.activePick)];
        pick.pinned = !pick.pinned;
    });
}

void PaneModel::nudgePick(int dx, int dy) {
    const std::optional<Pick> active = activePick();
    if (!active) return;
    // To the middle of a pixel: nudging counts pixels, not fractions.
    movePick(state_.activePick, glm::floor(active->at) + 0.5 + glm::dvec2(dx, dy));
}

void PaneModel::clearPicks() {
    change(tr("Clear picks"), {}, [](WorkspaceState& state) {
        state.picks.clear();
        state.activePick = -1;
    });
}

std::optional<Pick> PaneModel::activePick() const {
    if (state_.activePick < 0) return std::nullopt;
    return state_.picks[static_cast<std::size_t>(state_.activePick)];
}

std::optional<Pick> PaneModel::pickOf(const PaneState& pane) const {
    if (pane.pick == 0) return activePick();
    const auto found = std::ranges::find(state_.picks, pane.pick, &Pick::number);
    return found == state_.picks.end() ? std::nullopt : std::optional(*found);
}

void PaneModel::setHover(const std::optional<Hover>& hover) {
    if (hover_ == hover) return;
    hover_ = hover;
    Q_EMIT hoverChanged();
    Q_EMIT changed();
}

// --- contents ---------------------------------------------------------------------------------

void PaneModel::setContent(int id, PaneContent content) {
    if (pane(id) == nullptr) return;
    contents_[id] = std::move(content);
    std::erase_if(statistics_, [](const auto& entry) { return entry.second.owner.expired(); });
    Q_EMIT contentChanged(id);
    Q_EMIT changed();
}

void PaneModel::setComparison(PaneContent content) {
    comparison_ = std::move(content);
    Q_EMIT changed();
}

const PaneContent& PaneModel::content(int id) const {
    static const PaneContent nothing;
    const auto found = contents_.find(id);
    return found == contents_.end() ? nothing : found->second;
}

bool PaneModel::putTile(int id, const Rect& rect, std::span<const float> values) {
    const auto found = contents_.find(id);
    if (found == contents_.end() || !found->second.map) return false;
    if (!found->second.map->put(rect, values)) return false;
    Q_EMIT contentChanged(id);
    Q_EMIT changed();
    return true;
}

void PaneModel::markStale(const std::function<bool(const PaneState&)>& affected) {
    for (const PaneState& pane : state_.panes) {
        const auto found = contents_.find(pane.id);
        if (found == contents_.end() || found->second.stale || !affected(pane)) continue;
        found->second.stale = true;
        Q_EMIT contentChanged(pane.id);
    }
    Q_EMIT changed();
}

void PaneModel::setProgress(int id, double fraction) {
    const auto found = contents_.find(id);
    if (found == contents_.end()) return;
    found->second.progress = fraction;
    Q_EMIT contentChanged(id);
    Q_EMIT changed();
}

// --- what follows -----------------------------------------------------------------------------

Box PaneModel::regionOf(const PaneContent& content) const {
    return content.region.empty() ? boxOf(photoExtent()) : content.region;
}

bool PaneModel::showsColors(const PaneState& pane) const {
    return content(pane.id).form == LayerKind::Scores && !pane.singleComponent;
}

float PaneModel::whiteningOf(const PaneState& pane, int channel) const {
    const std::vector<float>& deviations = content(pane.id).deviations;
    const auto c = static_cast<std::size_t>(std::max(channel, 0));
    const bool known = c < deviations.size() && deviations[c] > 0;
    return pane.whiten && known ? 1 / deviations[c] : 1;
}

float PaneModel::signOf(const PaneState& pane) const {
    const bool single = content(pane.id).form == LayerKind::Scores && pane.singleComponent;
    return single && isFlipped(pane, pane.scalar.channel) ? -1.0F : 1.0F;
}

Layer PaneModel::layerOf(int id) const {
    Layer layer;
    const PaneState* state = pane(id);
    if (state == nullptr) return layer;
    const PaneContent& shown = content(id);
    layer.photo = photo_;
    layer.filter = state->smooth ? Filter::Smooth : Filter::Nearest;
    if (shown.form == LayerKind::Photo) {
        layer.kind = photo_ && photo_->levels() > 0 ? LayerKind::Photo : LayerKind::Empty;
        return layer;
    }
    if (shown.form == LayerKind::Difference) {
        return differenceOf(state->minuend, state->subtrahend, *state);
    }
    if (!shown.map || shown.form == LayerKind::Empty) return layer;
    layer.map = shown.map;
    layer.fallback = shown.fallback;
    layer.region = regionOf(shown);
    layer.opacity = state->opacity;
    layer.scores = state->scores;
    layer.scalar = state->scalar;
    layer.kind = showsColors(*state) ? LayerKind::Scores : LayerKind::Scalar;
    if (layer.kind == LayerKind::Scalar) {
        layer.scalar.range = rangeOf(id, 0);
        layer.sign = signOf(*state);
        // Ranges are chosen before a flip, as those of colours.
        if (layer.sign < 0)
            layer.scalar.range = {-layer.scalar.range.high, -layer.scalar.range.low};
        return layer;
    }
    for (std::size_t i = 0; i < 3; ++i) {
        const int component = std::clamp(state->scores.components[i], 0, shown.map->channels() - 1);
        layer.scores.whitening[i] = whiteningOf(*state, component);
        layer.scores.flipped[i] = isFlipped(*state, component);
        layer.scores.ranges[i] = rangeOf(id, static_cast<int>(i));
    }
    return layer;
}

Layer PaneModel::differenceOf(int minuend, int subtrahend, const PaneState& style) const {
    Layer layer;
    const PaneState* a = pane(minuend);
    const PaneState* b = pane(subtrahend);
    if (a == nullptr || b == nullptr || a == b) return layer;
    const PaneContent& first = content(minuend);
    const PaneContent& second = content(subtrahend);
    const auto isScalar = [&](const PaneState& state, const PaneContent& shown) {
        const bool scalar = shown.form == LayerKind::Scalar ||
                            (shown.form == LayerKind::Scores && state.singleComponent);
        return scalar && shown.map;
    };
    if (!isScalar(*a, first) || !isScalar(*b, second)) return layer;
    layer.kind = LayerKind::Difference;
    layer.photo = photo_;
    layer.map = first.map;
    layer.fallback = first.fallback;
    layer.other = second.map;
    layer.region = regionOf(first);
    layer.otherRegion = regionOf(second);
    layer.opacity = style.opacity;
    layer.filter = style.smooth ? Filter::Smooth : Filter::Nearest;
    layer.scalar = style.scalar;
    layer.scalar.channel = a->scalar.channel;
    layer.otherChannel = b->scalar.channel;
    layer.sign = signOf(*a);
    layer.otherSign = signOf(*b);
    // The compared pane's own colours are for its own values.
    const bool isOwnPane = content(style.id).form == LayerKind::Difference;
    if (!isOwnPane) layer.scalar.map = ColorMap::BlueRed;
    if (!isOwnPane || style.autoRange) {
        std::vector<float> sample = sampledDifference(layer, 96);
        const int count = static_cast<int>(sample.size());
        if (count == 0) {
            layer.scalar.range = {0, 0};
        } else {
            const auto values = MapBuffer::whole(1, {1, count}, std::move(sample));
            layer.scalar.range = symmetric(percentileRange(*values, 0, 1, 99));
        }
    }
    return layer;
}

Layer PaneModel::comparisonLayer() const {
    const PaneState& selected = selectedPane();
    Layer layer = differenceOf(selected.id, state_.reference, selected);
    if (layer.kind != LayerKind::Empty || !comparison_.map) return layer;
    layer.kind = comparison_.form;
    layer.photo = photo_;
    layer.map = comparison_.map;
    layer.region = regionOf(comparison_);
    layer.filter = selected.smooth ? Filter::Smooth : Filter::Nearest;
    layer.scalar.map = ColorMap::Magma;
    layer.scalar.range = {0, percentileRange(*layer.map, 0, 0, 99).high};
    return layer;
}

int PaneModel::rangeCount(int id) const {
    const PaneState* state = pane(id);
    const LayerKind form = content(id).form;
    if (state == nullptr || form == LayerKind::Photo || form == LayerKind::Empty) return 0;
    return showsColors(*state) ? 3 : 1;
}

int PaneModel::channelOf(const PaneState& pane, int index) const {
    if (!showsColors(pane)) return pane.scalar.channel;
    return pane.scores.components[static_cast<std::size_t>(std::clamp(index, 0, 2))];
}

PaneModel::CachedStatistics& PaneModel::statistics(const std::shared_ptr<const MapBuffer>& map,
                                                   int channel) const {
    CachedStatistics& cached = statistics_[{map.get(), channel}];
    if (cached.owner.lock() != map || cached.revision != map->revision()) {
        cached = {map, map->revision(), {-1, -1}, {}, {}, std::nullopt};
    }
    return cached;
}

ValueRange PaneModel::automaticRange(const PaneState& pane, int channel) const {
    const PaneContent& shown = content(pane.id);
    const auto c = static_cast<std::size_t>(std::max(channel, 0));
    if (!shown.map) return {};
    if (c < shown.ranges.size()) return shown.ranges[c];
    // Colours that change with every tile would distract: until the map is complete, those of the
    // fallback hold.
    const std::shared_ptr<const MapBuffer> source =
        shown.map->complete() || !shown.fallback ? shown.map : shown.fallback;
    const int inMap = std::min(channel, source->channels() - 1);
    CachedStatistics& cached = statistics(source, inMap);
    const std::array<double, 2> percents{pane.lowPercent, pane.highPercent};
    // What is black anyway must not take part of the range.
    const ForegroundMask mask = showsColors(pane) ? pane.scores.mask : ForegroundMask{};
    if (cached.percents != percents || cached.mask != mask) {
        cached.range = percentileRange(*source, inMap, pane.lowPercent, pane.highPercent, mask);
        cached.percents = percents;
        cached.mask = mask;
    }
    return cached.range;
}

ValueRange PaneModel::rangeOf(int id, int index) const {
    const PaneState* state = pane(id);
    if (state == nullptr) return {};
    const auto i = static_cast<std::size_t>(std::clamp(index, 0, 2));
    if (content(id).form == LayerKind::Difference) return layerOf(id).scalar.range;
    const bool single = rangeCount(id) == 1;
    if (!state->autoRange) return single ? state->scalar.range : state->scores.ranges[i];
    const int channel = channelOf(*state, index);
    ValueRange range = automaticRange(*state, channel);
    if (!single) {
        const float whitening = whiteningOf(*state, channel);
        range = {range.low * whitening, range.high * whitening};
    }
    return single && state->scalar.map == ColorMap::BlueRed ? symmetric(range) : range;
}

void PaneModel::setRange(int id, int index, const ValueRange& range) {
    const PaneState* current = pane(id);
    if (current == nullptr || rangeCount(id) == 0) return;
    PaneState next = *current;
    if (next.autoRange) {
        // The other channels keep what they show now.
        for (int i = 0; i < 3; ++i)
            next.scores.ranges[static_cast<std::size_t>(i)] = rangeOf(id, i);
        next.scalar.range = rangeOf(id, 0);
        next.autoRange = false;
    }
    if (rangeCount(id) == 3) {
        next.scores.ranges[static_cast<std::size_t>(std::clamp(index, 0, 2))] = range;
    } else {
        next.scalar.range = range;
    }
    setPane(next, tr("Change range"), QString("range %1").arg(id));
}

void PaneModel::setAutoRange(int id) {
    const PaneState* current = pane(id);
    if (current == nullptr) return;
    PaneState next = *current;
    next.autoRange = true;
    setPane(next, tr("Automatic range"));
}

std::optional<Histogram> PaneModel::histogramAt(int id, int index) const {
    const PaneState* state = pane(id);
    const PaneContent& shown = content(id);
    if (state == nullptr || !shown.map || rangeCount(id) == 0) return std::nullopt;
    const std::shared_ptr<const MapBuffer> source =
        shown.map->complete() || !shown.fallback ? shown.map : shown.fallback;
    const int channel = std::min(channelOf(*state, index), source->channels() - 1);
    CachedStatistics& cached = statistics(source, channel);
    if (!cached.histogram) cached.histogram = histogramOf(*source, channel);
    Histogram histogram = *cached.histogram;
    if (rangeCount(id) == 3) {
        const float whitening = whiteningOf(*state, channel);
        histogram.range.low *= whitening;
        histogram.range.high *= whitening;
    }
    return histogram;
}

std::optional<PaneValue> PaneModel::valueAt(int id, glm::dvec2 point) const {
    return valueIn(layerOf(id), point);
}

std::optional<PaneValue> PaneModel::valueIn(const Layer& layer, glm::dvec2 point) const {
    PaneValue value;
    if (!boxOf(photoExtent()).contains(point)) return std::nullopt;
    if (layer.kind == LayerKind::Photo) {
        const Image& image = layer.photo->level(0);
        value.pixel = pixelContaining(point, image.extent());
        const std::uint8_t* rgb = image.row(value.pixel.y) + 3 * value.pixel.x;
        for (std::size_t i = 0; i < 3; ++i) {
            value.values.push_back(rgb[i]);
            value.color[i] = static_cast<float>(rgb[i]) / 255;
        }
        return value;
    }
    if (!layer.map || !layer.region.contains(point)) return std::nullopt;
    value.pixel = pixelContaining(mapPoint(*layer.map, layer.region, point), layer.map->extent());
    std::shared_ptr<const MapBuffer> source = layer.map;
    Pixel at = value.pixel;
    if (!layer.map->covered(at)) {
        if (!layer.fallback) return std::nullopt;
        source = layer.fallback;
        at = pixelContaining(mapPoint(*source, layer.region, point), source->extent());
        value.preview = true;
    }
    if (layer.kind == LayerKind::Scores) {
        std::vector<float> scores;
        for (int c = 0; c < source->channels(); ++c)
            scores.push_back(source->at(c, at));
        value.color = colorOf(layer.scores, scores);
        for (const int component : layer.scores.components) {
            const int last = static_cast<int>(scores.size()) - 1;
            value.values.push_back(
                scores[static_cast<std::size_t>(std::clamp(component, 0, last))]);
        }
        return value;
    }
    if (layer.kind == LayerKind::Scalar) {
        value.values.push_back(layer.sign * source->at(layer.scalar.channel, at));
    } else {
        if (!layer.otherRegion.contains(point)) return std::nullopt;
        const Pixel there = pixelContaining(mapPoint(*layer.other, layer.otherRegion, point),
                                            layer.other->extent());
        value.values.push_back(layer.sign * source->at(layer.scalar.channel, at) -
                               layer.otherSign * layer.other->at(layer.otherChannel, there));
    }
    value.color = colorOf(layer.scalar, value.values.front());
    return value;
}

QStringList PaneModel::valueTexts(int id, const PaneValue& value, int fewerDigits) const {
    QStringList texts;
    float span = 0;
    for (int i = 0; i < rangeCount(id); ++i) {
        const ValueRange range = rangeOf(id, i);
        span = std::max(span, range.high - range.low);
    }
    const double shown = static_cast<double>(span) * std::pow(10, fewerDigits);
    for (const float number : value.values) {
        texts << QString::fromStdString(formatInRange(static_cast<double>(number), shown));
    }
    return texts;
}

QString PaneModel::describe(int id, const PaneValue& value) const {
    const PaneState* state = pane(id);
    QStringList parts = valueTexts(id, value);
    if (state == nullptr || parts.size() < 2) return parts.join("");
    for (int i = 0; i < parts.size(); ++i) {
        const QString name =
            content(id).form == LayerKind::Photo
                ? QString(QChar("RGB"[i]))
                : QString("PC%1").arg(state->scores.components[static_cast<std::size_t>(i)] + 1);
        parts[i].prepend(name + " ");
    }
    return parts.join("  ");
}

} // namespace loftscope
