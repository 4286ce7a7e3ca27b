// SPDX-License-Identifier: Apache-2.0
#include "ui/figure/figure_layout.h"

#include "ui/figure/figure_text.h"

#include <QFontMetricsF>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace loftscope {

namespace {

/// What differs between a figure to look at and one for a column of a paper, where every
/// millimetre counts.
struct Spacing {
    qreal margin;
    qreal columnGap;
    qreal rowGap;
    qreal minimalContentWidth;
};
constexpr Spacing roomy{20, 18, 22, 320};
constexpr Spacing printed{1, 6, 9, 0};
constexpr qreal labelGap = 5;        ///< between row and column labels and the panes
constexpr qreal figureTitleGap = 14; ///< below the figure's title
constexpr qreal titleGap = 1;        ///< between a pane's title and its subtitle
constexpr qreal pictureGap = 6;      ///< between the lines of text and the picture
constexpr qreal barGap = 8;          ///< between the picture and its bar
constexpr qreal barHeight = 8;
constexpr qreal tickGap = 5; ///< between the bar and its labels; the tick marks are inside
constexpr qreal maximalBarWidth = 320;
constexpr qreal notesGap = 18;
constexpr qreal noteGap = 3;
/// A pane's picture is at most this much higher than the pane is wide.
constexpr qreal maximalHeightToWidth = 1.25;
constexpr qreal maximalHeightOnPaper = 3;
/// Half a point for a pixel at 1x: four panes in a row are as wide as a page is high.
constexpr qreal pointsPerUnitOnScreen = 0.5;
/// A column never gets narrower than this share of `paneWidth`: titles need room.
constexpr qreal minimalColumn = 0.6;
constexpr qreal maximalSide = 32767; ///< of QImage, for painting

qreal lineHeight(int pixels, Weight weight = Weight::Regular) {
    return std::ceil(QFontMetricsF(figureFont(pixels, weight)).height());
}

/// Width to height of every pane's picture as it is shown. Maps of a photo differ from it by half a
/// patch at most, because sides are rounded to patches: such panes take the first pane's aspect, so
/// that all show each place of the photo at the same place.
std::vector<qreal> shownAspects(const FigureSpec& spec) {
    constexpr qreal tolerance = 0.04;
    std::vector<qreal> aspects;
    for (const FigurePane& pane : spec.panes) {
        const qreal aspect =
            static_cast<qreal>(pane.picture.width()) / static_cast<qreal>(pane.picture.height());
        const bool asFirst = !aspects.empty() && std::abs(aspect / aspects.front() - 1) < tolerance;
        aspects.push_back(asFirst ? aspects.front() : aspect);
    }
    return aspects;
}

Result<void> check(const FigureSpec& spec) {
    const auto invalid = [](std::string message) {
        return fail(ErrorCode::InvalidArgument, std::move(message));
    };
    if (spec.panes.empty()) return invalid("A figure needs at least one pane.");
    const FigureLook& look = spec.look;
    const auto inRange = [](double value, double least, double most) {
        return value >= least && value <= most;
    };
    if (look.widthMm != 0 && !(inRange(look.widthMm, 10, 2000) && inRange(look.fontPoints, 2, 72) &&
                               inRange(look.dotsPerInch, 20, 4800)))
        return invalid(fmt::format("A figure of {} mm with letters of {} points at {} dots per "
                                   "inch cannot be painted: give 10 to 2000 mm, 2 to 72 points and "
                                   "20 to 4800 dots per inch.",
                                   look.widthMm, look.fontPoints, look.dotsPerInch));
    if (spec.paneWidth <= 0 || spec.columns < 0 || !(spec.scale > 0) || !std::isfinite(spec.scale))
        return invalid(fmt::format("A figure with panes of {} pixels at scale {} cannot be "
                                   "painted: give positive numbers.",
                                   spec.paneWidth, spec.scale));
    for (const FigurePane& pane : spec.panes) {
        if (pane.picture.empty())
            return invalid(fmt::format("The pane '{}' has no picture.", pane.title));
        if (pane.bar && !(std::isfinite(pane.bar->low) && std::isfinite(pane.bar->high) &&
                          pane.bar->low <= pane.bar->high))
            return invalid(fmt::format("The colour bar of the pane '{}' cannot run from {} to {}.",
                                       pane.title, pane.bar->low, pane.bar->high));
        for (const Inset& inset : pane.insets) {
            if (!(inset.width > 0 && inset.height > 0 && inset.x >= 0 && inset.y >= 0 &&
                  inset.x + inset.width <= 1 + 1e-9 && inset.y + inset.height <= 1 + 1e-9))
                return invalid(
                    fmt::format("An inset of the pane '{}' lies outside its picture.", pane.title));
            if (!(inset.share > 0 && inset.share <= 1))
                return invalid(fmt::format("An inset of the pane '{}' takes {} of the picture: "
                                           "give a share between 0 and 1.",
                                           pane.title, inset.share));
        }
    }
    return {};
}

struct Grid {
    std::size_t columns = 1;
    qreal paneWidth = 0;
};

/// One to four panes stand side by side; more are spread evenly over rows of at most four. Wide
/// pictures take more width, and fewer stand side by side.
Grid gridFor(const FigureSpec& spec, std::vector<qreal> aspects) {
    const auto paneWidth = static_cast<qreal>(spec.paneWidth);
    if (spec.columns > 0)
        return {std::min(static_cast<std::size_t>(spec.columns), spec.panes.size()), paneWidth};
    std::ranges::sort(aspects);
    const qreal aspect = aspects[aspects.size() / 2];
    std::size_t most = 4;
    qreal widening = 1;
    if (aspect > 4) {
        most = 1;
        widening = 3;
    } else if (aspect > 2.2) {
        most = 2;
        widening = 1.6;
    }
    const std::size_t rows = (spec.panes.size() + most - 1) / most;
    return {(spec.panes.size() + rows - 1) / rows, paneWidth * widening};
}

/// The ticks whose labels do not touch each other on a bar of this width.
Axis axisFor(const ColorBar& bar, qreal width) {
    const QFontMetricsF metrics(figureFont(letters::ticks));
    for (int most = 5;; --most) {
        Axis axis = niceAxis(bar.low, bar.high, most);
        qreal taken = 0;
        for (const Tick& tick : axis.ticks)
            taken = std::max(taken, metrics.horizontalAdvance(QString::fromStdString(tick.label)));
        if (most == 2 || (taken + 10) * static_cast<qreal>(axis.ticks.size()) <= width) return axis;
    }
}

qreal barBlockHeight() {
    return barGap + barHeight + tickGap + 2 * lineHeight(letters::ticks);
}

} // namespace

