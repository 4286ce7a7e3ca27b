// SPDX-License-Identifier: Apache-2.0
// Where everything in a figure goes, before anything is painted.
#pragma once

#include "core/base/error.h"
#include "core/figure/axis.h"
#include "core/figure/figure_spec.h"

#include <QRectF>
#include <QSizeF>
#include <QString>

#include <optional>
#include <vector>

namespace loftscope {

/// Sizes of letters, in pixels at 1x.
namespace letters {
inline constexpr int figureTitle = 16;
inline constexpr int title = 13;
inline constexpr int subtitle = 11;
inline constexpr int ticks = 10;
inline constexpr int notes = 10;
inline constexpr int marker = 11;
} // namespace letters

struct BarLayout {
    QRectF bar;
    Axis axis;
    qreal labelTop = 0; ///< of the tick labels' line
    QRectF unit;        ///< one line for the unit, below the labels
};

struct PaneLayout {
    QRectF title;    ///< one line; empty if the pane has none
    QRectF subtitle; ///< one line; empty if the pane has none
    QRectF box;      ///< the same height for all panes of a row
    QRectF picture;  ///< centred in the box, with the picture's own aspect (give or take a patch)
    std::optional<BarLayout> bar;
};

/// In units: pixels at 1x, where a pane's title is 13 high. The edges of boxes and pictures lie on
/// whole pixels of the file.
struct FigureLayout {
    QSizeF size;
    qreal pixelsPerUnit = 1; ///< of pictures and of pixel formats
    qreal pointsPerUnit = 1; ///< when printed
    QRectF title;
    std::vector<QRectF> columnLabels; ///< one line each
    std::vector<QRectF> rowLabels;    ///< one line each, to be read upwards
    std::vector<PaneLayout> panes;
    std::vector<QRectF> notes; ///< one paragraph each
};

/// Errors: InvalidArgument (no panes, a pane without a picture, sizes that are not positive or give
/// more than 32767 pixels on a side, a colour bar without a range). Needs a QGuiApplication.
Result<FigureLayout> layOut(const FigureSpec& spec);

} // namespace loftscope
