// SPDX-License-Identifier: Apache-2.0
#include "ui/window/main_window.h"

#include "core/base/memory.h"
#include "ui/window/clip_bar.h"
#include "ui/window/colors_panel.h"
#include "ui/window/command_palette.h"
#include "ui/window/compute_panel.h"
#include "ui/window/evaluation_panel.h"
#include "ui/window/figure_export.h"
#include "ui/window/file_chooser.h"
#include "ui/window/key_sheet.h"
#include "ui/window/log_panel.h"
#include "ui/window/model_panel.h"
#include "ui/window/models_dialog.h"
#include "ui/window/pane_commands.h"
#include "ui/window/panel_scroll_area.h"
#include "ui/window/photo_folder.h"
#include "ui/window/photo_strip.h"
#include "ui/window/session_keeper.h"
#include "ui/window/statistics_panel.h"
#include "ui/window/status_line.h"
#include "ui/window/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QDir>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFileInfo>
#include <QImage>
#include <QInputDialog>
#include <QMenu>
#include <QMenuBar>
#include <QMimeData>
#include <QRegularExpression>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <optional>

namespace loftscope {

namespace {

constexpr int recentLimit = 8;
constexpr int statusMs = 4000;
/// Raise when panels come or go: a remembered layout of other panels is not restored.
constexpr int layoutVersion = 2;
/// Quicker work is not worth a line in the log.
constexpr double loggedFromMs = 200;

Image imageOf(const QImage& picture) {
    const QImage rgb = picture.convertToFormat(QImage::Format_RGB888);
    std::vector<std::uint8_t> pixels;
    pixels.reserve(static_cast<std::size_t>(rgb.width()) * static_cast<std::size_t>(rgb.height()) *
                   3);
    for (int y = 0; y < rgb.height(); ++y)
        pixels.insert(pixels.end(), rgb.constScanLine(y),
                      rgb.constScanLine(y) + std::ptrdiff_t{3} * rgb.width());
    return {{rgb.height(), rgb.width()}, std::move(pixels)};
}

QStringList localFilesOf(const QMimeData& data) {
    QStringList files;
    for (const QUrl& url : data.urls())
        if (url.isLocalFile()) files.append(url.toLocalFile());
    return files;
}

QString globsOf(const QStringList& endings) {
    QStringList globs;
    for (const QString& ending : endings)
        globs.append("*." + ending);
    return globs.join(' ');
}

} // namespace

MainWindow::MainWindow(const WindowOptions& options, QWidget* parent)
    : QMainWindow(parent)
    , settings_(options.settingsPath.isEmpty()
                    ? std::make_unique<QSettings>("LoftScope", "LoftScope")
                    : std::make_unique<QSettings>(options.settingsPath, QSettings::IniFormat)) {
    setWindowTitle("LoftScope");
    setAcceptDrops(true);
    setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks);
    setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
    commands_ = new Commands(this);
    workspace_ = new Workspace(&model_, options.workspace);

    auto* middle = new QWidget;
    auto* column = new QVBoxLayout(middle);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    errorBar_ = new ErrorBar;
    canvas_ = new CanvasWidget(&model_);
    column->addWidget(errorBar_);
    column->addWidget(canvas_, 1);
    clipBar_ = new ClipBar(workspace_);
    column->addWidget(clipBar_);
    setCentralWidget(middle);
    figures_ = new FigureExport(&model_, workspace_, canvas_, settings_.get(), this);
    sessions_ = new SessionKeeper(
        &model_, workspace_, settings_.get(),
        [this] { return canvas_->transformOf(model_.state().selected).visiblePixels(); }, this);
    statusLine_ = new StatusLine;
    setStatusBar(statusLine_);

    makeCommands();
    // Upright: the names of all panels stay readable in a narrow column.
    setTabPosition(Qt::RightDockWidgetArea, QTabWidget::East);
    makePanels(options.devices);
    addPaneCommands(*commands_, model_, *workspace_, *colors_);
    makeMenus();
    palette_ = new CommandPalette(commands_, this);
    connectWorkspace();

