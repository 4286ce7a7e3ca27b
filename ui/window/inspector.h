// SPDX-License-Identifier: Apache-2.0
// The panel beside the panes: the pick's values, attention maps to choose from.
#pragma once

#include "ui/panes/pane_model.h"
#include "ui/window/attention_grid.h"
#include "ui/window/picks_table.h"
#include "ui/window/text_field.h"
#include "ui/window/workspace.h"

#include <QWidget>

class QLabel;

namespace loftscope {

class Inspector : public QWidget {
    Q_OBJECT
public:
    /// Both must outlive the widget.
    Inspector(PaneModel* model, Workspace* workspace, QWidget* parent = nullptr);

    AttentionGrid* attentionGrid() const { return grid_; }
    /// As shown: for tests and copying.
    QString attentionText() const;
    QString valuesText() const;
    TextField* text() const { return text_; }
    PicksTable* picks() const { return picks_; }

private:
    void updateAttention();
    /// The attention pane that the grid controls: the selected one, else the first; 0 if none.
    int attentionPane() const;

    PaneModel* model_;
    Workspace* workspace_;
    TextField* text_;
    PicksTable* picks_;
    AttentionGrid* grid_;
    QLabel* attention_;
};

} // namespace loftscope