Result<FigureLayout> layOut(const FigureSpec& spec) {
    LOFTSCOPE_CHECK(check(spec));
    FigureLayout layout;
    const bool forPaper = spec.look.widthMm > 0;
    const Spacing& spacing = forPaper ? printed : roomy;
    const qreal margin = spacing.margin;
    layout.pointsPerUnit = forPaper ? spec.look.fontPoints / letters::title : pointsPerUnitOnScreen;
    layout.pixelsPerUnit =
        forPaper ? spec.look.dotsPerInch / 72 * layout.pointsPerUnit : spec.scale;
    const auto snapped = [&](qreal value) {
        return std::round(value * layout.pixelsPerUnit) / layout.pixelsPerUnit;
    };
    const auto atLeastOnePixel = [&](qreal length) {
        return std::max(snapped(length), 1 / layout.pixelsPerUnit);
    };
    const qreal labelHeight = lineHeight(letters::title, Weight::Bold);
    const qreal rowLabelWidth = spec.rowLabels.empty() ? 0 : labelHeight + labelGap;
    const std::vector<qreal> aspects = shownAspects(spec);
    Grid grid = gridFor(spec, aspects);
    if (forPaper) {
        const qreal whole = spec.look.widthMm / 25.4 * 72 / layout.pointsPerUnit;
        const auto columns = static_cast<qreal>(grid.columns);
        grid.paneWidth =
            (whole - 2 * margin - rowLabelWidth - spacing.columnGap * (columns - 1)) / columns;
        constexpr qreal leastWidth = 20;
        if (grid.paneWidth < leastWidth)
            return fail(ErrorCode::InvalidArgument,
                        fmt::format("{} panes side by side do not fit into {} mm: use fewer "
                                    "columns, smaller letters or a wider figure.",
                                    grid.columns, spec.look.widthMm));
    }
    const std::size_t count = spec.panes.size();
    const std::size_t rows = (count + grid.columns - 1) / grid.columns;

    std::vector<qreal> columnWidths(grid.columns, (forPaper ? 1 : minimalColumn) * grid.paneWidth);
    std::vector<QSizeF> pictureSizes;
    for (std::size_t i = 0; i < count; ++i) {
        const qreal height =
            std::min(grid.paneWidth / aspects[i],
                     (forPaper ? maximalHeightOnPaper : maximalHeightToWidth) * grid.paneWidth);
        pictureSizes.emplace_back(atLeastOnePixel(height * aspects[i]), atLeastOnePixel(height));
        qreal& columnWidth = columnWidths[i % grid.columns];
        columnWidth = std::max(columnWidth, pictureSizes.back().width());
    }
    for (qreal& width : columnWidths)
        width = snapped(width);
    const qreal contentWidth =
        std::max(std::accumulate(columnWidths.begin(), columnWidths.end(), qreal{0}) +
                     spacing.columnGap * static_cast<qreal>(grid.columns - 1) + rowLabelWidth,
                 spacing.minimalContentWidth);

    layout.panes.resize(count);
    qreal y = margin;
    if (!spec.title.empty()) {
        const qreal height = lineHeight(letters::figureTitle, Weight::Bold);
        layout.title = {margin, y, contentWidth, height};
        y += height + figureTitleGap;
    }
    if (!spec.columnLabels.empty()) {
        qreal x = margin + rowLabelWidth;
        for (std::size_t i = 0; i < std::min(spec.columnLabels.size(), grid.columns); ++i) {
            layout.columnLabels.emplace_back(snapped(x), y, columnWidths[i], labelHeight);
            x += columnWidths[i] + spacing.columnGap;
        }
        y += labelHeight + labelGap;
    }
    for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t begin = row * grid.columns;
        const std::size_t end = std::min(begin + grid.columns, count);
        bool titles = false;
        bool subtitles = false;
        bool bars = false;
        qreal height = 0;
        for (std::size_t i = begin; i < end; ++i) {
            titles |= !spec.panes[i].title.empty();
            subtitles |= !spec.panes[i].subtitle.empty();
            bars |= spec.panes[i].bar.has_value();
            height = std::max(height, pictureSizes[i].height());
        }
        const qreal titleHeight = titles ? lineHeight(letters::title, Weight::Bold) : 0;
        const qreal subtitleHeight = subtitles ? lineHeight(letters::subtitle) : 0;
        const qreal header = titleHeight + (titles && subtitles ? titleGap : 0) + subtitleHeight +
                             (titles || subtitles ? pictureGap : 0);
        const qreal top = snapped(y + header);
        if (row < spec.rowLabels.size())
            layout.rowLabels.emplace_back(margin, top, labelHeight, snapped(height));
        qreal x = margin + rowLabelWidth;
        for (std::size_t i = begin; i < end; ++i) {
            const FigurePane& pane = spec.panes[i];
            PaneLayout& place = layout.panes[i];
            const qreal width = columnWidths[i - begin];
            const qreal left = snapped(x);
            // Lines of text end at the picture, so that a title without subtitle stands close to
            // it.
            qreal line = top - pictureGap;
            if (!pane.subtitle.empty()) {
                line -= subtitleHeight;
                place.subtitle = {left, line, width, subtitleHeight};
                line -= titleGap;
            }
            if (!pane.title.empty()) place.title = {left, line - titleHeight, width, titleHeight};
            place.box = {left, top, width, snapped(height)};
            const QSizeF& size = pictureSizes[i];
            place.picture = {left + snapped((width - size.width()) / 2),
                             top + snapped((place.box.height() - size.height()) / 2), size.width(),
                             size.height()};
            if (pane.bar) {
                BarLayout bar;
                const qreal barTop = snapped(place.box.bottom() + barGap);
                bar.bar = {left, barTop, std::min(width, maximalBarWidth), barHeight};
                bar.axis = axisFor(*pane.bar, bar.bar.width());
                bar.labelTop = barTop + barHeight + tickGap;
                bar.unit = {left, bar.labelTop + lineHeight(letters::ticks), width,
                            lineHeight(letters::ticks)};
                place.bar = std::move(bar);
            }
            x += width + spacing.columnGap;
        }
        y = top + snapped(height) + (bars ? barBlockHeight() : 0) + spacing.rowGap;
    }
    y -= spacing.rowGap;
    if (!spec.notes.empty()) {
        y += notesGap;
        for (const std::string& note : spec.notes) {
            const std::size_t lines = wrappedText(note, letters::notes, contentWidth).size();
            layout.notes.emplace_back(margin, y, contentWidth,
                                      static_cast<qreal>(std::max<std::size_t>(lines, 1)) *
                                          lineHeight(letters::notes));
            y = layout.notes.back().bottom() + noteGap;
        }
        y -= noteGap;
    }
    layout.size = {std::ceil(contentWidth + 2 * margin), std::ceil(y + margin)};
    if (forPaper)
        layout.size = {spec.look.widthMm / 25.4 * 72 / layout.pointsPerUnit, snapped(y + margin)};
    if (std::max(layout.size.width(), layout.size.height()) * layout.pixelsPerUnit > maximalSide)
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("The figure would be {:.0f} x {:.0f} pixels, more than {:.0f} on a "
                                "side: use fewer panes, narrower panes or a smaller scale.",
                                layout.size.width() * layout.pixelsPerUnit,
                                layout.size.height() * layout.pixelsPerUnit, maximalSide));
    return layout;
}

} // namespace loftscope