    resize(1280, 800);
    defaultLayout();
    firstLayout_ = saveState(layoutVersion);
    restoreGeometry(settings_->value("geometry").toByteArray());
    restoreState(settings_->value("layout").toByteArray(), layoutVersion);
    setDark(!settings_->value("light", false).toBool());
    updateActions();
    updateStatus();
    canvas_->setFocus();
}

MainWindow::~MainWindow() {
    // Everything below looks at the model, a member that ends before the children of the window do.
    disconnect(&model_, nullptr, this, nullptr);
    workspace_->disconnect();
    delete figures_;
    delete sessions_;
    delete takeCentralWidget();
    qDeleteAll(findChildren<QDockWidget*>(QString(), Qt::FindDirectChildrenOnly));
    delete workspace_;
}

// --- panels -----------------------------------------------------------------------------------

void MainWindow::makePanels(const QStringList& devices) {
    inspector_ = new Inspector(&model_, workspace_);
    colors_ = new ColorsPanel(&model_, workspace_);
    photoStrip_ = new PhotoStrip;
    modelPanel_ = new ModelPanel;
    computePanel_ = new ComputePanel(&model_, devices);
    statisticsPanel_ = new StatisticsPanel;
    log_ = new LogPanel;
    evaluation_ = new EvaluationPanel;
    addPanel({"inspector", tr("Inspector"), tr("The pick's values and attention maps"),
              QKeySequence(Qt::Key_F2), Qt::RightDockWidgetArea, true},
             inspector_);
    addPanel({"colors", tr("Colours"),
              tr("PCA basis and components, colour map, range, mask and opacity of the pane"),
              QKeySequence(Qt::Key_F5), Qt::RightDockWidgetArea, true},
             colors_);
    addPanel({"model", tr("Model"),
              tr("Backbone and upsampler: what was recognised, from which "
                 "file"),
              QKeySequence(Qt::Key_F3)},
             modelPanel_);
    addPanel({"compute", tr("Compute"), tr("Sizes, device, time and memory of each stage"),
              QKeySequence(Qt::Key_F4)},
             computePanel_);
    addPanel({"statistics", tr("Channels"),
              tr("Norms, means and deviations of the features, dead channels"),
              QKeySequence(Qt::Key_F6)},
             statisticsPanel_);
    addPanel({"photos", tr("Photos"), tr("The photos of the folder, as thumbnails"),
              QKeySequence(Qt::Key_F7), Qt::LeftDockWidgetArea},
             photoStrip_);
    addPanel({"log", tr("Log"), tr("What the program did and said"), QKeySequence(Qt::Key_F8),
              Qt::BottomDockWidgetArea},
             log_);
    addPanel({"evaluation", tr("Evaluation"),
              tr("What loftscope eval found: table, bars and intervals"), QKeySequence(Qt::Key_F9),
              Qt::BottomDockWidgetArea},
             evaluation_);
}

QDockWidget* MainWindow::addPanel(const PanelSpec& spec, QWidget* content) {
    auto* dock = new QDockWidget(spec.title, this);
    dock->setObjectName(spec.id);
    if (spec.scrolls) content = new PanelScrollArea(content);
    if (spec.area == Qt::RightDockWidgetArea) content->setMinimumWidth(260);
    dock->setWidget(content);
    addDockWidget(spec.area, dock);
    for (const auto moved : {&QDockWidget::topLevelChanged, &QDockWidget::visibilityChanged})
        connect(dock, moved, this, &MainWindow::updatePanelTitles);
    connect(dock, &QDockWidget::dockLocationChanged, this, &MainWindow::updatePanelTitles);
    commands_->adopt(dock->toggleViewAction(),
                     {"panel." + spec.id, tr("Panels"), spec.title, spec.help, {spec.keys}, true});
    return dock;
}

QDockWidget* MainWindow::panel(const QString& id) const {
    return findChild<QDockWidget*>(id, Qt::FindDirectChildrenOnly);
}

