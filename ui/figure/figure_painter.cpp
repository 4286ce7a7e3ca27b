// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/figure_painter.h"

#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/image/encode.h"
#include "core/image/pillow_resize.h"
#include "ui/figure/figure_layout.h"
#include "ui/figure/figure_text.h"
#include "ui/figure/gui_application.h"

#include <QBuffer>
#include <QFontMetricsF>
#include <QImage>
#include <QImageWriter>
#include <QPageSize>
#include <QPainter>
#include <QPainterPath>
#include <QPdfWriter>
#include <QSvgGenerator>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

const QColor ink(0x1b, 0x1f, 0x24);
const QColor quietInk(0x5b, 0x64, 0x70);
const QColor hairline(0xc9, 0xcd, 0xd3);
const QColor letterbox(0xf3, 0xf4, 0xf6);

QColor toQColor(const std::array<std::uint8_t, 3>& color) {
    return {color[0], color[1], color[2]};
}

/// A view of the picture's pixels; `picture` must outlive it.
QImage viewOf(const Image& picture) {
    return {picture.pixels().data(), static_cast<int>(picture.width()),
            static_cast<int>(picture.height()), static_cast<qsizetype>(picture.width() * 3),
            QImage::Format_RGB888};
}

Image enlargedCells(const Image& picture, Extent size) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size.area()) * 3);
    std::uint8_t* to = pixels.data();
    for (std::int64_t y = 0; y < size.height; ++y) {
        // The cell under the centre of the pixel.
        const std::uint8_t* row = picture.row((2 * y + 1) * picture.height() / (2 * size.height));
        for (std::int64_t x = 0; x < size.width; ++x, to += 3)
            std::copy_n(row + 3 * ((2 * x + 1) * picture.width() / (2 * size.width)), 3, to);
    }
    return {size, std::move(pixels)};
}

/// A picture as it is shown on `size` pixels (see FigurePane::smooth). Axes of a map that shrink
/// are averaged, axes that grow keep crisp cells.
Image resampled(const Image& picture, bool smooth, Extent size) {
    if (smooth) return pillowResize(picture, size, PillowFilter::Bicubic);
    const Extent averaged{std::min(size.height, picture.height()),
                          std::min(size.width, picture.width())};
    return enlargedCells(pillowResize(picture, averaged, PillowFilter::Box), size);
}

/// The part of a picture that an inset shows, in whole pixels of the picture, at least one.
Rect partOf(const Image& picture, const Inset& inset) {
    const auto span = [](double begin, double length, std::int64_t limit) {
        const auto of = static_cast<double>(limit);
        const auto first = std::clamp<std::int64_t>(std::lround(begin * of), 0,
                                                    std::max<std::int64_t>(limit - 1, 0));
        const auto last =
            std::clamp<std::int64_t>(std::lround((begin + length) * of), first + 1, limit);
        return std::pair{first, last - first};
    };
    const auto [x, width] = span(inset.x, inset.width, picture.width());
    const auto [y, height] = span(inset.y, inset.height, picture.height());
    return {x, y, width, height};
}

Image croppedTo(const Image& picture, const Rect& part) {
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(part.area()) * 3);
    for (std::int64_t y = part.y; y < part.bottom(); ++y) {
        const std::uint8_t* row = picture.row(y) + part.x * 3;
        pixels.insert(pixels.end(), row, row + part.width * 3);
    }
    return {{part.height, part.width}, std::move(pixels)};
}

/// Draws a figure with a painter whose units are pixels at 1x.
class FigurePainter {
public:
    /// `pixelsPerUnit`: of pictures. `toPixels`: the device is made of exactly these pixels.
    /// `textAsPaths`: outlines instead of letters.
    FigurePainter(QPainter& painter, qreal pixelsPerUnit, bool toPixels, bool textAsPaths)
        : painter_(painter)
        , pixelsPerUnit_(pixelsPerUnit)
        , toPixels_(toPixels)
        , textAsPaths_(textAsPaths) {
        painter_.setRenderHint(QPainter::Antialiasing);
        painter_.setRenderHint(QPainter::TextAntialiasing);
    }

