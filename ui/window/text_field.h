// SPDX-License-Identifier: Apache-2.0
// Where a text is written whose likeness panes show (CLIP, SigLIP).
#pragma once

#include "ui/panes/pane_model.h"

#include <QLineEdit>

namespace loftscope {

/// The text of the panes that show one: the selected pane's, else the first's; empty if none does.
QString textOfPanes(const PaneModel& model);

/// Gives every pane that shows a text this one, as one step of undo. Where there is none yet, maps
/// among the low-res features and those of the selected pane's method are added (bilinear where
/// that has none).
void askForText(PaneModel& model, const QString& text);

class TextField : public QLineEdit {
    Q_OBJECT
public:
    /// `model` must outlive the field.
    explicit TextField(PaneModel* model, QWidget* parent = nullptr);

private:
    void follow();

    PaneModel* model_;
};

} // namespace loftscope
