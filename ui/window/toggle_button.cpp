// SPDX-License-Identifier: Apache-2.0
#include "ui/window/toggle_button.h"

#include <QPainter>

namespace loftscope {

ToggleButton::ToggleButton(const QString& text, QWidget* parent)
    : QToolButton(parent) {
    setText(text);
    setCheckable(true);
}

void ToggleButton::paintEvent(QPaintEvent* event) {
    QToolButton::paintEvent(event);
    if (!isChecked()) return;
    QPainter painter(this);
    const QColor ink =
        palette().color(isEnabled() ? QPalette::Normal : QPalette::Disabled, QPalette::ButtonText);
    painter.fillRect(QRect(5, height() - 5, width() - 10, 2), ink);
}

} // namespace loftscope
