// SPDX-License-Identifier: Apache-2.0
#include "ui/window/theme.h"

#include <QApplication>
#include <QPalette>
#include <QString>
#include <QStyleFactory>
#include <QToolTip>

namespace loftscope {

namespace {

QColor gray(int level) {
    return {level, level, level};
}

QPalette paletteOf(bool dark) {
    QPalette palette;
    const QColor text = gray(dark ? 214 : 28);
    palette.setColor(QPalette::Window, gray(dark ? 45 : 238));
    palette.setColor(QPalette::WindowText, text);
    palette.setColor(QPalette::Base, gray(dark ? 30 : 252));
    palette.setColor(QPalette::AlternateBase, gray(dark ? 38 : 244));
    palette.setColor(QPalette::Text, text);
    palette.setColor(QPalette::Button, gray(dark ? 58 : 226));
    palette.setColor(QPalette::ButtonText, text);
    palette.setColor(QPalette::BrightText, text);
    palette.setColor(QPalette::ToolTipBase, gray(dark ? 30 : 252));
    palette.setColor(QPalette::ToolTipText, text);
    palette.setColor(QPalette::PlaceholderText, gray(dark ? 150 : 98));
    palette.setColor(QPalette::Highlight, gray(dark ? 110 : 150));
    palette.setColor(QPalette::HighlightedText, gray(dark ? 250 : 10));
    // Fusion's own are bluish or, in the dark, too light.
    palette.setColor(QPalette::Light, gray(dark ? 70 : 255));
    palette.setColor(QPalette::Midlight, gray(dark ? 60 : 232));
    palette.setColor(QPalette::Mid, gray(dark ? 84 : 176));
    palette.setColor(QPalette::Dark, gray(dark ? 28 : 160));
    palette.setColor(QPalette::Shadow, gray(dark ? 10 : 110));
    palette.setColor(QPalette::Link, gray(dark ? 230 : 20));
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
        palette.setColor(QPalette::Disabled, role, gray(dark ? 120 : 140));
    palette.setColor(QPalette::Disabled, QPalette::Highlight, gray(dark ? 70 : 210));
    return palette;
}

QString styleSheetOf(bool dark) {
    return QString("QToolTip { color: %1; background: %2; border: 1px solid %3; padding: 3px; }"
                   "QStatusBar::item { border: 0; }"
                   "QDockWidget::title { padding: 4px 6px; background: %4; }"
                   "QHeaderView::section { border: 0; border-bottom: 1px solid %3;"
                   " padding: 3px 6px; background: %5; }"
                   "QMainWindow::separator { background: %6; width: 3px; height: 3px; }")
        .arg(gray(dark ? 214 : 28).name(), gray(dark ? 30 : 252).name(),
             gray(dark ? 84 : 176).name(), gray(dark ? 52 : 228).name(),
             gray(dark ? 45 : 238).name(), gray(dark ? 28 : 206).name());
}

} // namespace

void applyTheme(bool dark) {
    QApplication::setStyle(QStyleFactory::create("Fusion"));
    QApplication::setPalette(paletteOf(dark));
    QToolTip::setPalette(paletteOf(dark));
    static_cast<QApplication*>(QCoreApplication::instance())->setStyleSheet(styleSheetOf(dark));
}

} // namespace loftscope
