// SPDX-License-Identifier: Apache-2.0
// Figures and numbers leave the window: dialogs, the quick export and the clipboard.
#pragma once

#include "ui/window/data_dialog.h"
#include "ui/window/data_writer.h"
#include "ui/window/export_dialog.h"

#include <QObject>
#include <QSettings>
#include <QTimer>

class QWidget;

namespace loftscope {

class CanvasWidget;
class Workspace;

class FigureExport : public QObject {
    Q_OBJECT
public:
    /// All must outlive it. Dialogs are children of `window`.
    FigureExport(PaneModel* model, Workspace* workspace, CanvasWidget* canvas, QSettings* settings,
                 QWidget* window);
    ~FigureExport() override;

    /// Shows the dialog with its preview, which follows the window.
    void openDialog();
    /// The dialog while it is open, else null.
    ExportDialog* dialog() const { return dialog_; }
    /// With the choices of the last export, beside the photo or where the last one went, under a
    /// name that is not taken.
    void exportNow();
    /// The same as pixels on the clipboard.
    void copy();
    void save(const QString& path);
    /// Asks what the numbers behind the panes are written as and where.
    void openDataDialog();
    /// The dialog while it is open, else null.
    DataDialog* dataDialog() const { return dataDialog_; }
    /// In the format of the last time.
    void saveData(const QString& folder);
    /// Where the next figure goes without being asked.
    QString freePath(const QString& format) const;
    bool busy() const { return writer_.busy() || dataWriter_.busy(); }

Q_SIGNALS:
    void noted(const QString& sentence);
    void failed(const QString& sentence);

private:
    FigureDraft draft(const FigureChoices& choices) const;
    void write(FigureDraft draft, const QString& path);
    void draw(FigureDraft draft);
    void choosePath(const FigureDraft& draft, const QString& format);
    void chooseDataFolder();
    QString folder() const;
    QString unfinished() const;

    PaneModel* model_;
    Workspace* workspace_;
    CanvasWidget* canvas_;
    QSettings* settings_;
    QWidget* window_;
    ExportDialog* dialog_ = nullptr;
    DataDialog* dataDialog_ = nullptr;
    QTimer refreshTimer_;
    FigureWriter writer_;
    DataWriter dataWriter_;
};

} // namespace loftscope
