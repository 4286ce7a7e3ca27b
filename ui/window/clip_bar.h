// SPDX-License-Identifier: Apache-2.0
// Where in the clip: a slider over its frames, shown only while a clip is open.
#pragma once

#include "ui/window/workspace.h"

#include <QFrame>

class QCheckBox;
class QLabel;
class QSlider;
class QToolButton;

namespace loftscope {

class ClipBar : public QFrame {
    Q_OBJECT
public:
    /// `workspace` must outlive the bar.
    explicit ClipBar(Workspace* workspace, QWidget* parent = nullptr);

    QSlider* slider() const { return slider_; }
    QCheckBox* sameColors() const { return sameColors_; }
    /// "frame 12 of 250, 0.44 s"
    QString text() const;
    void step(int frames);

private:
    void follow();
    void describe(qint64 frame);

    Workspace* workspace_;
    QSlider* slider_;
    QLabel* position_;
    QCheckBox* sameColors_;
};

} // namespace loftscope
