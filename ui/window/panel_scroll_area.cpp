// SPDX-License-Identifier: Apache-2.0
#include "ui/window/panel_scroll_area.h"

#include <QScrollBar>

namespace loftscope {

namespace {

class UnobtrusiveScrollBar : public QScrollBar {
protected:
    void paintEvent(QPaintEvent* event) override {
        if (maximum() > minimum()) QScrollBar::paintEvent(event);
    }
};

} // namespace

PanelScrollArea::PanelScrollArea(QWidget* content) {
    setWidgetResizable(true);
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setVerticalScrollBar(new UnobtrusiveScrollBar);
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn);
    setWidget(content);
}

} // namespace loftscope
