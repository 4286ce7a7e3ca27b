// SPDX-License-Identifier: Apache-2.0
#include "ui/window/histogram_view.h"

#include <QMouseEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr double histogramMargin = 6;
constexpr double handle = 8;

} // namespace

HistogramView::HistogramView(QWidget* parent)
    : QWidget(parent) {
    setMinimumHeight(56);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setCursor(Qt::SizeHorCursor);
}

void HistogramView::setHistogram(const std::optional<Histogram>& histogram) {
    histogram_ = histogram;
    updateAxis();
    update();
}

void HistogramView::setValues(const std::vector<float>& values) {
    values_ = values;
    updateAxis();
    update();
}

void HistogramView::updateAxis() {
    if (grabbed_ >= 0) return;
    ValueRange axis = histogram_ ? histogram_->range : ValueRange{0, 0};
    for (const float value : values_) {
        axis.low = std::min(axis.low, value);
        axis.high = std::max(axis.high, value);
    }
    axis_ = axis;
}

double HistogramView::xOf(float value) const {
    const auto span = static_cast<double>(axis_.high - axis_.low);
    const double t = span > 0 ? static_cast<double>(value - axis_.low) / span : 0.5;
    return histogramMargin + std::clamp(t, 0.0, 1.0) * (width() - 2 * histogramMargin);
}

float HistogramView::valueAt(double x) const {
    const double t = std::clamp((x - histogramMargin) / (width() - 2 * histogramMargin), 0.0, 1.0);
    return axis_.low + static_cast<float>(t) * (axis_.high - axis_.low);
}

void HistogramView::paintEvent(QPaintEvent* /*event*/) {
    QPainter painter(this);
    const QColor ink = palette().color(QPalette::WindowText);
    const auto faded = [&](int alpha) {
        QColor color = ink;
        color.setAlpha(isEnabled() ? alpha : alpha / 2);
        return color;
    };
    painter.fillRect(rect(), palette().color(QPalette::Base));
    const double bottom = height() - handle;
    const double low = values_.empty() ? histogramMargin : xOf(values_.front());
    const double high = values_.size() < 2 ? width() - histogramMargin : xOf(values_.back());
    if (histogram_ && !histogram_->bins.empty()) {
        // Square roots: a background of one value would flatten everything else.
        const double highest =
            std::sqrt(std::max<double>(1, static_cast<double>(std::ranges::max(histogram_->bins))));
        const double from = xOf(histogram_->range.low);
        const double step =
            (xOf(histogram_->range.high) - from) / static_cast<double>(histogram_->bins.size());
        for (std::size_t i = 0; i < histogram_->bins.size(); ++i) {
            const double x = from + step * static_cast<double>(i);
            const double h =
                std::sqrt(static_cast<double>(histogram_->bins[i])) / highest * (bottom - 4);
            const bool inside = x + step / 2 >= low && x + step / 2 <= high;
            painter.fillRect(QRectF(x, bottom - h, std::max(step, 1.0), h),
                             faded(inside ? 170 : 60));
        }
    }
    painter.fillRect(QRectF(histogramMargin, bottom, width() - 2 * histogramMargin, 1), faded(120));
    painter.setRenderHint(QPainter::Antialiasing);
    for (const float value : values_) {
        const double x = std::round(xOf(value));
        painter.fillRect(QRectF(x - 0.5, 2, 1, bottom), faded(255));
        QPolygonF tip;
        tip << QPointF(x, bottom - 2) << QPointF(x - 5, height() - 1)
            << QPointF(x + 5, height() - 1);
        painter.setPen(Qt::NoPen);
        painter.setBrush(faded(255));
        painter.drawPolygon(tip);
    }
}

void HistogramView::moveTo(double x) {
    float value = valueAt(x);
    if (values_.size() == 2) {
        value = grabbed_ == 0 ? std::min(value, values_[1]) : std::max(value, values_[0]);
    }
    values_[static_cast<std::size_t>(grabbed_)] = value;
    update();
    Q_EMIT dragged(grabbed_, value);
}

void HistogramView::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || values_.empty()) return;
    const double x = event->position().x();
    grabbed_ = 0;
    if (values_.size() == 2) {
        const double low = xOf(values_[0]);
        const double high = xOf(values_[1]);
        const bool nearerHigh = std::abs(x - high) < std::abs(x - low);
        if (nearerHigh || (low == high && x > low)) grabbed_ = 1;
    }
    moveTo(x);
}

void HistogramView::mouseMoveEvent(QMouseEvent* event) {
    if (grabbed_ >= 0) moveTo(event->position().x());
}

void HistogramView::mouseReleaseEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || grabbed_ < 0) return;
    grabbed_ = -1;
    updateAxis();
    update();
    Q_EMIT dragEnded();
}

} // namespace loftscope
