// SPDX-License-Identifier: Apache-2.0
// The names beside and above a table as plain text, without the frames of a spreadsheet.
#pragma once

#include <QHeaderView>

namespace loftscope {

class PlainHeader : public QHeaderView {
    Q_OBJECT
public:
    explicit PlainHeader(Qt::Orientation orientation, QWidget* parent = nullptr);

protected:
    void paintSection(QPainter* painter, const QRect& rect, int index) const override;
    QSize sectionSizeFromContents(int index) const override;
};

} // namespace loftscope
