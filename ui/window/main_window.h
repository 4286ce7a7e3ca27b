// SPDX-License-Identifier: Apache-2.0
// The window: menus, panes, panels and status line around one Workspace.
#pragma once

#include "ui/canvas/canvas_widget.h"
#include "ui/panes/pane_model.h"
#include "ui/window/commands.h"
#include "ui/window/error_bar.h"
#include "ui/window/inspector.h"
#include "ui/window/workspace.h"

#include <QMainWindow>
#include <QSettings>
#include <QTimer>

#include <memory>

class QDockWidget;
class QMenu;
class QToolButton;

namespace loftscope {

class ClipBar;
class ColorsPanel;
class CommandPalette;
class ComputePanel;
class EvaluationPanel;
class FigureExport;
class LogPanel;
class ModelPanel;
class ModelsDialog;
class PhotoStrip;
class SessionKeeper;
class StatisticsPanel;
class StatusLine;

struct WindowOptions {
    WorkspaceOptions workspace;
    /// File of the remembered layout and recent photos; empty: the user's own.
    QString settingsPath;
    /// Devices to choose from, by name.
    QStringList devices{"cpu"};
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
    ColorsPanel& colors() { return *colors_; }
    Commands& commands() { return *commands_; }
    CommandPalette& commandPalette() { return *palette_; }
    StatusLine& statusLine() { return *statusLine_; }
    LogPanel& log() { return *log_; }
    PhotoStrip& photoStrip() { return *photoStrip_; }
    ClipBar& clipBar() { return *clipBar_; }
    FigureExport& figures() { return *figures_; }
    SessionKeeper& sessions() { return *sessions_; }
    /// By its id: "inspector", "colors", "photos", "model", "compute", "statistics", "log",
    /// "evaluation"; null if there is none.
    QDockWidget* panel(const QString& id) const;
    void showPanel(const QString& id);

    /// A photo, a checkpoint or a folder of photos.
    void openFile(const QString& path);
    /// Opens the first of several photos; the others can be stepped to.
    void openFiles(const QStringList& paths);
    void openFolder(const QString& path);
    /// The pictures of a folder as the frames of a clip.
    void openSequence(const QString& path);
    /// The results.json of `loftscope eval`, in its panel.
    void openEvaluation(const QString& path);
    EvaluationPanel& evaluation() { return *evaluation_; }
    /// The photo `step` places further in its folder; says so where there is none.
    void stepPhoto(int step);
    /// Nothing is being computed or written, and everything computed is on its way to the screen.
    bool idle() const;
    QStringList recentFiles() const;
    bool isDark() const { return dark_; }
    void setDark(bool dark);

protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    struct PanelSpec {
        QString id;
        QString title;
        QString help;
        QKeySequence keys = {};
        Qt::DockWidgetArea area = Qt::RightDockWidgetArea;
        bool scrolls = false;
    };

    void makePanels(const QStringList& devices);
    QDockWidget* addPanel(const PanelSpec& spec, QWidget* content);
    void makeCommands();
    void makeMenus();
    void connectWorkspace();
    void onAnswer(quint64 id, const EngineEvent& event);
    void showFailure(const QString& sentence);
    QList<QAction*> waysOut(ErrorCode code) const;

    void choosePhoto();
    void chooseFolder();
    void showModels();
    void chooseEvaluation();
    void pastePicture();
    void copyValues();
    void goTo();
    void fillRecentMenu();
    void remember(const QString& path);
    void restoreLayout();
    void defaultLayout();
    /// Panels in tabs do without a title of their own: the tab has it.
    void updatePanelTitles();
    void changeInput(double factor);
    void showKeys();
    void showPalette();
    void updateActions();
    void updateStatus();
    void updatePosition();
    /// Tells the workspace what part of the photo the panes show together.
    void updateSeen();
    void showPaneMenu(const QPoint& globalPosition);
    QStringList photosToStep() const;
    void fillPhotoStrip();

    PaneModel model_;
    std::unique_ptr<QSettings> settings_;
    Workspace* workspace_ = nullptr;
    Commands* commands_ = nullptr;
    CanvasWidget* canvas_ = nullptr;
    ErrorBar* errorBar_ = nullptr;
    ClipBar* clipBar_ = nullptr;
    FigureExport* figures_ = nullptr;
    SessionKeeper* sessions_ = nullptr;
    StatusLine* statusLine_ = nullptr;
    Inspector* inspector_ = nullptr;
    ColorsPanel* colors_ = nullptr;
    PhotoStrip* photoStrip_ = nullptr;
    ModelPanel* modelPanel_ = nullptr;
    ModelsDialog* models_ = nullptr; ///< made when it is asked for
    ComputePanel* computePanel_ = nullptr;
    StatisticsPanel* statisticsPanel_ = nullptr;
    LogPanel* log_ = nullptr;
    EvaluationPanel* evaluation_ = nullptr;
    CommandPalette* palette_ = nullptr;
    QToolButton* modelButton_ = nullptr;
    QMenu* recentMenu_ = nullptr;
    QMenu* paletteMenu_ = nullptr; ///< whose entries the palette lists
    QString wantedPhoto_;          ///< the file that was asked for last
    QStringList photos_;           ///< to step through; empty: those of the photo's folder
    ErrorCode lastError_ = ErrorCode::Internal;
    QByteArray firstLayout_;
    bool dark_ = true;
    QTimer clock_;
};

} // namespace loftscope
