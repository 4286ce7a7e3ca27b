// SPDX-License-Identifier: Apache-2.0
// The window: menus, panes, inspector and status bar around one Workspace.
#pragma once

#include "ui/canvas/canvas_widget.h"
#include "ui/panes/pane_model.h"
#include "ui/window/error_bar.h"
#include "ui/window/inspector.h"
#include "ui/window/workspace.h"

#include <QMainWindow>
#include <QSettings>
#include <QTimer>

#include <memory>

class QLabel;
class QMenu;
class QProgressBar;
class QPushButton;

namespace loftscope {

struct WindowOptions {
    WorkspaceOptions workspace;
    /// File of the remembered layout and recent photos; empty: the user's own.
    QString settingsPath;
};

/// Needs a QApplication made after configureOpenGl(), on a platform where canvasUnavailable() says
/// nothing.
class MainWindow : public QMainWindow {
    Q_OBJECT
public:
    explicit MainWindow(const WindowOptions& options, QWidget* parent = nullptr);
    ~MainWindow() override;

    PaneModel& model() { return model_; }
    Workspace& workspace() { return *workspace_; }
    CanvasWidget& canvas() { return *canvas_; }
    ErrorBar& errorBar() { return *errorBar_; }
    Inspector& inspector() { return *inspector_; }

    void openFile(const QString& path);
    /// Nothing is being computed and everything computed is on its way to the screen.
    bool idle() const { return !workspace_->busy(); }
    QStringList recentFiles() const;

protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void makeMenus();
    void makeStatusBar();
    void connectWorkspace();
    QAction* add(QMenu* menu, const QString& text, const QKeySequence& keys,
                 const std::function<void()>& act);
    void chooseFile();
    void pastePicture();
    void fillRecentMenu();
    void remember(const QString& path);
    void setDark(bool dark);
    void showKeys();
    void updateActions();
    void updateStatus();

    PaneModel model_;
    std::unique_ptr<QSettings> settings_;
    Workspace* workspace_ = nullptr;
    CanvasWidget* canvas_ = nullptr;
    ErrorBar* errorBar_ = nullptr;
    Inspector* inspector_ = nullptr;
    QMenu* recentMenu_ = nullptr;
    QAction* undo_ = nullptr;
    QAction* redo_ = nullptr;
    QAction* link_ = nullptr;
    QAction* wipe_ = nullptr;
    QAction* difference_ = nullptr;
    QAction* flip_ = nullptr;
    QAction* light_ = nullptr;
    QAction* fullScreen_ = nullptr;
    QLabel* zoomLabel_ = nullptr;
    QLabel* positionLabel_ = nullptr;
    QLabel* stageLabel_ = nullptr;
    QLabel* timeLabel_ = nullptr;
    QLabel* memoryLabel_ = nullptr;
    QProgressBar* progress_ = nullptr;
    QPushButton* cancel_ = nullptr;
    QTimer clock_;
};

} // namespace loftscope
