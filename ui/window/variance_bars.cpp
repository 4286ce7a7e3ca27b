// SPDX-License-Identifier: Apache-2.0
#include "ui/window/variance_bars.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>

namespace loftscope {

namespace {

constexpr int varianceLabelHeight = 14;

} // namespace

VarianceBars::VarianceBars(QWidget* parent)
    : QWidget(parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setMinimumHeight(66);
}

void VarianceBars::setShares(const std::vector<double>& shares, const std::array<int, 3>& shown,
                             unsigned flips) {
    shares_ = shares;
    shown_ = shown;
    flips_ = flips;
    update();
}

QRect VarianceBars::barOf(int component) const {
    const int count = std::max<int>(1, static_cast<int>(shares_.size()));
    const int left = component * width() / count;
    const int right = (component + 1) * width() / count;
    return {left, 0, right - left - 2, height()};
}

int VarianceBars::componentAt(QPoint position) const {
    for (int i = 0; i < static_cast<int>(shares_.size()); ++i)
        if (barOf(i).contains(position)) return i;
    return -1;
}

void VarianceBars::paintEvent(QPaintEvent* /*event*/) {
    QPainter painter(this);
    const QColor ink = palette().color(QPalette::WindowText);
    QFont small = font();
    small.setPointSizeF(std::max(6.0, small.pointSizeF() * 0.8));
    painter.setFont(small);
    if (shares_.empty()) {
        painter.setPen(ink);
        painter.drawText(rect(), Qt::AlignCenter, tr("No basis yet"));
        return;
    }
    const double highest = std::max(1e-9, *std::ranges::max_element(shares_));
    const int room = height() - 2 * varianceLabelHeight;
    for (int i = 0; i < static_cast<int>(shares_.size()); ++i) {
        const QRect cell = barOf(i);
        const double share = shares_[static_cast<std::size_t>(i)];
        const int h = std::max(1, static_cast<int>(share / highest * room));
        const bool isShown = std::ranges::find(shown_, i) != shown_.end();
        QColor color = ink;
        color.setAlpha(90);
        if (isShown) {
            // The colour as which it is shown; one alone has none.
            const bool alone = shown_[0] == shown_[1] && shown_[1] == shown_[2];
            color = alone ? ink
                          : QColor(i == shown_[0] ? 220 : 70, i == shown_[1] ? 190 : 70,
                                   i == shown_[2] ? 235 : 70);
        }
        const QRect bar(cell.left(), varianceLabelHeight + room - h, cell.width(), h);
        painter.fillRect(bar, color);
        painter.setPen(ink);
        painter.drawText(
            QRect(cell.left(), bar.top() - varianceLabelHeight, cell.width(), varianceLabelHeight),
            Qt::AlignCenter, QString::number(share * 100, 'f', share < 0.0995 ? 1 : 0));
        const bool flipped = i < 32 && (flips_ >> i & 1U) != 0;
        painter.drawText(
            QRect(cell.left(), height() - varianceLabelHeight, cell.width(), varianceLabelHeight),
            Qt::AlignCenter,
            (flipped ? QString(QChar(0x2212)) : QString()) + QString::number(i + 1));
    }
}

void VarianceBars::mousePressEvent(QMouseEvent* event) {
    const int component = componentAt(event->pos());
    if (component >= 0 && event->button() == Qt::LeftButton) Q_EMIT tripleChosen(component / 3 * 3);
}

void VarianceBars::mouseDoubleClickEvent(QMouseEvent* event) {
    const int component = componentAt(event->pos());
    if (component >= 0) Q_EMIT componentChosen(component);
}

bool VarianceBars::event(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const int component = componentAt(help->pos());
        if (component < 0) {
            QToolTip::hideText();
        } else {
            QToolTip::showText(
                help->globalPos(),
                tr("Component %1 holds %2 % of the variance. Click: show these "
                   "three as colours. Double click: this one alone.")
                    .arg(component + 1)
                    .arg(shares_[static_cast<std::size_t>(component)] * 100, 0, 'f', 1),
                this);
        }
        return true;
    }
    return QWidget::event(event);
}

} // namespace loftscope
