// SPDX-License-Identifier: Apache-2.0
#include "ui/window/statistics_panel.h"

#include "ui/panes/numbers.h"

#include <QHeaderView>
#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QPainterPath>
#include <QToolTip>
#include <QTreeWidget>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace loftscope {

namespace {

constexpr int methodRole = Qt::UserRole;
constexpr QColor deadColor(0xd5, 0x5e, 0x00);

QString numberText(double value) {
    return QString::fromStdString(formatNumber(value, 3));
}

QString titleOf(const std::string& method) {
    if (method.empty()) return StatisticsPanel::tr("Low-res");
    if (method == "loftup") return QStringLiteral("LoftUp");
    const QString plain = QString::fromStdString(method);
    return plain.left(1).toUpper() + plain.mid(1);
}

} // namespace

ChannelPlot::ChannelPlot(QWidget* parent)
    : QWidget(parent) {
    setMinimumHeight(110);
    setAccessibleName(tr("Mean and standard deviation of every channel"));
}

void ChannelPlot::setStatistics(const ChannelStatistics& statistics) {
    statistics_ = statistics;
    low_ = 0;
    high_ = 0;
    for (std::size_t c = 0; c < statistics_.means.size(); ++c) {
        const auto mean = static_cast<double>(statistics_.means[c]);
        const auto deviation = static_cast<double>(statistics_.deviations[c]);
        low_ = std::min(low_, mean - deviation);
        high_ = std::max(high_, mean + deviation);
    }
    if (!(high_ > low_)) high_ = low_ + 1;
    update();
}

QRect ChannelPlot::plotArea() const {
    const int labels = fontMetrics().horizontalAdvance("-88.8") + 6;
    return rect().adjusted(labels, 6, -6, -fontMetrics().height() - 4);
}

int ChannelPlot::channelAt(QPoint position) const {
    const QRect area = plotArea();
    const auto count = static_cast<int>(statistics_.means.size());
    if (count == 0 || position.x() < area.left() || position.x() > area.right()) return -1;
    return std::clamp((position.x() - area.left()) * count / std::max(1, area.width()), 0,
                      count - 1);
}

void ChannelPlot::paintEvent(QPaintEvent* /*event*/) {
    if (statistics_.means.empty()) return;
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const QRect area = plotArea();
    const auto count = static_cast<int>(statistics_.means.size());
    const auto xOf = [&](int channel) {
        return area.left() + (channel + 0.5) / count * area.width();
    };
    const auto yOf = [&](double value) {
        return area.bottom() - (value - low_) / (high_ - low_) * area.height();
    };
    painter.fillRect(area, palette().color(QPalette::Base));
    const std::vector<double> ticks = ticksBetween(low_, high_, 4);
    const std::vector<std::string> labels = formatTicks(ticks);
    for (std::size_t i = 0; i < ticks.size(); ++i) {
        const double y = yOf(ticks[i]);
        painter.setPen(palette().color(QPalette::Mid));
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y));
        painter.setPen(palette().color(QPalette::WindowText));
        painter.drawText(QRectF(0, y - 10, area.left() - 4, 20), Qt::AlignRight | Qt::AlignVCenter,
                         QString::fromStdString(labels[i]));
    }
    QPainterPath band;
    for (int c = 0; c < count; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const QPointF top(
            xOf(c), yOf(static_cast<double>(statistics_.means[i] + statistics_.deviations[i])));
        c == 0 ? band.moveTo(top) : band.lineTo(top);
    }
    for (int c = count; c-- > 0;) {
        const auto i = static_cast<std::size_t>(c);
        band.lineTo(xOf(c),
                    yOf(static_cast<double>(statistics_.means[i] - statistics_.deviations[i])));
    }
    band.closeSubpath();
    QColor shade = palette().color(QPalette::WindowText);
    shade.setAlpha(70);
    painter.fillPath(band, shade);
    QPainterPath line;
    for (int c = 0; c < count; ++c) {
        const QPointF at(xOf(c),
                         yOf(static_cast<double>(statistics_.means[static_cast<std::size_t>(c)])));
        c == 0 ? line.moveTo(at) : line.lineTo(at);
    }
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawPath(line);
    painter.setPen(QPen(deadColor, 2));
    for (const int c : statistics_.deadChannels)
        painter.drawLine(QPointF(xOf(c), area.bottom() - 6), QPointF(xOf(c), area.bottom()));
    painter.setPen(palette().color(QPalette::WindowText));
    const QRect below(area.left(), area.bottom() + 3, area.width(), fontMetrics().height());
    painter.drawText(below, Qt::AlignLeft, "0");
    painter.drawText(below, Qt::AlignHCenter, tr("channel"));
    painter.drawText(below, Qt::AlignRight, QString::number(count - 1));
}

bool ChannelPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    const int channel = channelAt(help->pos());
    if (channel < 0) {
        QToolTip::hideText();
        return true;
    }
    const auto c = static_cast<std::size_t>(channel);
    QToolTip::showText(help->globalPos(),
                       tr("Channel %1: mean %2, standard deviation %3")
                           .arg(channel)
                           .arg(numberText(static_cast<double>(statistics_.means[c])),
                                numberText(static_cast<double>(statistics_.deviations[c]))),
                       this);
    return true;
}

