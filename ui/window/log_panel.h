// SPDX-License-Identifier: Apache-2.0
// What the program did and said, line by line, to read and to copy into a report.
#pragma once

#include <QString>
#include <QWidget>

class QPlainTextEdit;

namespace loftscope {

class LogPanel : public QWidget {
    Q_OBJECT
public:
    explicit LogPanel(QWidget* parent = nullptr);

    enum class Level { Info, Warning, Error };
    /// Adds a line with the time of day; the oldest lines go beyond a few thousand.
    void add(Level level, const QString& text);
    QString text() const;
    void copyAll() const;
    void clear();

private:
    QPlainTextEdit* lines_;
};

} // namespace loftscope