void MainWindow::updatePanelTitles() {
    for (auto* dock : findChildren<QDockWidget*>(QString(), Qt::FindDirectChildrenOnly)) {
        const QList<QDockWidget*> others = tabifiedDockWidgets(dock);
        const bool inTabs =
            !dock->isFloating() && std::ranges::any_of(others, [](const QDockWidget* other) {
                return !other->isHidden();
            });
        if (inTabs == (dock->titleBarWidget() != nullptr)) continue;
        QWidget* old = dock->titleBarWidget();
        dock->setTitleBarWidget(inTabs ? new QWidget : nullptr);
        delete old;
    }
}

void MainWindow::showPanel(const QString& id) {
    if (QDockWidget* dock = panel(id)) {
        dock->show();
        dock->raise();
    }
}

void MainWindow::defaultLayout() {
    for (const char* id : {"colors", "model", "compute", "statistics"}) {
        panel(id)->setFloating(false);
        addDockWidget(Qt::RightDockWidgetArea, panel(id));
        tabifyDockWidget(panel("inspector"), panel(id));
        panel(id)->show();
    }
    panel("photos")->hide();
    panel("log")->hide();
    panel("evaluation")->hide();
    showPanel("inspector");
    resizeDocks({panel("inspector")}, {340}, Qt::Horizontal);
    resizeDocks({panel("photos")}, {140}, Qt::Horizontal);
    resizeDocks({panel("log")}, {150}, Qt::Vertical);
}

void MainWindow::restoreLayout() {
    restoreState(firstLayout_, layoutVersion);
}

// --- what the workspace tells ------------------------------------------------------------------

void MainWindow::connectWorkspace() {
    connect(workspace_, &Workspace::engineAnswered, this, &MainWindow::onAnswer);
    connect(workspace_, &Workspace::failed, this, &MainWindow::showFailure);
    connect(workspace_, &Workspace::noted, this, [this](const QString& sentence) {
        errorBar_->showNote(sentence);
        log_->add(LogPanel::Level::Warning, sentence);
    });
    connect(figures_, &FigureExport::failed, this, &MainWindow::showFailure);
    const auto say = [this](const QString& sentence) {
        statusLine_->showMessage(sentence, statusMs);
        log_->add(LogPanel::Level::Info, sentence);
    };
    connect(figures_, &FigureExport::noted, this, say);
    connect(sessions_, &SessionKeeper::noted, this, say);
    connect(sessions_, &SessionKeeper::failed, this, &MainWindow::showFailure);
    if (sessions_->hasRecovery())
        errorBar_->showNote(
            tr("The program ended unexpectedly the last time: what it showed can be "
               "shown again."),
            {commands_->find("session.recover")});
    connect(workspace_, &Workspace::photoShown, this, [this](const QString& path) {
        errorBar_->dismiss();
        setWindowTitle(tr("%1 \u2013 LoftScope").arg(workspace_->photoName()));
        if (!QFileInfo::exists(path)) return;
        remember(path);
        if (panel("photos")->isVisible()) fillPhotoStrip();
        photoStrip_->setCurrent(path);
    });
    connect(workspace_, &Workspace::clipChanged, this, &MainWindow::updateActions);
    connect(workspace_, &Workspace::progressed, statusLine_, &StatusLine::setStage);
    connect(workspace_, &Workspace::busyChanged, this, [this](bool busy) {
        statusLine_->setBusy(busy);
        updateActions();
        updateStatus();
    });
    connect(statusLine_, &StatusLine::cancelRequested, workspace_, &Workspace::cancel);
    connect(&model_, &PaneModel::changed, this, &MainWindow::updateActions);
    connect(&model_, &PaneModel::hoverChanged, this, &MainWindow::updatePosition);
    connect(&model_, &PaneModel::viewChanged, this, &MainWindow::updatePosition);
    connect(&model_, &PaneModel::viewChanged, this, &MainWindow::updateSeen);
    connect(canvas_, &CanvasWidget::openGlFailed, this,
            [this](const QString& sentence, const QString& details) {
                showFailure(sentence);
                if (!details.isEmpty()) log_->add(LogPanel::Level::Error, details);
            });
    connect(canvas_, &CanvasWidget::paneMenuRequested, this, [this](int pane, const QPoint& at) {
        model_.select(pane);
        showPaneMenu(at);
    });
    connect(photoStrip_, &PhotoStrip::chosen, this, &MainWindow::openFile);
    connect(panel("photos"), &QDockWidget::visibilityChanged, this, [this](bool visible) {
        if (visible) fillPhotoStrip();
    });
    connect(modelPanel_, &ModelPanel::openRequested, this, &MainWindow::choosePhoto);
    connect(modelPanel_, &ModelPanel::listRequested, this, &MainWindow::showModels);
    connect(modelPanel_, &ModelPanel::summaryChanged, this, [this](const QString& summary) {
        modelButton_->setText(summary);
        menuBar()->setCornerWidget(modelButton_); // a menu bar measures its corner only then
    });
    clock_.setInterval(250);
    connect(&clock_, &QTimer::timeout, this, &MainWindow::updateStatus);
    // Also after the window or a pane has changed its size.
    connect(&clock_, &QTimer::timeout, this, &MainWindow::updateSeen);
    clock_.start();
}

