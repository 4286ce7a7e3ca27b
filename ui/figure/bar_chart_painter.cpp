// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/bar_chart_painter.h"

#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/figure/axis.h"
#include "ui/figure/figure_layout.h"
#include "ui/figure/figure_text.h"
#include "ui/figure/gui_application.h"

#include <QBuffer>
#include <QFontMetricsF>
#include <QImage>
#include <QPageSize>
#include <QPainter>
#include <QPdfWriter>
#include <QSvgGenerator>
#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace loftscope {

namespace {

constexpr qreal margin = 12;
constexpr qreal rowHeight = 26;
constexpr qreal chartBarHeight = 16;
constexpr qreal gap = 8;
constexpr qreal titleHeight = 22;
constexpr qreal axisHeight = 20;

qreal captionHeight(const EvaluationChart& chart, qreal width) {
    if (chart.caption.empty()) return 0;
    return QFontMetricsF(figureFont(letters::notes))
               .boundingRect(QRectF(0, 0, width - 2 * margin, 1000), Qt::TextWordWrap,
                             QString::fromStdString(chart.caption))
               .height() +
           gap;
}

QString valueText(const ChartBar& bar) {
    QString text = QString::number(bar.value, 'f', 1);
    if (bar.gain) {
        const QString sign = *bar.gain < 0 ? QString(QChar(0x2212)) : QStringLiteral("+");
        text += QStringLiteral("  (%1%2)").arg(sign).arg(std::abs(*bar.gain), 0, 'f', 1);
    }
    return text;
}

Result<QByteArray> asVector(const EvaluationChart& chart, qreal width, bool pdf) {
    const QSizeF size = barChartSize(chart, width);
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (pdf) {
        QPdfWriter writer(&buffer);
        writer.setCreator(QStringLiteral("LoftScope"));
        constexpr int resolution = 1200;
        constexpr qreal pointsPerUnit = 0.5; // as other figures
        writer.setResolution(resolution);
        writer.setPageMargins(QMarginsF());
        writer.setPageSize(
            QPageSize(size * pointsPerUnit, QPageSize::Point, {}, QPageSize::ExactMatch));
        QPainter painter(&writer);
        painter.scale(pointsPerUnit / 72 * resolution, pointsPerUnit / 72 * resolution);
        paintBarChart(painter, chart, width);
    } else {
        QSvgGenerator generator;
        generator.setOutputDevice(&buffer);
        generator.setResolution(96);
        generator.setSize(size.toSize());
        generator.setViewBox(QRectF(QPointF(), size));
        generator.setDescription(QString::fromStdString(chart.caption));
        QPainter painter(&generator);
        paintBarChart(painter, chart, width);
    }
    return bytes;
}

Result<QByteArray> asPng(const EvaluationChart& chart, qreal width) {
    constexpr qreal scale = 3;
    QImage canvas((barChartSize(chart, width) * scale).toSize(), QImage::Format_RGB888);
    QPainter painter(&canvas);
    painter.scale(scale, scale);
    paintBarChart(painter, chart, width);
    painter.end();
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!canvas.save(&buffer, "png"))
        return fail(ErrorCode::WriteFailed, "Encoding the chart failed: use .svg or .pdf.");
    return bytes;
}

} // namespace

QSizeF barChartSize(const EvaluationChart& chart, qreal width) {
    return {width, margin + titleHeight + rowHeight * static_cast<qreal>(chart.bars.size()) +
                       axisHeight + gap + captionHeight(chart, width) + margin};
}

