// SPDX-License-Identifier: Apache-2.0
// What `loftscope eval` wrote, as a table and as bars with intervals.
#pragma once

#include "core/base/error.h"
#include "core/figure/evaluation_chart.h"

#include <QWidget>

#include <optional>

class QLabel;
class QTreeWidget;

namespace loftscope {

class BarChartView : public QWidget {
    Q_OBJECT
public:
    explicit BarChartView(QWidget* parent = nullptr);
    void setChart(EvaluationChart chart);

    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override;
    QSize sizeHint() const override { return {360, heightForWidth(360)}; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::optional<EvaluationChart> chart_;
};

class EvaluationPanel : public QWidget {
    Q_OBJECT
public:
    explicit EvaluationPanel(QWidget* parent = nullptr);

    /// Shows a results.json; after an error, what was shown stays. Errors: those of
    /// readEvaluationChart.
    Result<void> open(const QString& path);
    QTreeWidget* table() const { return table_; }

private:
    QLabel* caption_;
    QTreeWidget* table_;
    BarChartView* chart_;
};

} // namespace loftscope
