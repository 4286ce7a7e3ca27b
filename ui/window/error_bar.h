// SPDX-License-Identifier: Apache-2.0
// One sentence above the panes, with the way out as buttons; never in the way of working.
#pragma once

#include <QFrame>
#include <QList>
#include <QString>

class QAction;
class QHBoxLayout;
class QLabel;
class QPushButton;

namespace loftscope {

class ErrorBar : public QFrame {
    Q_OBJECT
public:
    explicit ErrorBar(QWidget* parent = nullptr);

    /// Something failed; stays until it is dismissed or replaced. Each way out becomes a button.
    void showError(const QString& sentence, const QList<QAction*>& waysOut = {});
    /// Something worth knowing; does not replace an error.
    void showNote(const QString& sentence, const QList<QAction*>& waysOut = {});
    QString text() const;
    bool showsError() const { return isError_; }
    void dismiss();

private:
    void show(const QString& sentence, bool error, const QList<QAction*>& waysOut);

    QLabel* label_;
    QHBoxLayout* layout_;
    QList<QPushButton*> buttons_;
    bool isError_ = false;
};

} // namespace loftscope