void MainWindow::onAnswer(quint64 /*id*/, const EngineEvent& event) {
    modelPanel_->onAnswer(event);
    computePanel_->onAnswer(event);
    statisticsPanel_->onAnswer(event);
    using Level = LogPanel::Level;
    if (const auto* photo = std::get_if<PhotoDecoded>(&event)) {
        log_->add(Level::Info, tr("Photo %1, %2 \u00d7 %3 pixels")
                                   .arg(QString::fromStdString(photo->path.string()))
                                   .arg(photo->picture.width())
                                   .arg(photo->picture.height()));
    } else if (const auto* loaded = std::get_if<ModelLoaded>(&event)) {
        const ModelDescription& model = loaded->model;
        log_->add(Level::Info, tr("Loaded %1 from %2, SHA-256 %3, on %4")
                                   .arg(QString::fromStdString(model.name),
                                        QString::fromStdString(model.path.string()),
                                        QString::fromStdString(model.sha256),
                                        QString::fromStdString(model.device)));
        statusLine_->setDevice(tr("%1, %2, %3")
                                   .arg(QString::fromStdString(model.device),
                                        Engine::threads() == 1
                                            ? tr("1 thread")
                                            : tr("%1 threads").arg(Engine::threads()),
                                        QString::fromStdString(model.precision)));
    } else if (const auto* note = std::get_if<EngineNote>(&event)) {
        errorBar_->showNote(QString::fromStdString(note->sentence));
        log_->add(Level::Warning, QString::fromStdString(note->sentence));
    } else if (const auto* ended = std::get_if<RequestEnded>(&event)) {
        if (ended->error) lastError_ = ended->error->code;
        const QString doing = QString::fromStdString(ended->doing);
        const QString what = doing.left(1).toUpper() + doing.mid(1);
        if (ended->error && ended->error->code == ErrorCode::Cancelled) {
            log_->add(Level::Info, tr("%1: cancelled").arg(what));
        } else if (!ended->error && ended->elapsedMs >= loggedFromMs) {
            log_->add(Level::Info,
                      tr("%1: %2 s").arg(what).arg(ended->elapsedMs / 1000, 0, 'f', 2));
        }
    }
}

void MainWindow::showFailure(const QString& sentence) {
    errorBar_->showError(sentence, waysOut(lastError_));
    log_->add(LogPanel::Level::Error, sentence);
    lastError_ = ErrorCode::Internal;
}

QList<QAction*> MainWindow::waysOut(ErrorCode code) const {
    QStringList ids;
    switch (code) {
    case ErrorCode::NotFound:
    case ErrorCode::Malformed:
    case ErrorCode::Unsupported:
    case ErrorCode::Mismatch:
        ids = {"file.open"};
        break;
    case ErrorCode::OutOfMemory:
        ids = {"compute.smaller"};
        break;
    default:
        break;
    }
    const bool onCpu = model_.state().compute.device == "cpu";
    if (!onCpu && (code == ErrorCode::OutOfMemory || code == ErrorCode::Unsupported))
        ids.append("compute.cpu");
    ids.append("help.log");
    QList<QAction*> actions;
    for (const QString& id : ids)
        actions.append(commands_->find(id));
    return actions;
}

