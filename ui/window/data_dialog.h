// SPDX-License-Identifier: Apache-2.0
// What the numbers behind the panes are written as. The choice is remembered.
#pragma once

#include "ui/window/data_export.h"

#include <QDialog>
#include <QSettings>

class QComboBox;
class QLabel;
class QPushButton;

namespace loftscope {

/// Ending of the last format: "npy".
QString rememberedDataFormat(const QSettings& settings);

class DataDialog : public QDialog {
    Q_OBJECT
public:
    /// `settings` must outlive the dialog.
    explicit DataDialog(QSettings* settings, QWidget* parent = nullptr);

    /// What would be written now.
    void describe(const DataDraft& draft);
    QString format() const;
    void setFormat(const QString& ending);
    /// What the user reads about it: for tests.
    QString text() const;

Q_SIGNALS:
    /// The user wants it; the format is remembered.
    void saveRequested();

private:
    QSettings* settings_;
    QComboBox* format_ = nullptr;
    QLabel* content_ = nullptr;
    QPushButton* save_ = nullptr;
};

} // namespace loftscope
