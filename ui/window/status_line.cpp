// SPDX-License-Identifier: Apache-2.0
#include "ui/window/status_line.h"

#include <QLabel>
#include <QProgressBar>
#include <QPushButton>

namespace loftscope {

namespace {

/// As wide as its longest text, so that nothing moves while numbers change.
QLabel* fieldFor(const QString& name, const QString& longest, const QString& help) {
    auto* label = new QLabel;
    label->setObjectName(name);
    label->setMinimumWidth(label->fontMetrics().horizontalAdvance(longest) + 6);
    label->setToolTip(help);
    label->setAccessibleDescription(help);
    return label;
}

} // namespace

StatusLine::StatusLine(QWidget* parent)
    : QStatusBar(parent)
    , zoom_(fieldFor("zoom", "25600 %", tr("Screen pixels per photo pixel in the selected pane")))
    , position_(fieldFor("position", "(88888, 88888)", tr("Photo pixel under the cursor")))
    , stage_(fieldFor("stage", "0", tr("What is being computed, and how much of it is done")))
    , progress_(new QProgressBar)
    , cancel_(new QPushButton(tr("Cancel")))
    , time_(fieldFor("time", "888.8 s", tr("Time of the current or the last work")))
    , memory_(fieldFor("memory", "88888 MB", tr("Memory of the program")))
    , device_(fieldFor("device", "0", tr("Where and with which arithmetic is computed"))) {
    progress_->setObjectName("progress");
    progress_->setAccessibleName(tr("Progress"));
    progress_->setRange(0, 1000);
    progress_->setTextVisible(false);
    progress_->setFixedSize(140, 12);
    cancel_->setObjectName("cancel");
    cancel_->setFocusPolicy(Qt::NoFocus);
    cancel_->setFlat(true);
    cancel_->setToolTip(tr("Stops computing and keeps what is there (Ctrl+.)"));
    addWidget(zoom_);
    addWidget(position_);
    addWidget(stage_, 1);
    addWidget(progress_);
    addWidget(cancel_);
    addPermanentWidget(time_);
    addPermanentWidget(memory_);
    addPermanentWidget(device_);
    connect(cancel_, &QPushButton::clicked, this, &StatusLine::cancelRequested);
    setContentsMargins(8, 0, 4, 0);
    setBusy(false);
}

void StatusLine::setZoom(std::optional<double> zoom) {
    zoom_->setText(zoom ? tr("%1 %").arg(*zoom * 100, 0, 'f', *zoom < 0.1 ? 1 : 0) : QString());
}

void StatusLine::setPosition(const QString& text) {
    position_->setText(text);
}

void StatusLine::setBusy(bool busy) {
    progress_->setVisible(busy);
    progress_->setValue(0);
    cancel_->setVisible(busy);
    stage_->setText(busy ? tr("Working") : tr("Ready"));
}

void StatusLine::setStage(const QString& stage, double fraction) {
    if (stage.isEmpty()) return;
    const QString text = stage.left(1).toUpper() + stage.mid(1);
    stage_->setText(tr("%1, %2 %").arg(text).arg(fraction * 100, 0, 'f', 0));
    progress_->setValue(static_cast<int>(fraction * 1000));
}

void StatusLine::setElapsed(double milliseconds) {
    time_->setText(tr("%1 s").arg(milliseconds / 1000, 0, 'f', 1));
}

void StatusLine::setMemory(std::int64_t bytes) {
    memory_->setText(bytes > 0 ? tr("%1 MB").arg(static_cast<double>(bytes) / 1e6, 0, 'f', 0)
                               : QString());
}

void StatusLine::setDevice(const QString& text) {
    device_->setText(text);
}

QString StatusLine::stageText() const {
    return stage_->text();
}

} // namespace loftscope
