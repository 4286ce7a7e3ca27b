// SPDX-License-Identifier: Apache-2.0
// Every pane's value at the cursor and at every pick, side by side; the picks to activate, pin and
// delete.
#pragma once

#include "ui/panes/pane_model.h"

#include <QTimer>
#include <QWidget>

class QAbstractButton;
class QLabel;
class QPushButton;
class QTableWidget;

namespace loftscope {

class PicksTable : public QWidget {
    Q_OBJECT
public:
    /// `model` must outlive the widget.
    explicit PicksTable(PaneModel* model, QWidget* parent = nullptr);

    /// Tab-separated, as shown: for copying and tests.
    QString text() const;
    /// Text of a cell: row 0 is the position, then one per pane; column 0 the cursor, then the
    /// picks.
    QString textAt(int row, int column) const;
    QAbstractButton* pinButton() const { return pin_; }
    QPushButton* removeButton() const { return remove_; }
    QTableWidget* table() const { return table_; }

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void refreshSoon();
    void refresh();
    void refreshCursor();
    void fillColumn(int column, const std::optional<glm::dvec2>& at);
    void set(int row, int column, const QString& text, const QColor& swatch = {});

    PaneModel* model_;
    QTimer soon_;
    QTableWidget* table_;
    QLabel* hint_;
    QAbstractButton* pin_;
    QPushButton* remove_;
    QPushButton* clear_;
};

} // namespace loftscope
