// SPDX-License-Identifier: Apache-2.0
// A histogram with one or two values to drag: a threshold, or the ends of a range.
#pragma once

#include "ui/render/display_style.h"

#include <QWidget>

#include <optional>
#include <vector>

namespace loftscope {

class HistogramView : public QWidget {
    Q_OBJECT
public:
    explicit HistogramView(QWidget* parent = nullptr);

    void setHistogram(const std::optional<Histogram>& histogram);
    /// One value or two, rising.
    void setValues(const std::vector<float>& values);
    const std::vector<float>& values() const { return values_; }
    /// Where a value is drawn; for the mouse and tests.
    double xOf(float value) const;

    QSize sizeHint() const override { return {240, 64}; }

Q_SIGNALS:
    void dragged(int index, float value);
    void dragEnded();

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;

private:
    void updateAxis();
    float valueAt(double x) const;
    void moveTo(double x);

    std::optional<Histogram> histogram_;
    std::vector<float> values_;
    ValueRange axis_; ///< held while a value is dragged: it must not move under the hand
    int grabbed_ = -1;
};

} // namespace loftscope
