// SPDX-License-Identifier: Apache-2.0
#include "ui/window/attention_grid.h"

#include "core/image/color_map.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QResizeEvent>
#include <QToolTip>

#include <algorithm>

namespace loftscope {

namespace {

constexpr int labelWidth = 38;
constexpr int labelHeight = 18;
constexpr int spacing = 3;

QImage thumbnailOf(const FloatMap& map, double peak) {
    QImage image(static_cast<int>(map.extent.width), static_cast<int>(map.extent.height),
                 QImage::Format_RGB32);
    const auto scale = static_cast<float>(peak > 0 ? 1 / peak : 0);
    std::size_t i = 0;
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
            const auto rgb = colorAt(ColorMap::Viridis, map.values[i++] * scale);
            image.setPixel(x, y, qRgb(rgb[0], rgb[1], rgb[2]));
        }
    }
    return image;
}

} // namespace

AttentionGrid::AttentionGrid(QWidget* parent)
    : QWidget(parent) {
    setObjectName("attentionGrid");
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    setFixedHeight(heightFor(width()));
    setAccessibleName(tr("Attention maps by block and head"));
}

void AttentionGrid::setAttention(const AttentionReady* ready) {
    thumbnails_.clear();
    blocks_ = ready != nullptr ? ready->blocks : 0;
    heads_ = ready != nullptr ? ready->heads : 0;
    summaries_ = ready != nullptr ? ready->summaries : std::vector<AttentionSummary>();
    for (std::size_t i = 0; i < summaries_.size(); ++i)
        thumbnails_.push_back(thumbnailOf(*ready->maps[i], summaries_[i].peak));
    setFixedHeight(heightFor(width()));
    update();
}

void AttentionGrid::setChosen(int block, int head) {
    chosen_ = {block, head};
    update();
}

int AttentionGrid::cellWidth(int width) const {
    return std::max(8, (width - labelWidth) / std::max(1, heads_ + 1) - spacing);
}

int AttentionGrid::cellHeight(int width) const {
    if (thumbnails_.empty()) return 0;
    const QImage& first = thumbnails_.front();
    return std::max(8, cellWidth(width) * first.height() / std::max(1, first.width()));
}

QRect AttentionGrid::cellOf(int block, int head) const {
    const int w = cellWidth(width());
    const int h = cellHeight(width());
    return {labelWidth + (head + 1) * (w + spacing), labelHeight + (block + 1) * (h + spacing), w,
            h};
}

QSize AttentionGrid::sizeHint() const {
    return {240, heightFor(240)};
}

int AttentionGrid::heightFor(int width) const {
    if (thumbnails_.empty()) return 2 * labelHeight;
    return labelHeight + (blocks_ + 1) * (cellHeight(width) + spacing);
}

void AttentionGrid::resizeEvent(QResizeEvent* event) {
    setFixedHeight(heightFor(event->size().width()));
}

void AttentionGrid::paintEvent(QPaintEvent* /*event*/) {
    QPainter painter(this);
    painter.setPen(palette().color(QPalette::WindowText));
    if (thumbnails_.empty()) {
        painter.drawText(rect(), Qt::AlignLeft | Qt::AlignTop | Qt::TextWordWrap,
                         tr("Click a pixel in a pane."));
        return;
    }
    QFont small = font();
    small.setPointSizeF(std::max(6.0, small.pointSizeF() * 0.85));
    painter.setFont(small);
    for (int head = -1; head < heads_; ++head) {
        QRect cell = cellOf(-1, head);
        cell.moveTop(0);
        cell.setHeight(labelHeight - 2);
        painter.drawText(cell, Qt::AlignCenter, head < 0 ? tr("mean") : tr("h%1").arg(head + 1));
    }
    for (int block = -1; block < blocks_; ++block) {
        QRect cell = cellOf(block, -1);
        cell.setLeft(0);
        cell.setWidth(labelWidth - 4);
        painter.drawText(cell, Qt::AlignVCenter | Qt::AlignRight,
                         block < 0 ? tr("mean") : tr("b%1").arg(block + 1));
        for (int head = -1; head < heads_; ++head) {
            const auto index = static_cast<std::size_t>((block + 1) * (heads_ + 1) + head + 1);
            const QRect thumbnail = cellOf(block, head);
            painter.drawImage(thumbnail, thumbnails_[index]);
            if (block == chosen_.block && head == chosen_.head) {
                QPen pen(palette().color(QPalette::WindowText));
                pen.setWidth(2);
                painter.setPen(pen);
                painter.drawRect(thumbnail.adjusted(-1, -1, 1, 1));
            }
        }
    }
}

bool AttentionGrid::cellAt(QPoint position, Cell& cell) const {
    for (int block = -1; block < blocks_; ++block) {
        for (int head = -1; head < heads_; ++head) {
            if (!cellOf(block, head).contains(position)) continue;
            cell = {block, head};
            return true;
        }
    }
    return false;
}

void AttentionGrid::mousePressEvent(QMouseEvent* event) {
    Cell cell;
    if (event->button() == Qt::LeftButton && cellAt(event->pos(), cell))
        Q_EMIT chosen(cell.block, cell.head);
}

QString AttentionGrid::describe(const Cell& cell) const {
    const auto index = static_cast<std::size_t>((cell.block + 1) * (heads_ + 1) + cell.head + 1);
    const AttentionSummary& summary = summaries_[index];
    return tr("%1, %2: entropy %3 bit, peak %4. Bright is the largest share of this map.")
        .arg(cell.block < 0 ? tr("Mean of blocks") : tr("Block %1").arg(cell.block + 1),
             cell.head < 0 ? tr("mean of heads") : tr("head %1").arg(cell.head + 1))
        .arg(summary.entropyBits, 0, 'f', 2)
        .arg(summary.peak, 0, 'g', 3);
}

bool AttentionGrid::event(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        Cell cell;
        if (cellAt(help->pos(), cell)) {
            QToolTip::showText(help->globalPos(), describe(cell), this);
        } else {
            QToolTip::hideText();
        }
        return true;
    }
    return QWidget::event(event);
}

} // namespace loftscope