void paintBarChart(QPainter& painter, const EvaluationChart& chart, qreal width,
                   const ChartColors& colors) {
    const QSizeF size = barChartSize(chart, width);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.fillRect(QRectF(QPointF(), size), colors.ground);
    painter.setPen(colors.ink);
    const FittedText title =
        fittedText(chart.measure, letters::title, Weight::Bold, width - 2 * margin);
    painter.setFont(title.font);
    painter.drawText(QRectF(margin, margin, width - 2 * margin, titleHeight), Qt::AlignLeft,
                     title.text);

    const QFontMetricsF metrics(figureFont(letters::subtitle));
    qreal names = 0;
    qreal values = 0;
    double highest = 0;
    for (const ChartBar& bar : chart.bars) {
        names = std::max(names, metrics.horizontalAdvance(QString::fromStdString(bar.title)));
        values = std::max(values, metrics.horizontalAdvance(valueText(bar)));
        highest = std::max({highest, bar.value, bar.interval.high});
    }
    names = std::min(names, width * 0.35);
    const qreal left = margin + names + gap;
    const qreal right = std::max(left + 20, width - margin - values - gap);
    const qreal top = margin + titleHeight;
    const qreal bottom = top + rowHeight * static_cast<qreal>(chart.bars.size());
    // From 0, so that lengths can be compared.
    const double end = highest > 0 ? highest * 1.02 : 1;
    const auto xOf = [&](double value) {
        return left + (right - left) * std::clamp(value / end, 0.0, 1.0);
    };

    const Axis axis = niceAxis(0, end);
    painter.setFont(figureFont(letters::ticks));
    for (const Tick& tick : axis.ticks) {
        const qreal x = xOf(tick.value);
        painter.setPen(QPen(colors.line, 0.8));
        painter.drawLine(QPointF(x, top), QPointF(x, bottom + 3));
        painter.setPen(colors.quiet);
        painter.drawText(QRectF(x - 40, bottom + 4, 80, axisHeight - 4),
                         Qt::AlignHCenter | Qt::AlignTop, QString::fromStdString(tick.label));
    }
    for (std::size_t i = 0; i < chart.bars.size(); ++i) {
        const ChartBar& bar = chart.bars[i];
        const qreal middle = top + rowHeight * (static_cast<qreal>(i) + 0.5);
        const FittedText name = fittedText(bar.title, letters::subtitle, Weight::Regular, names);
        painter.setPen(colors.ink);
        painter.setFont(name.font);
        painter.drawText(QRectF(margin, middle - rowHeight / 2, names + 1, rowHeight),
                         Qt::AlignRight | Qt::AlignVCenter, name.text);
        painter.fillRect(QRectF(QPointF(left, middle - chartBarHeight / 2),
                                QPointF(xOf(bar.value), middle + chartBarHeight / 2)),
                         i == 0 ? colors.first : colors.bar);
        painter.setPen(QPen(colors.ink, 1.2));
        const qreal low = xOf(bar.interval.low);
        const qreal high = xOf(bar.interval.high);
        painter.drawLine(QPointF(low, middle), QPointF(high, middle));
        for (const qreal x : {low, high})
            painter.drawLine(QPointF(x, middle - 4), QPointF(x, middle + 4));
        painter.setFont(figureFont(letters::subtitle));
        painter.drawText(QRectF(right + gap, middle - rowHeight / 2, values + 1, rowHeight),
                         Qt::AlignLeft | Qt::AlignVCenter, valueText(bar));
    }
    if (!chart.caption.empty()) {
        painter.setPen(colors.quiet);
        painter.setFont(figureFont(letters::notes));
        painter.drawText(QRectF(margin, bottom + axisHeight + gap, width - 2 * margin, 1000),
                         Qt::TextWordWrap, QString::fromStdString(chart.caption));
    }
}

Result<void> writeBarChart(const EvaluationChart& chart, const std::filesystem::path& path) {
    return guarded("writing the chart", [&]() -> Result<void> {
        LOFTSCOPE_CHECK(ensureGuiApplication());
        const std::string ending = path.extension().string();
        constexpr qreal width = 560;
        if (ending != ".pdf" && ending != ".svg" && ending != ".png")
            return fail(ErrorCode::Unsupported,
                        fmt::format("Cannot tell the format of the chart '{}': let the name end in "
                                    ".svg, .pdf or .png.",
                                    path.string()));
        LOFTSCOPE_TRY(const QByteArray bytes, ending == ".png"
                                                  ? asPng(chart, width)
                                                  : asVector(chart, width, ending == ".pdf"));
        return writeFile(path, std::as_bytes(std::span(bytes.constData(),
                                                       static_cast<std::size_t>(bytes.size()))));
    });
}

} // namespace loftscope