    void paint(const FigureSpec& spec, const FigureLayout& layout) {
        painter_.fillRect(QRectF(QPointF(), layout.size), Qt::white);
        line(spec.title, letters::figureTitle, Weight::Bold, ink, layout.title);
        // All titles in the size of the one that has to be smallest.
        for (std::size_t i = 0; i < spec.panes.size(); ++i)
            if (!spec.panes[i].title.empty())
                titleSize_ =
                    std::min(titleSize_, fittedText(spec.panes[i].title, letters::title,
                                                    Weight::Bold, layout.panes[i].title.width())
                                             .font.pixelSize());
        for (std::size_t i = 0; i < spec.panes.size(); ++i)
            pane(spec.panes[i], layout.panes[i]);
        for (std::size_t i = 0; i < layout.columnLabels.size(); ++i)
            label(spec.columnLabels[i], layout.columnLabels[i].width(),
                  layout.columnLabels[i].center(), 0);
        for (std::size_t i = 0; i < layout.rowLabels.size(); ++i)
            label(spec.rowLabels[i], layout.rowLabels[i].height(), layout.rowLabels[i].center(),
                  -90);
        for (std::size_t i = 0; i < spec.notes.size(); ++i)
            note(spec.notes[i], layout.notes[i]);
    }

private:
    void line(const std::string& words, int pixels, Weight weight, const QColor& color,
              const QRectF& place) {
        if (words.empty()) return;
        const FittedText fitted = fittedText(words, pixels, weight, place.width());
        text(QPointF(place.left(), place.bottom() - QFontMetricsF(fitted.font).descent()),
             fitted.text, fitted.font, color);
    }

    void text(const QPointF& baseline, const QString& words, const QFont& font,
              const QColor& color) {
        if (textAsPaths_) {
            QPainterPath outline;
            outline.addText(baseline, font, words);
            painter_.fillPath(outline, color);
            return;
        }
        painter_.setFont(font);
        painter_.setPen(color);
        painter_.drawText(baseline, words);
    }

    /// A row's or a column's name, centred; `degrees` clockwise.
    void label(const std::string& words, qreal length, const QPointF& centre, qreal degrees) {
        if (words.empty()) return;
        const FittedText fitted = fittedText(words, letters::title, Weight::Bold, length);
        const QFontMetricsF metrics(fitted.font);
        painter_.save();
        painter_.translate(centre);
        painter_.rotate(degrees);
        text(QPointF(-metrics.horizontalAdvance(fitted.text) / 2,
                     (metrics.ascent() - metrics.descent()) / 2),
             fitted.text, fitted.font, ink);
        painter_.restore();
    }

    void note(const std::string& words, const QRectF& place) {
        const QFont font = figureFont(letters::notes);
        const QFontMetricsF metrics(font);
        const std::vector<QString> lines = wrappedText(words, letters::notes, place.width());
        const qreal lineHeight =
            place.height() / static_cast<qreal>(std::max<std::size_t>(lines.size(), 1));
        qreal baseline = place.top() + metrics.ascent();
        for (const QString& each : lines) {
            text(QPointF(place.left(), baseline), each, font, quietInk);
            baseline += lineHeight;
        }
    }

    void image(const QRectF& place, const Image& pixels) {
        if (!toPixels_) {
            painter_.drawImage(place, viewOf(pixels));
            return;
        }
        // One to one: no resampling by the painter.
        const QPointF corner = place.topLeft() * pixelsPerUnit_;
        painter_.save();
        painter_.resetTransform();
        painter_.drawImage(QPoint(qRound(corner.x()), qRound(corner.y())), viewOf(pixels));
        painter_.restore();
    }

    void pane(const FigurePane& pane, const PaneLayout& place) {
        line(pane.title, titleSize_, Weight::Bold, ink, place.title);
        line(pane.subtitle, letters::subtitle, Weight::Regular, quietInk, place.subtitle);
        const qreal edge = 1 / pixelsPerUnit_;
        painter_.fillRect(place.box.adjusted(-edge, -edge, edge, edge), hairline);
        painter_.fillRect(place.box, letterbox);
        image(place.picture, resampled(pane.picture, pane.smooth, pixelsOf(place.picture)));
        for (const Marker& each : pane.markers)
            marker(each, place.picture);
        for (const Inset& each : pane.insets)
            inset(each, pane, place.picture);
        if (pane.bar && place.bar) bar(*pane.bar, *place.bar);
    }

    Extent pixelsOf(const QRectF& place) const {
        return {std::max<std::int64_t>(std::lround(place.height() * pixelsPerUnit_), 1),
                std::max<std::int64_t>(std::lround(place.width() * pixelsPerUnit_), 1)};
    }

