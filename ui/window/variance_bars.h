// SPDX-License-Identifier: Apache-2.0
// How much of the variance each principal component holds, which are shown and as what colour.
#pragma once

#include <QWidget>

#include <array>
#include <vector>

namespace loftscope {

class VarianceBars : public QWidget {
    Q_OBJECT
public:
    explicit VarianceBars(QWidget* parent = nullptr);

    /// Shares 0..1, one per component; `shown`: components as red, green, blue, all alike for one
    /// alone. `flips`: bit c for a turned sign.
    void setShares(const std::vector<double>& shares, const std::array<int, 3>& shown,
                   unsigned flips);
    QRect barOf(int component) const;

    QSize sizeHint() const override { return {240, 66}; }

Q_SIGNALS:
    /// A click: the three components that the bar belongs to.
    void tripleChosen(int first);
    /// A double click.
    void componentChosen(int component);

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    bool event(QEvent* event) override;

private:
    int componentAt(QPoint position) const;

    std::vector<double> shares_;
    std::array<int, 3> shown_{0, 1, 2};
    unsigned flips_ = 0;
};

} // namespace loftscope
