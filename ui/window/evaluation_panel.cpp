// SPDX-License-Identifier: Apache-2.0
#include "ui/window/evaluation_panel.h"

#include "ui/figure/bar_chart_painter.h"

#include <QFileInfo>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPainter>
#include <QTreeWidget>
#include <QVBoxLayout>

#include <cmath>

namespace loftscope {

namespace {

QString rangeText(const ChartInterval& interval) {
    return EvaluationPanel::tr("%1 to %2")
        .arg(interval.low, 0, 'f', 1)
        .arg(interval.high, 0, 'f', 1);
}

} // namespace

BarChartView::BarChartView(QWidget* parent)
    : QWidget(parent) {
    QSizePolicy policy(QSizePolicy::Expanding, QSizePolicy::Minimum);
    policy.setHeightForWidth(true);
    setSizePolicy(policy);
    setAccessibleName(tr("Bars of the evaluation"));
}

void BarChartView::setChart(EvaluationChart chart) {
    chart.caption.clear(); // the panel's label has it
    chart_ = std::move(chart);
    setMinimumHeight(heightForWidth(std::max(width(), 240)));
    updateGeometry();
    update();
}

int BarChartView::heightForWidth(int width) const {
    return chart_ ? static_cast<int>(std::ceil(barChartSize(*chart_, width).height())) : 0;
}

void BarChartView::paintEvent(QPaintEvent* /*event*/) {
    if (!chart_) return;
    QPainter painter(this);
    const QColor ink = palette().color(QPalette::WindowText);
    const QColor ground = palette().color(QPalette::Window);
    const auto between = [&](double share) {
        return QColor::fromRgbF(static_cast<float>(std::lerp(ground.redF(), ink.redF(), share)),
                                static_cast<float>(std::lerp(ground.greenF(), ink.greenF(), share)),
                                static_cast<float>(std::lerp(ground.blueF(), ink.blueF(), share)));
    };
    ChartColors colors;
    colors.ground = ground;
    colors.ink = ink;
    colors.quiet = between(0.7);
    colors.line = between(0.2);
    colors.first = between(0.4);
    paintBarChart(painter, *chart_, width(), colors);
}

EvaluationPanel::EvaluationPanel(QWidget* parent)
    : QWidget(parent)
    , caption_(new QLabel(tr("No evaluation yet: open the results.json that `loftscope eval ... "
                             "--out FOLDER` wrote.")))
    , table_(new QTreeWidget)
    , chart_(new BarChartView) {
    caption_->setWordWrap(true);
    table_->setHeaderLabels(
        {tr("Method"), tr("Per cent"), tr("95 % interval"), tr("Gain"), tr("95 % interval")});
    table_->setRootIsDecorated(false);
    table_->setFrameShape(QFrame::NoFrame);
    table_->setAccessibleName(tr("Results of the evaluation"));
    table_->header()->setStretchLastSection(false);
    table_->header()->setSectionResizeMode(QHeaderView::ResizeToContents);
    table_->setMinimumHeight(80);
    auto* side = new QVBoxLayout;
    side->addWidget(caption_);
    side->addWidget(table_, 1);
    auto* layout = new QHBoxLayout(this);
    layout->addWidget(chart_, 1);
    layout->addLayout(side, 1);
}

Result<void> EvaluationPanel::open(const QString& path) {
    LOFTSCOPE_TRY(EvaluationChart chart, readEvaluationChart(path.toStdString()));
    caption_->setText(chart.caption.empty() ? chart.measure.c_str()
                                            : QString::fromStdString(chart.caption));
    caption_->setToolTip(path);
    table_->clear();
    for (const ChartBar& bar : chart.bars) {
        auto* row = new QTreeWidgetItem(
            table_, {QString::fromStdString(bar.title), QString::number(bar.value, 'f', 1),
                     rangeText(bar.interval), bar.gain ? QString::number(*bar.gain, 'f', 1) : "",
                     bar.gainInterval ? rangeText(*bar.gainInterval) : QString()});
        for (int column = 1; column < 5; ++column)
            row->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
        if (bar.gainInterval && bar.gainInterval->low < 0 && bar.gainInterval->high > 0)
            row->setToolTip(3,
                            tr("The interval holds 0: these data do not tell it from the first"));
    }
    chart_->setChart(std::move(chart));
    return {};
}

} // namespace loftscope
