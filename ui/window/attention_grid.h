// SPDX-License-Identifier: Apache-2.0
// Every block's and head's attention map as a thumbnail; a click chooses what the pane shows.
#pragma once

#include "core/pipeline/engine.h"

#include <QImage>
#include <QWidget>

#include <vector>

namespace loftscope {

class AttentionGrid : public QWidget {
    Q_OBJECT
public:
    explicit AttentionGrid(QWidget* parent = nullptr);

    /// Null empties the grid.
    void setAttention(const AttentionReady* ready);
    /// Blocks and heads count from 0; -1 is the mean.
    void setChosen(int block, int head);
    /// Where a thumbnail is, for mouse and tests.
    QRect cellOf(int block, int head) const;

    QSize sizeHint() const override;

Q_SIGNALS:
    void chosen(int block, int head);

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    bool event(QEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    struct Cell {
        int block = -1;
        int head = -1;
    };
    bool cellAt(QPoint position, Cell& cell) const;
    QString describe(const Cell& cell) const;
    int cellWidth(int width) const;
    int cellHeight(int width) const;
    int heightFor(int width) const;

    int blocks_ = 0;
    int heads_ = 0;
    Cell chosen_;
    std::vector<QImage> thumbnails_;
    std::vector<AttentionSummary> summaries_;
};

} // namespace loftscope
