// SPDX-License-Identifier: Apache-2.0
// Commands about what the panes show: picks, attention heads, PCA basis and colours.
#pragma once

#include <QStringList>

namespace loftscope {

class ColorsPanel;
class Commands;
class PaneModel;
class Workspace;

/// Adds them all; model, workspace and panel must outlive the commands' last use.
void addPaneCommands(Commands& commands, PaneModel& model, Workspace& workspace,
                     ColorsPanel& panel);

/// Their ids for the menu "Analyse", an empty one for each separator.
QStringList analyseCommands();
/// Those for the menu "Edit".
QStringList pickCommands();

} // namespace loftscope
