// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/figure_text.h"

#include <QFontDatabase>
#include <QFontMetricsF>
#include <QStringList>
#include <QTextLayout>

namespace loftscope {

namespace {

QString embeddedFamily() {
    static const QString family = [] {
        const int regular =
            QFontDatabase::addApplicationFont(QStringLiteral(":/fonts/DejaVuSans.ttf"));
        QFontDatabase::addApplicationFont(QStringLiteral(":/fonts/DejaVuSans-Bold.ttf"));
        const QStringList families = QFontDatabase::applicationFontFamilies(regular);
        return families.isEmpty() ? QStringLiteral("sans-serif") : families.front();
    }();
    return family;
}

} // namespace

QFont figureFont(int pixels, Weight weight) {
    QFont font(embeddedFamily());
    font.setPixelSize(pixels);
    font.setBold(weight == Weight::Bold);
    font.setHintingPreference(QFont::PreferNoHinting);
    font.setStyleStrategy(
        static_cast<QFont::StyleStrategy>(QFont::PreferAntialias | QFont::NoSubpixelAntialias));
    return font;
}

FittedText fittedText(const std::string& text, int pixels, Weight weight, qreal width) {
    const QString line = QString::fromStdString(text).simplified();
    const int smallest = pixels - pixels / 5;
    for (int size = pixels; size >= smallest; --size) {
        const QFont font = figureFont(size, weight);
        if (QFontMetricsF(font).horizontalAdvance(line) <= width) return {line, font};
    }
    const QFont font = figureFont(smallest, weight);
    return {QFontMetricsF(font).elidedText(line, Qt::ElideRight, width), font};
}

std::vector<QString> wrappedText(const std::string& text, int pixels, qreal width) {
    std::vector<QString> lines;
    QTextLayout layout(QString::fromStdString(text).simplified(), figureFont(pixels));
    layout.beginLayout();
    for (QTextLine line = layout.createLine(); line.isValid(); line = layout.createLine()) {
        line.setLineWidth(width);
        lines.push_back(layout.text().mid(line.textStart(), line.textLength()).trimmed());
    }
    layout.endLayout();
    return lines;
}

} // namespace loftscope