StatisticsPanel::StatisticsPanel(QWidget* parent)
    : QWidget(parent)
    , table_(new QTreeWidget)
    , title_(new QLabel)
    , dead_(new QLabel)
    , plot_(new ChannelPlot) {
    const QStringList names{tr("Features"), tr("Norm"), tr("Std"),
                            tr("Min"),      tr("Max"),  tr("Dead")};
    const QStringList help{tr("Which map"),
                           tr("Mean length of the feature vectors"),
                           tr("Standard deviation of the lengths"),
                           tr("Length of the shortest feature vector"),
                           tr("Length of the longest feature vector; far above the mean, it is an "
                              "outlier token"),
                           tr("Channels that hardly vary over the photo (below a thousandth of the "
                              "median channel)")};
    table_->setColumnCount(static_cast<int>(names.size()));
    table_->setHeaderLabels(names);
    for (int column = 0; column < names.size(); ++column) {
        table_->headerItem()->setToolTip(column, help[column]);
        if (column > 0)
            table_->headerItem()->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
        table_->header()->setSectionResizeMode(column, column == 0 ? QHeaderView::Stretch
                                                                   : QHeaderView::ResizeToContents);
    }
    table_->header()->setStretchLastSection(false);
    table_->header()->setMinimumSectionSize(30);
    table_->setRootIsDecorated(false);
    table_->setFrameShape(QFrame::NoFrame);
    table_->setAccessibleName(tr("Feature statistics"));
    dead_->setWordWrap(true);
    dead_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(6, 6, 6, 6);
    layout->addWidget(table_);
    layout->addSpacing(6);
    layout->addWidget(title_);
    layout->addWidget(plot_, 1);
    layout->addWidget(dead_);
    connect(table_, &QTreeWidget::currentItemChanged, this, &StatisticsPanel::showChosen);
    fill();
}

void StatisticsPanel::onAnswer(const EngineEvent& event) {
    if (std::holds_alternative<PhotoDecoded>(event)) {
        statistics_.clear();
    } else if (const auto* told = std::get_if<FieldStatistics>(&event)) {
        statistics_[told->method] = told->statistics;
    } else {
        return;
    }
    fill();
}

void StatisticsPanel::fill() {
    const QTreeWidgetItem* current = table_->currentItem();
    const QString chosen = current != nullptr ? current->data(0, methodRole).toString() : QString();
    table_->clear();
    double longest = 0;
    for (const auto& [method, statistics] : statistics_)
        longest = std::max(longest, statistics.normMaximum);
    const auto lengthText = [longest](double value) {
        return QString::fromStdString(formatInRange(value, longest));
    };
    for (const auto& [method, statistics] : statistics_) {
        auto* row = new QTreeWidgetItem(table_, {titleOf(method), lengthText(statistics.normMean),
                                                 lengthText(statistics.normDeviation),
                                                 lengthText(statistics.normMinimum),
                                                 lengthText(statistics.normMaximum),
                                                 QString::number(statistics.deadChannels.size())});
        row->setData(0, methodRole, QString::fromStdString(method));
        for (int column = 1; column < table_->columnCount(); ++column)
            row->setTextAlignment(column, Qt::AlignRight | Qt::AlignVCenter);
        if (row->data(0, methodRole).toString() == chosen) table_->setCurrentItem(row);
    }
    // As high as its rows, so that the plot has the rest.
    constexpr int mostRows = 7;
    const int rows = std::clamp(table_->topLevelItemCount(), 1, mostRows);
    const int rowHeight = std::max(table_->sizeHintForRow(0), table_->fontMetrics().height());
    table_->setFixedHeight(table_->header()->sizeHint().height() + rows * rowHeight + 4);
    if (table_->currentItem() == nullptr) table_->setCurrentItem(table_->topLevelItem(0));
    showChosen();
}

void StatisticsPanel::showChosen() {
    const QTreeWidgetItem* row = table_->currentItem();
    const auto found = row == nullptr
                           ? statistics_.end()
                           : statistics_.find(row->data(0, methodRole).toString().toStdString());
    const bool known = found != statistics_.end();
    plot_->setVisible(known);
    title_->setText(known ? tr("%1: mean \u00b1 std of each channel").arg(titleOf(found->first))
                          : tr("The statistics of each map come with the map: open a photo."));
    title_->setWordWrap(true);
    dead_->clear();
    if (!known) return;
    plot_->setStatistics(found->second);
    const std::vector<int>& dead = found->second.deadChannels;
    if (dead.empty()) {
        dead_->setText(tr("No dead channels."));
        return;
    }
    constexpr std::size_t named = 12;
    QStringList numbers;
    for (std::size_t i = 0; i < std::min(named, dead.size()); ++i)
        numbers.append(QString::number(dead[i]));
    dead_->setText(
        dead.size() > named
            ? tr("Dead channels: %1 and %2 more").arg(numbers.join(", ")).arg(dead.size() - named)
            : tr("Dead channels: %1").arg(numbers.join(", ")));
}

} // namespace loftscope
