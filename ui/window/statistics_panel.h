// SPDX-License-Identifier: Apache-2.0
// How large the features of every map are: lengths of vectors, channel by channel, dead channels.
#pragma once

#include "core/pipeline/engine.h"

#include <QWidget>

#include <map>
#include <string>

class QLabel;
class QTreeWidget;

namespace loftscope {

/// Mean and standard deviation of every channel, as a curve with a band.
class ChannelPlot : public QWidget {
    Q_OBJECT
public:
    explicit ChannelPlot(QWidget* parent = nullptr);
    void setStatistics(const ChannelStatistics& statistics);
    /// Channel under a widget position; -1 if there is none.
    int channelAt(QPoint position) const;

    QSize sizeHint() const override { return {260, 170}; }

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    QRect plotArea() const;

    ChannelStatistics statistics_;
    double low_ = 0;
    double high_ = 1;
};

class StatisticsPanel : public QWidget {
    Q_OBJECT
public:
    explicit StatisticsPanel(QWidget* parent = nullptr);

    void onAnswer(const EngineEvent& event);
    QTreeWidget* table() const { return table_; }

private:
    void fill();
    void showChosen();

    std::map<std::string, ChannelStatistics> statistics_; ///< by method; "" is the low-res grid
    QTreeWidget* table_;
    QLabel* title_;
    QLabel* dead_;
    ChannelPlot* plot_;
};

} // namespace loftscope
