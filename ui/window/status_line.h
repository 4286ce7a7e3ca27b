// SPDX-License-Identifier: Apache-2.0
// What the window is doing, in numbers: zoom, position, stage, time, memory, device.
#pragma once

#include <QStatusBar>
#include <QString>

#include <optional>

class QLabel;
class QProgressBar;
class QPushButton;

namespace loftscope {

class StatusLine : public QStatusBar {
    Q_OBJECT
public:
    explicit StatusLine(QWidget* parent = nullptr);

    /// Screen pixels per photo pixel; nothing without a photo.
    void setZoom(std::optional<double> zoom);
    /// "(412, 233)"; empty while the cursor is elsewhere.
    void setPosition(const QString& text);
    void setBusy(bool busy);
    /// Shown with its percentage while busy.
    void setStage(const QString& stage, double fraction);
    void setElapsed(double milliseconds);
    /// Resident memory of the process; 0: unknown.
    void setMemory(std::int64_t bytes);
    /// "cpu, 2 threads, fp32"
    void setDevice(const QString& text);
    QString stageText() const;

Q_SIGNALS:
    void cancelRequested();

private:
    QLabel* zoom_;
    QLabel* position_;
    QLabel* stage_;
    QProgressBar* progress_;
    QPushButton* cancel_;
    QLabel* time_;
    QLabel* memory_;
    QLabel* device_;
};

} // namespace loftscope
