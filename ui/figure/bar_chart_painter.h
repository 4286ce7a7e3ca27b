// SPDX-License-Identifier: Apache-2.0
// Bars with intervals, one under the other: the same drawing for files and for the window.
#pragma once

#include "core/base/error.h"
#include "core/figure/evaluation_chart.h"

#include <QColor>
#include <QSizeF>

#include <filesystem>

class QPainter;

namespace loftscope {

struct ChartColors {
    QColor ground{Qt::white};
    QColor ink{0x1b, 0x1f, 0x24};
    QColor quiet{0x5b, 0x64, 0x70};
    QColor line{0xc9, 0xcd, 0xd3};
    QColor first{0x9a, 0xa4, 0xb2}; ///< the bar that gains are over
    QColor bar{0x2f, 0x6f, 0xb5};
};

/// As high as it has to be for `width`, in pixels at 1x. Needs a QGuiApplication.
QSizeF barChartSize(const EvaluationChart& chart, qreal width);

/// Draws into 0, 0 to barChartSize, in units of pixels at 1x.
void paintBarChart(QPainter& painter, const EvaluationChart& chart, qreal width,
                   const ChartColors& colors = {});

/// .pdf and .svg with text and lines as such, .png at 300 dots per inch. Errors: Unsupported
/// ending, WriteFailed.
Result<void> writeBarChart(const EvaluationChart& chart, const std::filesystem::path& path);

} // namespace loftscope
