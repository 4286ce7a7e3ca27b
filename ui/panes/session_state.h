// SPDX-License-Identifier: Apache-2.0
// Between what the window shows and what a session file keeps.
#pragma once

#include "core/session/session.h"
#include "ui/panes/pane_state.h"

namespace loftscope {

/// The parts of a session that follow from the state: panes, views, comparison, picks, sizes,
/// device. Places of panes are counted from 1, in their order.
Session sessionOf(const WorkspaceState& state);

/// The inverse; pane ids are their places. Choices that were made for values that are not there
/// yet (fixed ranges) are kept.
WorkspaceState stateOf(const Session& session);

/// One pane. `places`: the ids of all panes, in their order.
PaneView viewOf(const PaneState& pane, const std::vector<int>& places);
PaneState paneStateOf(const PaneView& view);

} // namespace loftscope
