// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/figure_text.h"

#include <QFontDatabase>
#include <QFontMetricsF>
#include <QStringList>

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

} // namespace loftscope