void MainWindow::updateActions() {
    const auto setText = [this](const char* id, const QString& text, bool enabled) {
        QAction* action = commands_->find(id);
        action->setText(text);
        action->setEnabled(enabled);
    };
    setText("edit.undo", model_.canUndo() ? tr("&Undo: %1").arg(model_.undoText()) : tr("&Undo"),
            model_.canUndo());
    setText("edit.redo", model_.canRedo() ? tr("&Redo: %1").arg(model_.redoText()) : tr("&Redo"),
            model_.canRedo());
    const WorkspaceState& state = model_.state();
    commands_->find("view.link")->setChecked(state.linked);
    commands_->find("view.histogram")->setChecked(canvas_->rangeControlVisible());
    commands_->find("compare.wipe")->setChecked(state.compare == CompareMode::Wipe);
    commands_->find("compare.difference")->setChecked(state.compare == CompareMode::Difference);
    commands_->find("compare.flip")->setChecked(model_.flipped());
    commands_->find("compute.cancel")->setEnabled(workspace_->busy());
    const bool isClip = workspace_->clip().has_value();
    for (const char* id : {"clip.next", "clip.previous", "clip.one-basis"})
        commands_->find(id)->setEnabled(isClip);
    commands_->find("clip.one-basis")->setChecked(workspace_->clipBasis());
    commands_->find("clip.from-folder")->setEnabled(!wantedPhoto_.isEmpty());
}

void MainWindow::updateSeen() {
    if (!model_.photo()) return;
    std::optional<Box> seen;
    double zoom = 0;
    for (const PaneState& pane : model_.state().panes) {
        if (canvas_->pictureOf(pane.id).empty()) continue;
        const Box part = canvas_->transformOf(pane.id).visiblePixels();
        if (seen) {
            const glm::dvec2 from{std::min(seen->origin.x, part.origin.x),
                                  std::min(seen->origin.y, part.origin.y)};
            const glm::dvec2 to{std::max(seen->end().x, part.end().x),
                                std::max(seen->end().y, part.end().y)};
            seen = Box{from, to - from};
        } else {
            seen = part;
        }
        zoom = std::max(zoom, canvas_->zoomOf(pane.id));
    }
    if (seen) workspace_->see(*seen, zoom);
}

void MainWindow::updatePosition() {
    if (!model_.photo()) {
        statusLine_->setZoom(std::nullopt);
        statusLine_->setPosition({});
        return;
    }
    statusLine_->setZoom(canvas_->zoomOf(model_.state().selected));
    const auto& hover = model_.hover();
    if (!hover) {
        statusLine_->setPosition({});
        return;
    }
    const Pixel pixel = pixelContaining(hover->at, model_.photoExtent());
    statusLine_->setPosition(QString("(%1, %2)").arg(pixel.x).arg(pixel.y));
}

void MainWindow::updateStatus() {
    updatePosition();
    statusLine_->setElapsed(static_cast<double>(workspace_->elapsedMs()));
    statusLine_->setMemory(residentBytes());
}

void MainWindow::setDark(bool dark) {
    dark_ = dark;
    settings_->setValue("light", !dark);
    applyTheme(dark);
    canvas_->setTheme(dark ? darkCanvas() : lightCanvas());
    commands_->find("view.light")->setChecked(!dark);
}

void MainWindow::showKeys() {
    (new KeySheet(*commands_, this))->show();
}

// --- files ------------------------------------------------------------------------------------

void MainWindow::openFile(const QString& path) {
    if (QFileInfo(path).isDir()) {
        openFolder(path);
        return;
    }
    if (namesSession(path.toStdString())) {
        sessions_->open(path);
        return;
    }
    if (!checkpointEndings().contains(QFileInfo(path).suffix().toLower())) {
        wantedPhoto_ = QFileInfo(path).absoluteFilePath();
        if (!photos_.contains(wantedPhoto_)) photos_.clear();
    }
    workspace_->openFile(path.toStdString());
}

