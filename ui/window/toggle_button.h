// SPDX-License-Identifier: Apache-2.0
// A button that stays down, with a line that says so: the style's own shade is hardly seen.
#pragma once

#include <QToolButton>

namespace loftscope {

class ToggleButton : public QToolButton {
    Q_OBJECT
public:
    explicit ToggleButton(const QString& text, QWidget* parent = nullptr);

protected:
    void paintEvent(QPaintEvent* event) override;
};

} // namespace loftscope
