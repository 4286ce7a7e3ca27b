// SPDX-License-Identifier: Apache-2.0
// The menu of a pane: what it shows, how, and what to do with it.
#pragma once

class QMenu;

namespace loftscope {

class PaneModel;
class Workspace;

/// Appends the entries for a pane that exists. Their actions hold on to model and workspace, which
/// must outlive the menu.
void fillPaneMenu(QMenu& menu, PaneModel& model, Workspace& workspace, int pane);

} // namespace loftscope