void MainWindow::openFiles(const QStringList& paths) {
    if (paths.isEmpty()) return;
    photos_.clear();
    if (paths.size() > 1) {
        for (const QString& path : paths)
            if (photoEndings().contains(QFileInfo(path).suffix().toLower()))
                photos_.append(QFileInfo(path).absoluteFilePath());
        if (photos_.size() < 2) photos_.clear();
    }
    if (!photos_.isEmpty()) showPanel("photos");
    fillPhotoStrip();
    openFile(photos_.isEmpty() ? paths.first() : photos_.first());
}

void MainWindow::openFolder(const QString& path) {
    const QStringList photos = photosIn(path);
    if (photos.isEmpty()) {
        lastError_ = ErrorCode::NotFound;
        showFailure(tr("The folder '%1' holds no photos that can be opened.")
                        .arg(QDir::toNativeSeparators(path)));
        return;
    }
    photos_.clear();
    wantedPhoto_.clear();
    openFile(photos.first());
    showPanel("photos");
    fillPhotoStrip();
}

void MainWindow::openSequence(const QString& path) {
    workspace_->openClip(path.toStdString());
}

QStringList MainWindow::photosToStep() const {
    if (!photos_.isEmpty()) return photos_;
    return wantedPhoto_.isEmpty() ? QStringList() : photosIn(QFileInfo(wantedPhoto_).path());
}

void MainWindow::fillPhotoStrip() {
    photoStrip_->setPhotos(photosToStep());
    photoStrip_->setCurrent(wantedPhoto_);
}

void MainWindow::stepPhoto(int step) {
    const QString next = photoBeside(photosToStep(), wantedPhoto_, step);
    if (next.isEmpty()) {
        statusLine_->showMessage(
            tr("Open a photo of a folder first: then there are others to go to."), statusMs);
    } else if (next == wantedPhoto_) {
        statusLine_->showMessage(step > 0 ? tr("This is the last photo of the folder.")
                                          : tr("This is the first photo of the folder."),
                                 statusMs);
    } else {
        openFile(next);
    }
}

void MainWindow::choosePhoto() {
    chooseFile(this,
               {.name = "open",
                .title = tr("Open a photo, a video or a checkpoint"),
                .folder = QFileInfo(wantedPhoto_).path(),
                .filter = tr("Photos, videos, checkpoints and sessions (%1);;All files (*)")
                              .arg(globsOf(photoEndings() + clipEndings() + checkpointEndings() +
                                           QStringList{"loftscope"}))},
               [this](const QString& path) { openFile(path); });
}

void MainWindow::showModels() {
    if (models_ == nullptr) {
        models_ = new ModelsDialog([] { return modelPlaces(); }, {}, this);
        connect(models_, &ModelsDialog::chosen, this, &MainWindow::openFile);
    } else {
        models_->refresh();
    }
    models_->show();
    models_->raise();
    models_->activateWindow();
}

void MainWindow::chooseFolder() {
    chooseFile(this,
               {.purpose = ChooseFor::Folder,
                .name = "openFolder",
                .title = tr("Open a folder of photos"),
                .folder = QFileInfo(wantedPhoto_).path()},
               [this](const QString& path) { openFolder(path); });
}

void MainWindow::chooseEvaluation() {
    chooseFile(this,
               {.name = "openEvaluation",
                .title = tr("Open an evaluation"),
                .filter = tr("Results of evaluations (*.json)")},
               [this](const QString& path) { openEvaluation(path); });
}

void MainWindow::openEvaluation(const QString& path) {
    if (const auto opened = evaluation_->open(path); !opened) {
        lastError_ = opened.error().code;
        showFailure(QString::fromStdString(opened.error().message));
        return;
    }
    showPanel("evaluation");
}

void MainWindow::pastePicture() {
    const QMimeData* held = QApplication::clipboard()->mimeData();
    const QStringList files = held != nullptr ? localFilesOf(*held) : QStringList();
    const QImage picture = QApplication::clipboard()->image();
    if (!picture.isNull()) {
        wantedPhoto_.clear();
        workspace_->openPicture(imageOf(picture), tr("pasted picture"));
    } else if (!files.isEmpty()) {
        openFiles(files);
    } else {
        errorBar_->showNote(tr("The clipboard holds no picture: copy one first."));
    }
}

