// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/session_state.h"

#include <algorithm>
#include <utility>

namespace loftscope {

namespace {

using Kind = PaneView::Kind;

constexpr std::array<std::pair<Kind, const char*>, 8> kindKeys{{
    {Kind::Image, "photo"},
    {Kind::Features, "features"},
    {Kind::Attention, "attention"},
    {Kind::SelfAttention, "self-attention"},
    {Kind::Similarity, "similarity"},
    {Kind::Text, "text"},
    {Kind::Norm, "norm"},
    {Kind::Difference, "difference"},
}};

constexpr const char* lowResolution = "lowres";

/// 1 for the first; 0 if there is none.
int placeOf(int id, const std::vector<int>& places) {
    const auto found = std::ranges::find(places, id);
    return found == places.end() ? 0 : static_cast<int>(found - places.begin()) + 1;
}

SessionView viewOf(const View& view) {
    SessionView kept;
    kept.fitted = view.fitted;
    // What fits follows from the window.
    if (view.fitted) return kept;
    kept.centerX = view.center.x;
    kept.centerY = view.center.y;
    kept.zoom = view.zoom;
    return kept;
}

View viewOf(const SessionView& kept) {
    if (kept.fitted) return {};
    return {{kept.centerX, kept.centerY}, kept.zoom, false};
}

PaneView::Span spanOf(const ValueRange& range) {
    return {static_cast<double>(range.low), static_cast<double>(range.high)};
}

ValueRange rangeOf(const PaneView::Span& span) {
    return {static_cast<float>(span.low), static_cast<float>(span.high)};
}

} // namespace

PaneView viewOf(const PaneState& pane, const std::vector<int>& places) {
    PaneView view;
    for (const auto& [kind, key] : kindKeys)
        if (pane.kind == key) view.kind = kind;
    // What has no meaning for a kind stays as it is for all, so that commands and files are short.
    if (view.kind == Kind::Image) return view;
    const bool hasGrid = view.kind != Kind::SelfAttention && view.kind != Kind::Difference;
    view.method = hasGrid && pane.method.empty() ? lowResolution : pane.method;
    if (view.kind == Kind::Difference) {
        view.minuend = placeOf(pane.minuend, places);
        view.subtrahend = placeOf(pane.subtrahend, places);
    }
    view.pick = pane.pick;
    if (view.kind == Kind::Text) view.text = pane.text;
    view.ofClassToken = pane.ofClassToken;
    if (view.kind == Kind::Attention || view.kind == Kind::SelfAttention) {
        view.block = pane.block;
        view.head = pane.head;
    }
    view.components = pane.scores.components;
    if (pane.singleComponent) view.component = pane.scalar.channel;
    for (int component = 0; component < 32; ++component)
        if ((pane.flips >> component & 1U) != 0) view.flipped.push_back(component);
    view.whiten = pane.whiten;
    view.sigmoid = pane.scores.scaling == ScoreScaling::Sigmoid;
    if (const ForegroundMask& mask = pane.scores.mask; mask.enabled)
        view.mask = {mask.component, static_cast<double>(mask.threshold), mask.keepAbove};
    view.basis = pane.basis;
    view.lowPercent = pane.lowPercent;
    view.highPercent = pane.highPercent;
    if (!pane.autoRange) {
        if (view.kind == Kind::Features && !pane.singleComponent) {
            for (const ValueRange& range : pane.scores.ranges)
                view.ranges.push_back(spanOf(range));
        } else {
            view.ranges.push_back(spanOf(pane.scalar.range));
        }
    }
    view.map = pane.scalar.map;
    view.reversed = pane.scalar.reversed;
    view.opacityByValue = pane.scalar.opacityByValue;
    view.opacity = static_cast<double>(pane.opacity);
    view.smooth = pane.smooth;
    return view;
}

PaneState paneStateOf(const PaneView& view) {
    PaneState pane;
    for (const auto& [kind, key] : kindKeys)
        if (view.kind == kind) pane.kind = key;
    if (view.method != lowResolution) pane.method = view.method;
    pane.minuend = view.minuend;
    pane.subtrahend = view.subtrahend;
    pane.pick = view.pick;
    pane.text = view.text;
    pane.ofClassToken = view.ofClassToken;
    pane.block = view.block;
    pane.head = view.head;
    pane.scores.components = view.components;
    pane.singleComponent = view.component.has_value();
    if (view.component) pane.scalar.channel = *view.component;
    for (const int component : view.flipped)
        if (component >= 0 && component < 32) pane.flips |= 1U << component;
    pane.whiten = view.whiten;
    pane.scores.scaling = view.sigmoid ? ScoreScaling::Sigmoid : ScoreScaling::Linear;
    if (view.mask)
        pane.scores.mask = {true, view.mask->component, static_cast<float>(view.mask->threshold),
                            view.mask->keepAbove};
    pane.basis = view.basis == lowResolution ? "shared" : view.basis;
    pane.lowPercent = view.lowPercent;
    pane.highPercent = view.highPercent;
    pane.autoRange = view.ranges.empty();
    if (view.ranges.size() == 3) {
        for (std::size_t i = 0; i < 3; ++i)
            pane.scores.ranges[i] = rangeOf(view.ranges[i]);
    } else if (!view.ranges.empty()) {
        pane.scalar.range = rangeOf(view.ranges.front());
    }
    pane.scalar.map = view.map;
    pane.scalar.reversed = view.reversed;
    pane.scalar.opacityByValue = view.opacityByValue;
    pane.opacity = static_cast<float>(view.opacity);
    pane.smooth = view.smooth;
    return pane;
}

Session sessionOf(const WorkspaceState& state) {
    Session session;
    std::vector<int> places;
    for (const PaneState& pane : state.panes)
        places.push_back(pane.id);
    for (const PaneState& pane : state.panes)
        session.panes.push_back({viewOf(pane, places), viewOf(pane.view)});
    session.selected = placeOf(state.selected, places);
    session.reference = placeOf(state.reference, places);
    session.maximised = placeOf(state.maximised, places);
    session.columns = state.columns;
    session.linked = state.linked;
    session.colorsTogether = state.colorsTogether;
    session.view = viewOf(state.view);
    session.compare = state.compare == CompareMode::Wipe         ? Session::Compare::Wipe
                      : state.compare == CompareMode::Difference ? Session::Compare::Difference
                                                                 : Session::Compare::Off;
    session.wipeHorizontal = state.wipe.edge == WipeEdge::Horizontal;
    session.wipePosition = state.wipe.position;
    for (const Pick& pick : state.picks)
        session.picks.push_back({pick.number, pick.at.x, pick.at.y, pick.color, pick.pinned});
    if (state.activePick >= 0)
        session.activePick = state.picks[static_cast<std::size_t>(state.activePick)].number;
    session.inputSize = state.compute.inputSize;
    session.outputSize = state.compute.outputSize;
    session.device = state.compute.device;
    session.precision = state.compute.precision;
    return session;
}

WorkspaceState stateOf(const Session& session) {
    WorkspaceState state;
    for (const SessionPane& kept : session.panes) {
        if (state.panes.size() == maximumPanes) break;
        PaneState pane = paneStateOf(kept.view);
        pane.id = static_cast<int>(state.panes.size()) + 1;
        pane.view = viewOf(kept.own);
        state.panes.push_back(std::move(pane));
    }
    state.selected = session.selected;
    state.reference = session.reference;
    state.maximised = session.maximised;
    state.columns = session.columns;
    state.linked = session.linked;
    state.colorsTogether = session.colorsTogether;
    state.view = viewOf(session.view);
    state.compare = session.compare == Session::Compare::Wipe         ? CompareMode::Wipe
                    : session.compare == Session::Compare::Difference ? CompareMode::Difference
                                                                      : CompareMode::Off;
    state.wipe.edge = session.wipeHorizontal ? WipeEdge::Horizontal : WipeEdge::Vertical;
    state.wipe.position = session.wipePosition;
    for (const SessionPick& pick : session.picks) {
        if (pick.number == session.activePick)
            state.activePick = static_cast<int>(state.picks.size());
        state.picks.push_back({pick.number, {pick.x, pick.y}, pick.color, pick.pinned});
    }
    state.compute = {session.inputSize, session.outputSize, session.device, session.precision};
    return state;
}

} // namespace loftscope
