// SPDX-License-Identifier: Apache-2.0
#include "ui/window/plain_header.h"

#include <QIcon>
#include <QPainter>

namespace loftscope {

namespace {

constexpr int iconSide = 14;
constexpr int headerMargin = 3;

QFont fontOf(const QHeaderView& header, int index) {
    const QVariant own = header.model()->headerData(index, header.orientation(), Qt::FontRole);
    return own.isValid() ? qvariant_cast<QFont>(own) : header.font();
}

} // namespace

PlainHeader::PlainHeader(Qt::Orientation orientation, QWidget* parent)
    : QHeaderView(orientation, parent) {
    setSectionResizeMode(QHeaderView::ResizeToContents);
    setMinimumSectionSize(16);
    setHighlightSections(false);
    viewport()->setAutoFillBackground(false);
    setFrameShape(QFrame::NoFrame);
}

void PlainHeader::paintSection(QPainter* painter, const QRect& rect, int index) const {
    QRect room = rect.adjusted(headerMargin, 0, -headerMargin, 0);
    const QVariant icon = model()->headerData(index, orientation(), Qt::DecorationRole);
    if (const auto picture = qvariant_cast<QPixmap>(icon); !picture.isNull()) {
        painter->drawPixmap(
            QRect(room.left(), room.center().y() - iconSide / 2 + 1, iconSide, iconSide), picture);
        room.setLeft(room.left() + iconSide + headerMargin);
    }
    painter->save();
    painter->setFont(fontOf(*this, index));
    painter->setPen(palette().color(QPalette::WindowText));
    painter->drawText(room, Qt::AlignLeft | Qt::AlignVCenter,
                      model()->headerData(index, orientation()).toString());
    painter->restore();
}

QSize PlainHeader::sectionSizeFromContents(int index) const {
    const QFontMetrics metrics(fontOf(*this, index));
    const QString text = model()->headerData(index, orientation()).toString();
    const bool hasIcon = model()->headerData(index, orientation(), Qt::DecorationRole).isValid();
    return {metrics.horizontalAdvance(text) + 2 * headerMargin + 2 +
                (hasIcon ? iconSide + headerMargin : 0),
            metrics.height() + 2};
}

} // namespace loftscope
