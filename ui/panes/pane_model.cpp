// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/pane_model.h"

#include "ui/panes/numbers.h"

#include <glm/common.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace loftscope {
namespace {

constexpr std::size_t undoLimit = 200;

glm::dvec2 mapPoint(const MapBuffer& map, const Box& region, glm::dvec2 pixel) {
    return (pixel - region.origin) / region.size * boxOf(map.extent()).size;
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
            float sum = 0;
            for (std::size_t i = 0; i < (layer.distance ? 3U : 1U); ++i) {
                const float d = layer.map->at(layer.components[i], a) -
                                layer.other->at(layer.otherComponents[i], b);
                sum += layer.distance ? d * d : d;
            }
            const float value = layer.distance ? std::sqrt(sum) : sum;
            if (std::isfinite(value)) values.push_back(value);
        }
    }
    return values;
}

} // namespace

PaneModel::PaneModel(QObject* parent)
    : QObject(parent) {
    PaneState photo;
    photo.kind = PaneKind::Photo;
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
    if (current == nullptr || !showsScores(current->kind) || !shown.map) return;
    const int last = shown.map->channels() - 1;
    PaneState next = *current;
    if (next.singleComponent) {
        next.scalar.channel = std::clamp(next.scalar.channel + direction, 0, last);
    } else {
        const int first =
            *std::min_element(next.scores.components.begin(), next.scores.components.end());
        const int start = std::clamp((first / 3 + direction) * 3, 0, last / 3 * 3);
        next.scores.components = {start, std::min(start + 1, last), std::min(start + 2, last)};
    }
    setPane(next, tr("Choose components"));
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
    change(tr("Pick pixel"), "pick", [&](WorkspaceState& state) {
        int number = 1;
        for (const Pick& pick : state.picks)
            number = std::max(number, pick.number + 1);
        state.picks.push_back({number, pixel, pickColor(number), false});
        state.activePick = static_cast<int>(state.picks.size()) - 1;
    });
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

Layer PaneModel::layerOf(int id) const {
    Layer layer;
    const PaneState* state = pane(id);
    if (state == nullptr) return layer;
    layer.photo = photo_;
    layer.filter = state->smooth ? Filter::Smooth : Filter::Nearest;
    if (state->kind == PaneKind::Photo) {
        layer.kind = photo_ && photo_->levels() > 0 ? LayerKind::Photo : LayerKind::Empty;
        return layer;
    }
    if (state->kind == PaneKind::Difference) {
        return differenceOf(state->minuend, state->subtrahend, *state);
    }
    const PaneContent& shown = content(id);
    if (!shown.map) return layer;
    layer.map = shown.map;
    layer.fallback = shown.fallback;
    layer.region = regionOf(shown);
    layer.opacity = state->opacity;
    layer.scores = state->scores;
    layer.scalar = state->scalar;
    const bool falseColors = showsScores(state->kind) && !state->singleComponent;
    layer.kind = falseColors ? LayerKind::Scores : LayerKind::Scalar;
    if (!falseColors) {
        layer.scalar.range = rangeOf(id, 0);
        return layer;
    }
    for (std::size_t i = 0; i < 3; ++i) {
        const auto component = static_cast<std::size_t>(std::max(state->scores.components[i], 0));
        const bool known = component < shown.deviations.size() && shown.deviations[component] > 0;
        layer.scores.whitening[i] = state->whiten && known ? 1 / shown.deviations[component] : 1;
        layer.scores.ranges[i] = rangeOf(id, static_cast<int>(i));
    }
    return layer;
}

Layer PaneModel::differenceOf(int minuend, int subtrahend, const PaneState& style) const {
    Layer layer;
    const PaneState* a = pane(minuend);
    const PaneState* b = pane(subtrahend);
    const PaneContent& first = content(minuend);
    const PaneContent& second = content(subtrahend);
    if (a == nullptr || b == nullptr || a == b || !first.map || !second.map) return layer;
    const bool scores = showsScores(a->kind) && showsScores(b->kind);
    if (scores != (showsScores(a->kind) || showsScores(b->kind))) return layer;
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
    layer.distance = scores && !a->singleComponent && !b->singleComponent;
    layer.components = layer.distance ? a->scores.components
                                      : std::array<int, 3>{a->scalar.channel, a->scalar.channel,
                                                           a->scalar.channel};
    layer.otherComponents =
        layer.distance
            ? b->scores.components
            : std::array<int, 3>{b->scalar.channel, b->scalar.channel, b->scalar.channel};
    layer.scalar.map = layer.distance ? ColorMap::Magma : ColorMap::BlueRed;
    if (style.kind != PaneKind::Difference || style.autoRange) {
        std::vector<float> sample = sampledDifference(layer, 96);
        const int count = static_cast<int>(sample.size());
        if (count == 0) {
            layer.scalar.range = {0, 0};
        } else {
            const auto values = MapBuffer::whole(1, {1, count}, std::move(sample));
            const ValueRange range = percentileRange(*values, 0, 1, 99);
            layer.scalar.range = layer.distance ? ValueRange{0, range.high} : symmetric(range);
        }
    }
    return layer;
}

int PaneModel::rangeCount(int id) const {
    const PaneState* state = pane(id);
    if (state == nullptr || state->kind == PaneKind::Photo) return 0;
    return showsScores(state->kind) && !state->singleComponent ? 3 : 1;
}

int PaneModel::channelOf(const PaneState& pane, int index) const {
    if (!showsScores(pane.kind) || pane.singleComponent) return pane.scalar.channel;
    return pane.scores.components[static_cast<std::size_t>(std::clamp(index, 0, 2))];
}

PaneModel::CachedStatistics& PaneModel::statistics(const std::shared_ptr<const MapBuffer>& map,
                                                   int channel) const {
    CachedStatistics& cached = statistics_[{map.get(), channel}];
    if (cached.owner.lock() != map || cached.revision != map->revision()) {
        cached = {map, map->revision(), {-1, -1}, {}, std::nullopt};
    }
    return cached;
}

ValueRange PaneModel::automaticRange(const PaneState& pane, int channel) const {
    const PaneContent& shown = content(pane.id);
    const auto c = static_cast<std::size_t>(std::max(channel, 0));
    if (!shown.map) return {};
    if (!shown.map->complete() && c < shown.ranges.size()) return shown.ranges[c];
    // Colours that change with every tile would distract: until the map is complete, those of the
    // fallback hold.
    const std::shared_ptr<const MapBuffer> source =
        shown.map->complete() || !shown.fallback ? shown.map : shown.fallback;
    const int inMap = std::min(channel, source->channels() - 1);
    CachedStatistics& cached = statistics(source, inMap);
    const std::array<double, 2> percents{pane.lowPercent, pane.highPercent};
    if (cached.percents != percents) {
        cached.range = percentileRange(*source, inMap, pane.lowPercent, pane.highPercent);
        cached.percents = percents;
    }
    return cached.range;
}

ValueRange PaneModel::rangeOf(int id, int index) const {
    const PaneState* state = pane(id);
    if (state == nullptr) return {};
    const auto i = static_cast<std::size_t>(std::clamp(index, 0, 2));
    if (state->kind == PaneKind::Difference) return layerOf(id).scalar.range;
    const bool single = rangeCount(id) == 1;
    if (!state->autoRange) return single ? state->scalar.range : state->scores.ranges[i];
    const int channel = channelOf(*state, index);
    ValueRange range = automaticRange(*state, channel);
    const PaneContent& shown = content(id);
    const auto c = static_cast<std::size_t>(std::max(channel, 0));
    if (!single && state->whiten && c < shown.deviations.size() && shown.deviations[c] > 0) {
        range = {range.low / shown.deviations[c], range.high / shown.deviations[c]};
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
    const auto c = static_cast<std::size_t>(channel);
    if (rangeCount(id) == 3 && state->whiten && c < shown.deviations.size() &&
        shown.deviations[c] > 0) {
        histogram.range.low /= shown.deviations[c];
        histogram.range.high /= shown.deviations[c];
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
        value.values.push_back(source->at(layer.scalar.channel, at));
    } else {
        if (!layer.otherRegion.contains(point)) return std::nullopt;
        const Pixel there = pixelContaining(mapPoint(*layer.other, layer.otherRegion, point),
                                            layer.other->extent());
        float sum = 0;
        for (std::size_t i = 0; i < (layer.distance ? 3U : 1U); ++i) {
            const float d = source->at(layer.components[i], at) -
                            layer.other->at(layer.otherComponents[i], there);
            sum += layer.distance ? d * d : d;
        }
        value.values.push_back(layer.distance ? std::sqrt(sum) : sum);
    }
    value.color = colorOf(layer.scalar, value.values.front());
    return value;
}

QStringList PaneModel::valueTexts(int id, const PaneValue& value) const {
    QStringList texts;
    float span = 0;
    for (int i = 0; i < rangeCount(id); ++i) {
        const ValueRange range = rangeOf(id, i);
        span = std::max(span, range.high - range.low);
    }
    for (const float number : value.values) {
        texts << QString::fromStdString(
            formatInRange(static_cast<double>(number), static_cast<double>(span)));
    }
    return texts;
}

QString PaneModel::describe(int id, const PaneValue& value) const {
    const PaneState* state = pane(id);
    QStringList parts = valueTexts(id, value);
    if (state == nullptr || parts.size() < 2) return parts.join("");
    for (int i = 0; i < parts.size(); ++i) {
        const QString name =
            state->kind == PaneKind::Photo
                ? QString(QChar("RGB"[i]))
                : QString("PC%1").arg(state->scores.components[static_cast<std::size_t>(i)] + 1);
        parts[i].prepend(name + " ");
    }
    return parts.join("  ");
}

} // namespace loftscope