void MainWindow::copyValues() {
    const auto pick = model_.activePick();
    if (!pick || !model_.photo()) {
        statusLine_->showMessage(tr("Click a pixel first: then there are values to copy."),
                                 statusMs);
        return;
    }
    const Pixel pixel = pixelContaining(pick->at, model_.photoExtent());
    QStringList lines{QString("x %1  y %2").arg(pixel.x).arg(pixel.y)};
    for (const PaneState& pane : model_.state().panes) {
        if (const auto value = model_.valueAt(pane.id, pick->at))
            lines.append(QString("%1\t%2").arg(model_.content(pane.id).title,
                                               model_.describe(pane.id, *value)));
    }
    QApplication::clipboard()->setText(lines.join('\n'));
    statusLine_->showMessage(tr("The values at the pick are on the clipboard."), statusMs);
}

void MainWindow::goTo() {
    auto* dialog = new QInputDialog(this);
    dialog->setObjectName("goTo");
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(tr("Go to a pixel"));
    dialog->setLabelText(tr("Photo pixel as x, y:"));
    connect(dialog, &QInputDialog::textValueSelected, this, [this](const QString& text) {
        static const QRegularExpression pair(R"(^\s*\(?\s*(\d+)\s*[,;\s]\s*(\d+)\s*\)?\s*$)");
        const auto match = pair.match(text);
        const Pixel pixel{match.captured(1).toLongLong(), match.captured(2).toLongLong()};
        if (!match.hasMatch() || !contains(model_.photoExtent(), pixel)) {
            errorBar_->showNote(tr("'%1' is no pixel of the photo: give x, y from 0, 0 to %2, %3.")
                                    .arg(text)
                                    .arg(model_.photoExtent().width - 1)
                                    .arg(model_.photoExtent().height - 1));
            return;
        }
        const glm::dvec2 at(static_cast<double>(pixel.x) + 0.5, static_cast<double>(pixel.y) + 0.5);
        model_.placePick(at);
        model_.goTo(at);
    });
    dialog->open();
}

QStringList MainWindow::recentFiles() const {
    return settings_->value("recent").toStringList();
}

void MainWindow::remember(const QString& path) {
    QStringList files = recentFiles();
    const QString full = QFileInfo(path).absoluteFilePath();
    files.removeAll(full);
    files.prepend(full);
    settings_->setValue("recent", files.mid(0, recentLimit));
    fillRecentMenu();
}

void MainWindow::fillRecentMenu() {
    recentMenu_->clear();
    for (const QString& path : recentFiles()) {
        QAction* action = recentMenu_->addAction(QFileInfo(path).fileName(), this,
                                                 [this, path] { openFile(path); });
        action->setToolTip(path);
        Commands::setGroup(action, tr("Recent"));
    }
    recentMenu_->setEnabled(!recentMenu_->isEmpty());
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    if (!localFilesOf(*event->mimeData()).isEmpty() || event->mimeData()->hasImage())
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
    const QStringList files = localFilesOf(*event->mimeData());
    if (!files.isEmpty()) {
        openFiles(files);
    } else {
        const auto picture = event->mimeData()->imageData().value<QImage>();
        if (picture.isNull()) return;
        wantedPhoto_.clear();
        workspace_->openPicture(imageOf(picture), tr("dropped picture"));
    }
    event->acceptProposedAction();
}

void MainWindow::changeInput(double factor) {
    ComputeSettings settings = model_.state().compute;
    const auto size =
        static_cast<std::int64_t>(std::lround(static_cast<double>(settings.inputSize) * factor));
    settings.inputSize = std::clamp<std::int64_t>(size, 16, largestSize);
    model_.setCompute(settings);
}

bool MainWindow::idle() const {
    return !workspace_->busy() && !figures_->busy();
}

void MainWindow::closeEvent(QCloseEvent* event) {
    settings_->setValue("geometry", saveGeometry());
    settings_->setValue("layout", saveState(layoutVersion));
    workspace_->cancel();
    QMainWindow::closeEvent(event);
}

} // namespace loftscope