    void inset(const Inset& inset, const FigurePane& pane, const QRectF& picture) {
        // The picture's own cells decide what is shown, so that the frame stands around exactly
        // that.
        const Rect part = partOf(pane.picture, inset);
        const qreal cellWidth = picture.width() / static_cast<qreal>(pane.picture.width());
        const qreal cellHeight = picture.height() / static_cast<qreal>(pane.picture.height());
        const QRectF shown(picture.left() + static_cast<qreal>(part.x) * cellWidth,
                           picture.top() + static_cast<qreal>(part.y) * cellHeight,
                           static_cast<qreal>(part.width) * cellWidth,
                           static_cast<qreal>(part.height) * cellHeight);
        const qreal factor = std::min(inset.share * picture.width() / shown.width(),
                                      inset.share * picture.height() / shown.height());
        const auto snapped = [&](qreal value) {
            return std::round(value * pixelsPerUnit_) / pixelsPerUnit_;
        };
        constexpr qreal distance = 5; // from the picture's edge
        const QSizeF size(snapped(shown.width() * factor), snapped(shown.height() * factor));
        const bool left = inset.corner == Corner::TopLeft || inset.corner == Corner::BottomLeft;
        const bool top = inset.corner == Corner::TopLeft || inset.corner == Corner::TopRight;
        const QRectF place(QPointF(snapped(left ? picture.left() + distance
                                                : picture.right() - distance - size.width()),
                                   snapped(top ? picture.top() + distance
                                               : picture.bottom() - distance - size.height())),
                           size);

        painter_.save();
        painter_.setClipRect(picture);
        painter_.setBrush(Qt::NoBrush);
        const auto strokes = {std::pair{2.6, QColor(Qt::white)}, {1.4, toQColor(inset.color)}};
        // From the corners that look at each other; the enlargement then covers what lies under it.
        const bool falling =
            (shown.center().x() < place.center().x()) == (shown.center().y() < place.center().y());
        for (const auto& [width, color] : strokes) {
            painter_.setPen(QPen(color, width * 0.7));
            if (falling) {
                painter_.drawLine(shown.topRight(), place.topRight());
                painter_.drawLine(shown.bottomLeft(), place.bottomLeft());
            } else {
                painter_.drawLine(shown.topLeft(), place.topLeft());
                painter_.drawLine(shown.bottomRight(), place.bottomRight());
            }
        }
        image(place, resampled(croppedTo(pane.picture, part), pane.smooth, pixelsOf(place)));
        for (const QRectF& frame : {shown, place}) {
            for (const auto& [width, color] : strokes) {
                painter_.setPen(QPen(color, width, Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
                painter_.drawRect(frame);
            }
        }
        painter_.restore();
    }

    void bar(const ColorBar& bar, const BarLayout& place) {
        const double range = bar.high - bar.low;
        const auto width =
            std::max<std::int64_t>(std::lround(place.bar.width() * pixelsPerUnit_), 2);
        const std::int64_t height =
            std::max<std::int64_t>(std::lround(place.bar.height() * pixelsPerUnit_), 1);
        std::vector<std::uint8_t> row;
        for (std::int64_t x = 0; x < width; ++x) {
            const float share = (static_cast<float>(x) + 0.5F) / static_cast<float>(width);
            const float t = bar.reversed ? 1 - share : share;
            const auto color = colorAt(bar.map, range > 0 ? t : 0.5F);
            row.insert(row.end(), color.begin(), color.end());
        }
        const qreal edge = 1 / pixelsPerUnit_;
        painter_.fillRect(place.bar.adjusted(-edge, -edge, edge, edge), hairline);
        image(place.bar, enlargedCells(Image({1, width}, std::move(row)), {height, width}));

        const QFont font = figureFont(letters::ticks);
        const QFontMetricsF metrics(font);
        for (const Tick& tick : place.axis.ticks) {
            const double share = range > 0 ? (tick.value - bar.low) / range : 0.5;
            const qreal x = place.bar.left() + share * place.bar.width();
            painter_.setPen(QPen(quietInk, 0.8));
            painter_.drawLine(QPointF(x, place.bar.bottom()), QPointF(x, place.bar.bottom() + 3));
            const QString number = QString::fromStdString(tick.label);
            const qreal textWidth = metrics.horizontalAdvance(number);
            const qreal left =
                std::clamp(x - textWidth / 2, place.bar.left(), place.bar.right() - textWidth);
            text(QPointF(left, place.labelTop + metrics.ascent()), number, font, ink);
        }
        std::string unit = bar.unit;
        if (!place.axis.factor.empty())
            unit = place.axis.factor + (unit.empty() ? "" : "  ") + unit;
        if (!(range > 0)) unit += unit.empty() ? "constant" : " (constant)";
        line(unit, letters::ticks, Weight::Regular, quietInk, place.unit);
    }

    /// A ring in the marker's colour between white and dark edges, so that it shows on anything.
    void marker(const Marker& marker, const QRectF& picture) {
        constexpr qreal radius = 5.5;
        const QPointF centre(picture.left() + std::clamp(marker.x, 0.0, 1.0) * picture.width(),
                             picture.top() + std::clamp(marker.y, 0.0, 1.0) * picture.height());
        painter_.setBrush(Qt::NoBrush);
        for (const auto& [width, color] : {std::pair{4.6, QColor(0x11, 0x11, 0x11)},
                                           {3.2, QColor(Qt::white)},
                                           {1.6, toQColor(marker.color)}}) {
            painter_.setPen(QPen(color, width));
            painter_.drawEllipse(centre, radius, radius);
        }
        if (marker.label.empty()) return;
        const QFont font = figureFont(letters::marker, Weight::Bold);
        const QFontMetricsF metrics(font);
        const QString words = QString::fromStdString(marker.label);
        const qreal width = metrics.horizontalAdvance(words);
        constexpr qreal distance = radius + 4;
        // Right of the ring, or left of it at the picture's right edge.
        qreal x = centre.x() + distance;
        if (x + width > picture.right() - 2) x = centre.x() - distance - width;
        const qreal baseline = centre.y() + metrics.capHeight() / 2;
        QPainterPath outline;
        outline.addText(QPointF(x, baseline), font, words);
        painter_.setPen(
            QPen(QColor(0x11, 0x11, 0x11), 3, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
        painter_.drawPath(outline);
        painter_.fillPath(outline, Qt::white);
    }

    QPainter& painter_;
    qreal pixelsPerUnit_;
    bool toPixels_;
    bool textAsPaths_;
    int titleSize_ = letters::title;
};

Result<QImage> painted(const FigureSpec& spec) {
    LOFTSCOPE_CHECK(ensureGuiApplication());
    LOFTSCOPE_TRY(const FigureLayout layout, layOut(spec));
    QImage canvas((layout.size * layout.pixelsPerUnit).toSize(), QImage::Format_RGB888);
    if (canvas.isNull())
        return fail(ErrorCode::OutOfMemory,
                    "Not enough memory for the figure: use a smaller scale.");
    canvas.fill(Qt::white);
    QPainter painter(&canvas);
    painter.scale(layout.pixelsPerUnit, layout.pixelsPerUnit);
    FigurePainter(painter, layout.pixelsPerUnit, true, false).paint(spec, layout);
    return canvas;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines)
        text += (text.empty() ? "" : "\n") + line;
    return text;
}

std::string endingOf(const std::filesystem::path& path) {
    return QString::fromStdString(path.extension().string()).toLower().toStdString();
}

Result<QByteArray> asPng(const FigureSpec& spec) {
    LOFTSCOPE_TRY(QImage canvas, painted(spec));
    const int dotsPerMetre =
        qRound((spec.look.widthMm > 0 ? spec.look.dotsPerInch : 300.0) / 0.0254);
    canvas.setDotsPerMeterX(dotsPerMetre);
    canvas.setDotsPerMeterY(dotsPerMetre);
    canvas.setText(QStringLiteral("Software"), QStringLiteral("LoftScope"));
    if (!spec.title.empty())
        canvas.setText(QStringLiteral("Title"), QString::fromStdString(spec.title));
    if (!spec.notes.empty())
        canvas.setText(QStringLiteral("Description"), QString::fromStdString(joined(spec.notes)));
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    QImageWriter writer(&buffer, "png");
    if (!writer.write(canvas))
        return fail(ErrorCode::WriteFailed,
                    fmt::format("Encoding the figure failed ({}): use a smaller scale.",
                                writer.errorString().toStdString()));
    return bytes;
}

/// The PDF without the time at which it was made, so that the same figure gives the same bytes. The
/// table of offsets at its end is adapted; a file of another build than Qt's is left as it is.
QByteArray withoutDate(const QByteArray& pdf) {
    const qsizetype begin = pdf.indexOf("/CreationDate (");
    const qsizetype end = begin < 0 ? -1 : pdf.indexOf(")\n", begin);
    const qsizetype table = pdf.lastIndexOf("\nxref\n");
    const qsizetype trailer = pdf.lastIndexOf("\nstartxref\n");
    if (end < 0 || table < end || trailer < table) return pdf;
    const qsizetype removed = end + 2 - begin;
    constexpr qsizetype digits = 10; // of an offset
    QByteArray offsets = pdf.mid(table, trailer - table);
    for (qsizetype at = offsets.indexOf(" 00000 n"); at >= digits;
         at = offsets.indexOf(" 00000 n", at + 1)) {
        const qsizetype offset = offsets.mid(at - digits, digits).toLongLong();
        if (offset > begin)
            offsets.replace(at - digits, digits,
                            QByteArray::number(offset - removed).rightJustified(digits, '0'));
    }
    QByteArray result = pdf.left(begin) + pdf.mid(end + 2, table - end - 2) + offsets;
    result += "\nstartxref\n" + QByteArray::number(table + 1 - removed) + "\n%%EOF\n";
    return result;
}

Result<QByteArray> asPdf(const FigureSpec& spec) {
    LOFTSCOPE_CHECK(ensureGuiApplication());
    LOFTSCOPE_TRY(const FigureLayout layout, layOut(spec));
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    QPdfWriter writer(&buffer);
    writer.setCreator(QStringLiteral("LoftScope"));
    writer.setTitle(QString::fromStdString(spec.title));
    constexpr int resolution = 1200;
    writer.setResolution(resolution);
    writer.setPageMargins(QMarginsF());
    // Pages have whole points.
    const QSizeF points = layout.size * layout.pointsPerUnit;
    writer.setPageSize(QPageSize(QSizeF(std::ceil(points.width()), std::ceil(points.height())),
                                 QPageSize::Point, {}, QPageSize::ExactMatch));
    QPainter painter(&writer);
    // Without it, pictures would be stored as JPEG, which is fatal for false colours.
    painter.setRenderHint(QPainter::LosslessImageRendering);
    const qreal unit = layout.pointsPerUnit / 72 * resolution;
    painter.scale(unit, unit);
    FigurePainter(painter, layout.pixelsPerUnit, false, spec.look.textAsPaths).paint(spec, layout);
    painter.end();
    return withoutDate(bytes);
}

Result<QByteArray> asSvg(const FigureSpec& spec) {
    LOFTSCOPE_CHECK(ensureGuiApplication());
    LOFTSCOPE_TRY(const FigureLayout layout, layOut(spec));
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    QSvgGenerator generator;
    generator.setOutputDevice(&buffer);
    // Its size is in whole pixels: fine ones, where millimetres count.
    constexpr int resolution = 25400; // a micrometre each
    const qreal perUnit = spec.look.widthMm > 0 ? layout.pointsPerUnit / 72 * resolution : 1;
    generator.setResolution(spec.look.widthMm > 0 ? resolution : 96);
    generator.setSize((layout.size * perUnit).toSize());
    generator.setViewBox(QRectF(QPointF(), layout.size));
    generator.setTitle(QString::fromStdString(spec.title));
    generator.setDescription(QString::fromStdString(joined(spec.notes)));
    QPainter painter(&generator);
    FigurePainter(painter, layout.pixelsPerUnit, false, spec.look.textAsPaths).paint(spec, layout);
    painter.end();
    return bytes;
}

} // namespace

Result<Image> paintFigure(const FigureSpec& spec) {
    return guarded("painting the figure", [&]() -> Result<Image> {
        LOFTSCOPE_TRY(const QImage canvas, painted(spec));
        const Extent extent{canvas.height(), canvas.width()};
        const auto rowBytes = static_cast<std::size_t>(extent.width) * 3;
        std::vector<std::uint8_t> pixels(rowBytes * static_cast<std::size_t>(extent.height));
        for (int y = 0; y < canvas.height(); ++y)
            std::copy_n(canvas.constScanLine(y), rowBytes,
                        pixels.data() + static_cast<std::size_t>(y) * rowBytes);
        return Image(extent, std::move(pixels));
    });
}

bool namesFigure(const std::filesystem::path& path) {
    const std::string ending = endingOf(path);
    return ending == ".pdf" || ending == ".svg" || namesPicture(path);
}

Result<void> writeFigure(const FigureSpec& spec, const std::filesystem::path& path) {
    return guarded("writing the figure", [&]() -> Result<void> {
        const std::string ending = endingOf(path);
        if (!namesFigure(path))
            return fail(
                ErrorCode::Unsupported,
                fmt::format("Cannot tell the format of the figure '{}': let the name end in "
                            ".png, .pdf, .svg or .jpg.",
                            path.string()));
        if (ending != ".png" && ending != ".pdf" && ending != ".svg") {
            LOFTSCOPE_TRY(const Image image, paintFigure(spec));
            return writeImage(path, image);
        }
        LOFTSCOPE_TRY(const QByteArray bytes, ending == ".png"   ? asPng(spec)
                                              : ending == ".pdf" ? asPdf(spec)
                                                                 : asSvg(spec));
        return writeFile(path, std::as_bytes(std::span(bytes.constData(),
                                                       static_cast<std::size_t>(bytes.size()))));
    });
}

} // namespace loftscope
