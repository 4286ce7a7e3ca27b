// SPDX-License-Identifier: Apache-2.0
#include "ui/window/clip_bar.h"

#include <QCheckBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSlider>
#include <QToolButton>

namespace loftscope {

namespace {

QToolButton* stepButton(Qt::ArrowType arrow, const QString& name, const QString& help) {
    auto* button = new QToolButton;
    button->setArrowType(arrow);
    button->setAutoRaise(true);
    button->setFocusPolicy(Qt::NoFocus);
    button->setAccessibleName(name);
    button->setToolTip(help);
    return button;
}

} // namespace

ClipBar::ClipBar(Workspace* workspace, QWidget* parent)
    : QFrame(parent)
    , workspace_(workspace)
    , slider_(new QSlider(Qt::Horizontal))
    , position_(new QLabel)
    , sameColors_(new QCheckBox(tr("One basis over the clip"))) {
    setObjectName("clipBar");
    slider_->setObjectName("clipSlider");
    slider_->setAccessibleName(tr("Frame of the clip"));
    slider_->setToolTip(tr("Frame of the clip; drag, or step with , and ."));
    sameColors_->setToolTip(
        tr("The PCA basis is fitted on frames from all over the clip: a colour means the same in "
           "every frame and does not flicker"));
    sameColors_->setChecked(workspace_->clipBasis());
    auto* previous = stepButton(Qt::LeftArrow, tr("Previous frame"), tr("Previous frame (,)"));
    auto* next = stepButton(Qt::RightArrow, tr("Next frame"), tr("Next frame (.)"));
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(8, 2, 8, 2);
    layout->addWidget(previous);
    layout->addWidget(next);
    layout->addWidget(slider_, 1);
    layout->addWidget(position_);
    layout->addSpacing(8);
    layout->addWidget(sameColors_);
    connect(previous, &QToolButton::clicked, this, [this] { step(-1); });
    connect(next, &QToolButton::clicked, this, [this] { step(1); });
    // While it is dragged the newest frame wins; the others are dropped before they begin.
    connect(slider_, &QSlider::valueChanged, this, [this](int frame) {
        describe(frame);
        workspace_->showFrame(frame);
    });
    connect(sameColors_, &QCheckBox::toggled, workspace_, &Workspace::setClipBasis);
    connect(workspace_, &Workspace::clipChanged, this, &ClipBar::follow);
    hide();
}

void ClipBar::step(int frames) {
    slider_->setValue(slider_->value() + frames);
}

void ClipBar::follow() {
    const auto& clip = workspace_->clip();
    setVisible(clip.has_value());
    if (!clip) return;
    const QSignalBlocker quietBox(sameColors_);
    sameColors_->setChecked(workspace_->clipBasis());
    const QSignalBlocker quiet(slider_);
    const bool opened = slider_->maximum() != static_cast<int>(clip->frames) - 1;
    slider_->setRange(0, static_cast<int>(clip->frames) - 1);
    slider_->setPageStep(std::max(1, static_cast<int>(clip->frames) / 20));
    // A frame that was asked for while it was dragged must not pull the slider back.
    if (opened || !slider_->isSliderDown()) slider_->setValue(static_cast<int>(clip->frame));
    describe(slider_->value());
}

void ClipBar::describe(qint64 frame) {
    const auto& clip = workspace_->clip();
    if (!clip) return;
    QString text = tr("frame %1 of %2").arg(frame + 1).arg(clip->frames);
    if (clip->rate > 0)
        text += tr(", %1 s").arg(static_cast<double>(frame) / clip->rate, 0, 'f', 2);
    position_->setText(text);
    const QString widest = tr("frame %1 of %1, %2 s")
                               .arg(clip->frames)
                               .arg(static_cast<double>(clip->frames), 0, 'f', 2);
    position_->setMinimumWidth(position_->fontMetrics().horizontalAdvance(
        clip->rate > 0 ? widest : tr("frame %1 of %1").arg(clip->frames)));
}

QString ClipBar::text() const {
    return position_->text();
}

} // namespace loftscope
