// SPDX-License-Identifier: Apache-2.0
// Any command by a few of its letters: type, Enter.
#pragma once

#include "ui/window/fuzzy_match.h"

#include <QFrame>
#include <QPointer>

#include <vector>

class QAction;
class QLineEdit;
class QListWidget;

namespace loftscope {

class Commands;

class CommandPalette : public QFrame {
    Q_OBJECT
public:
    /// `commands` must outlive the palette.
    explicit CommandPalette(const Commands* commands, QWidget* window);

    /// Commands that the list does not hold for good, such as recent files, are given each time.
    void open(const QList<QAction*>& more);
    QLineEdit* input() const { return input_; }
    /// What is listed now, best first.
    QList<QAction*> shown() const;

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void fill();
    void run();

    const Commands* commands_;
    QLineEdit* input_;
    QListWidget* list_;
    QList<QPointer<QAction>> candidates_;
    QStringList recent_; ///< texts of what was run from here, newest first
};

} // namespace loftscope
