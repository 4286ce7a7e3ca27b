// SPDX-License-Identifier: Apache-2.0
// One sentence above the panes, with the way out as buttons; never in the way of working.
#pragma once

#include <QFrame>
#include <QString>

class QLabel;
class QPushButton;

namespace loftscope {

class ErrorBar : public QFrame {
    Q_OBJECT
public:
    explicit ErrorBar(QWidget* parent = nullptr);

    /// Something failed; stays until it is dismissed or replaced.
    void showError(const QString& sentence);
    /// Something worth knowing; does not replace an error.
    void showNote(const QString& sentence);
    QString text() const;
    bool showsError() const { return isError_; }
    void dismiss();

Q_SIGNALS:
    void chooseFileRequested();

private:
    void show(const QString& sentence, bool error);

    QLabel* label_;
    QPushButton* choose_;
    bool isError_ = false;
};

} // namespace loftscope
