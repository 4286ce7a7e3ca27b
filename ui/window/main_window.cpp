// SPDX-License-Identifier: Apache-2.0
#include "ui/window/main_window.h"

#include "ui/window/pane_menu.h"

#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QDialog>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFile>
#include <QFileDialog>
#include <QFileInfo>
#include <QImage>
#include <QLabel>
#include <QMenu>
#include <QMenuBar>
#include <QMimeData>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QStatusBar>
#include <QStyleFactory>
#include <QVBoxLayout>

#include <unistd.h>

namespace loftscope {

namespace {

constexpr int recentLimit = 8;

QPalette paletteOf(bool dark) {
    const auto gray = [](int level) { return QColor(level, level, level); };
    QPalette palette;
    const QColor text = gray(dark ? 214 : 28);
    palette.setColor(QPalette::Window, gray(dark ? 45 : 238));
    palette.setColor(QPalette::WindowText, text);
    palette.setColor(QPalette::Base, gray(dark ? 30 : 252));
    palette.setColor(QPalette::AlternateBase, gray(dark ? 38 : 244));
    palette.setColor(QPalette::Text, text);
    palette.setColor(QPalette::Button, gray(dark ? 58 : 226));
    palette.setColor(QPalette::ButtonText, text);
    palette.setColor(QPalette::BrightText, text);
    palette.setColor(QPalette::ToolTipBase, gray(dark ? 30 : 252));
    palette.setColor(QPalette::ToolTipText, text);
    palette.setColor(QPalette::PlaceholderText, gray(dark ? 150 : 98));
    palette.setColor(QPalette::Highlight, gray(dark ? 110 : 150));
    palette.setColor(QPalette::HighlightedText, gray(dark ? 250 : 10));
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
        palette.setColor(QPalette::Disabled, role, gray(dark ? 120 : 140));
    return palette;
}

/// Resident memory of the process in MB; 0 where the system does not tell.
double memoryMegabytes() {
    QFile file("/proc/self/statm");
    if (!file.open(QIODevice::ReadOnly)) return 0;
    const QList<QByteArray> fields = file.readAll().split(' ');
    if (fields.size() < 2) return 0;
    return fields[1].toDouble() * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

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

} // namespace

MainWindow::MainWindow(const WindowOptions& options, QWidget* parent)
    : QMainWindow(parent)
    , settings_(options.settingsPath.isEmpty()
                    ? std::make_unique<QSettings>("LoftScope", "LoftScope")
                    : std::make_unique<QSettings>(options.settingsPath, QSettings::IniFormat)) {
    setWindowTitle("LoftScope");
    setAcceptDrops(true);
    QApplication::setStyle(QStyleFactory::create("Fusion"));

    workspace_ = new Workspace(&model_, options.workspace);
    auto* middle = new QWidget;
    auto* column = new QVBoxLayout(middle);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    errorBar_ = new ErrorBar;
    canvas_ = new CanvasWidget(&model_);
    column->addWidget(errorBar_);
    column->addWidget(canvas_, 1);
    setCentralWidget(middle);

    inspector_ = new Inspector(&model_, workspace_);
    auto* scroll = new QScrollArea;
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setMinimumWidth(260);
    scroll->setWidget(inspector_);
    auto* dock = new QDockWidget(tr("Inspector"), this);
    dock->setObjectName("inspectorDock");
    dock->setWidget(scroll);
    addDockWidget(Qt::RightDockWidgetArea, dock);

    makeStatusBar();
    makeMenus();
    connectWorkspace();

    resize(1280, 800);
    resizeDocks({dock}, {300}, Qt::Horizontal);
    restoreGeometry(settings_->value("geometry").toByteArray());
    restoreState(settings_->value("layout").toByteArray());
    setDark(!settings_->value("light", false).toBool());
    updateActions();
    updateStatus();
    canvas_->setFocus();
}

MainWindow::~MainWindow() {
    // Everything below looks at the model, a member that ends before the children of the window do.
    disconnect(&model_, nullptr, this, nullptr);
    workspace_->disconnect();
    delete takeCentralWidget();
    delete findChild<QDockWidget*>("inspectorDock");
    delete workspace_;
}

// --- what is in the window --------------------------------------------------------------------

QAction* MainWindow::add(QMenu* menu, const QString& text, const QKeySequence& keys,
                         const std::function<void()>& act) {
    QAction* action = menu->addAction(text);
    action->setShortcut(keys);
    // Also without a menu bar, in full screen.
    addAction(action);
    connect(action, &QAction::triggered, this, act);
    return action;
}

void MainWindow::makeMenus() {
    const auto checkable = [](QAction* action) {
        action->setCheckable(true);
        return action;
    };
    QMenu* file = menuBar()->addMenu(tr("&File"));
    add(file, tr("&Open photo or checkpoint..."), QKeySequence::Open, [this] { chooseFile(); });
    recentMenu_ = file->addMenu(tr("Open &recent"));
    fillRecentMenu();
    file->addSeparator();
    add(file, tr("&Quit"), QKeySequence(Qt::CTRL | Qt::Key_Q), [this] { close(); });

    QMenu* edit = menuBar()->addMenu(tr("&Edit"));
    undo_ = add(edit, tr("&Undo"), QKeySequence::Undo, [this] { model_.undo(); });
    redo_ = add(edit, tr("&Redo"), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_Z),
                [this] { model_.redo(); });
    edit->addSeparator();
    add(edit, tr("&Paste picture"), QKeySequence::Paste, [this] { pastePicture(); });
    edit->addSeparator();
    add(edit, tr("P&in the pick"), QKeySequence(Qt::Key_P), [this] { model_.pinPick(); });
    add(edit, tr("&Clear picks"), QKeySequence(Qt::Key_Escape), [this] { model_.clearPicks(); });

    QMenu* view = menuBar()->addMenu(tr("&View"));
    add(view, tr("&Fit"), QKeySequence(Qt::Key_F), [this] { model_.fit(); });
    add(view, tr("&1:1"), QKeySequence(Qt::Key_Z), [this] { model_.oneToOne(); });
    add(view, tr("Zoom &in"), QKeySequence(Qt::CTRL | Qt::Key_Plus),
        [this] { canvas_->zoomBy(1.25); });
    add(view, tr("Zoom &out"), QKeySequence(Qt::CTRL | Qt::Key_Minus),
        [this] { canvas_->zoomBy(0.8); });
    link_ = checkable(add(view, tr("&Link the panes"), QKeySequence(Qt::Key_L),
                          [this] { model_.setLinked(!model_.state().linked); }));
    view->addSeparator();
    add(view, tr("&Maximise the pane"), QKeySequence(Qt::Key_M),
        [this] { model_.toggleMaximised(model_.state().selected); });
    add(view, tr("&Next components"), QKeySequence(Qt::Key_BracketRight),
        [this] { model_.stepComponents(model_.state().selected, 1); });
    add(view, tr("&Previous components"), QKeySequence(Qt::Key_BracketLeft),
        [this] { model_.stepComponents(model_.state().selected, -1); });
    QMenu* select = view->addMenu(tr("&Select pane"));
    for (int i = 0; i < 9; ++i) {
        add(select, tr("Pane &%1").arg(i + 1), QKeySequence(Qt::Key_1 + i), [this, i] {
            if (const int id = model_.idAt(i); id != 0) model_.select(id);
        });
    }
    view->addSeparator();
    fullScreen_ = checkable(add(view, tr("F&ull screen"), QKeySequence(Qt::Key_F11), [this] {
        setWindowState(windowState() ^ Qt::WindowFullScreen);
        fullScreen_->setChecked(isFullScreen());
    }));
    light_ = checkable(add(view, tr("Light &theme"), {}, [this] {
        settings_->setValue("light", light_->isChecked());
        setDark(!light_->isChecked());
    }));
    view->addAction(findChild<QDockWidget*>("inspectorDock")->toggleViewAction());

    QMenu* paneMenu = menuBar()->addMenu(tr("&Pane"));
    paneMenu->setToolTipsVisible(true);
    connect(paneMenu, &QMenu::aboutToShow, this, [this, paneMenu] {
        paneMenu->clear();
        qDeleteAll(paneMenu->findChildren<QMenu*>(QString(), Qt::FindDirectChildrenOnly));
        fillPaneMenu(*paneMenu, model_, *workspace_, model_.state().selected);
    });

    QMenu* compare = menuBar()->addMenu(tr("&Compare"));
    add(compare, tr("Use the pane as &A"), QKeySequence(Qt::Key_A),
        [this] { model_.setReference(model_.state().selected); });
    const auto toggle = [this](CompareMode mode) {
        model_.setCompare(model_.state().compare == mode ? CompareMode::Off : mode);
    };
    wipe_ = checkable(add(compare, tr("&Wipe between A and the pane"), QKeySequence(Qt::Key_W),
                          [toggle] { toggle(CompareMode::Wipe); }));
    difference_ =
        checkable(add(compare, tr("&Difference: the pane minus A"), QKeySequence(Qt::Key_D),
                      [toggle] { toggle(CompareMode::Difference); }));
    // The canvas takes a held space bar itself; this is for the menu and other focus.
    flip_ = checkable(add(compare, tr("&Flip to A (hold Space over the panes)"),
                          QKeySequence(Qt::Key_Space),
                          [this] { model_.setFlipped(!model_.flipped()); }));

    QMenu* help = menuBar()->addMenu(tr("&Help"));
    add(help, tr("&Keys"), QKeySequence(Qt::Key_F1), [this] { showKeys(); });
}

void MainWindow::makeStatusBar() {
    const auto field = [this](const char* name, int width) {
        auto* label = new QLabel;
        label->setObjectName(name);
        label->setMinimumWidth(width);
        return label;
    };
    zoomLabel_ = field("zoom", 52);
    zoomLabel_->setToolTip(tr("Screen pixels per photo pixel in the selected pane"));
    positionLabel_ = field("position", 92);
    positionLabel_->setToolTip(tr("Photo pixel under the cursor"));
    stageLabel_ = field("stage", 120);
    timeLabel_ = field("time", 56);
    timeLabel_->setToolTip(tr("Time that the current or the last work took"));
    memoryLabel_ = field("memory", 62);
    memoryLabel_->setToolTip(tr("Memory of the program"));
    progress_ = new QProgressBar;
    progress_->setObjectName("progress");
    progress_->setRange(0, 1000);
    progress_->setTextVisible(false);
    progress_->setFixedSize(140, 12);
    cancel_ = new QPushButton(tr("Cancel"));
    cancel_->setObjectName("cancel");
    cancel_->setFocusPolicy(Qt::NoFocus);
    cancel_->setFlat(true);
    auto* threads = field("threads", 0);
    threads->setText(tr("%n thread(s), fp32", nullptr, Engine::threads())
                         .replace("thread(s)", Engine::threads() == 1 ? "thread" : "threads"));
    statusBar()->addWidget(zoomLabel_);
    statusBar()->addWidget(positionLabel_);
    statusBar()->addWidget(stageLabel_, 1);
    statusBar()->addWidget(progress_);
    statusBar()->addWidget(cancel_);
    statusBar()->addPermanentWidget(timeLabel_);
    statusBar()->addPermanentWidget(memoryLabel_);
    statusBar()->addPermanentWidget(threads);
    progress_->hide();
    cancel_->hide();
}

void MainWindow::connectWorkspace() {
    connect(workspace_, &Workspace::failed, errorBar_, &ErrorBar::showError);
    connect(workspace_, &Workspace::noted, errorBar_, &ErrorBar::showNote);
    connect(workspace_, &Workspace::photoShown, this, [this](const QString& path) {
        errorBar_->dismiss();
        setWindowTitle(tr("%1 \u2013 LoftScope").arg(workspace_->photoName()));
        if (QFileInfo::exists(path)) remember(path);
    });
    connect(workspace_, &Workspace::progressed, this, [this](const QString& stage, double done) {
        stageLabel_->setText(stage);
        progress_->setValue(static_cast<int>(done * 1000));
    });
    connect(workspace_, &Workspace::busyChanged, this, [this](bool busy) {
        progress_->setVisible(busy);
        cancel_->setVisible(busy);
        stageLabel_->setText(busy ? tr("Working") : tr("Ready"));
        progress_->setValue(0);
        updateStatus();
    });
    connect(errorBar_, &ErrorBar::chooseFileRequested, this, &MainWindow::chooseFile);
    connect(cancel_, &QPushButton::clicked, workspace_, &Workspace::cancel);
    connect(&model_, &PaneModel::changed, this, [this] { updateActions(); });
    connect(&model_, &PaneModel::hoverChanged, this, &MainWindow::updateStatus);
    connect(canvas_, &CanvasWidget::openGlFailed, this,
            [this](const QString& sentence, const QString&) { errorBar_->showError(sentence); });
    connect(canvas_, &CanvasWidget::paneMenuRequested, this, [this](int pane, const QPoint& at) {
        model_.select(pane);
        auto* menu = new QMenu(this);
        menu->setAttribute(Qt::WA_DeleteOnClose);
        fillPaneMenu(*menu, model_, *workspace_, pane);
        menu->popup(at);
    });
    clock_.setInterval(250);
    connect(&clock_, &QTimer::timeout, this, &MainWindow::updateStatus);
    clock_.start();
}

void MainWindow::updateActions() {
    undo_->setEnabled(model_.canUndo());
    redo_->setEnabled(model_.canRedo());
    undo_->setText(model_.canUndo() ? tr("&Undo: %1").arg(model_.undoText()) : tr("&Undo"));
    redo_->setText(model_.canRedo() ? tr("&Redo: %1").arg(model_.redoText()) : tr("&Redo"));
    const WorkspaceState& state = model_.state();
    link_->setChecked(state.linked);
    wipe_->setChecked(state.compare == CompareMode::Wipe);
    difference_->setChecked(state.compare == CompareMode::Difference);
    flip_->setChecked(model_.flipped());
}

void MainWindow::updateStatus() {
    if (!model_.photo()) {
        zoomLabel_->clear();
        positionLabel_->clear();
    } else {
        const double zoom = canvas_->zoomOf(model_.state().selected);
        zoomLabel_->setText(tr("%1 %").arg(zoom * 100, 0, 'f', zoom < 0.1 ? 1 : 0));
        const auto& hover = model_.hover();
        if (hover) {
            const Pixel pixel = pixelContaining(hover->at, model_.photoExtent());
            positionLabel_->setText(QString("(%1, %2)").arg(pixel.x).arg(pixel.y));
        } else {
            positionLabel_->clear();
        }
    }
    timeLabel_->setText(
        tr("%1 s").arg(static_cast<double>(workspace_->elapsedMs()) / 1000, 0, 'f', 1));
    if (const double memory = memoryMegabytes(); memory > 0)
        memoryLabel_->setText(tr("%1 MB").arg(memory, 0, 'f', 0));
}

void MainWindow::setDark(bool dark) {
    QApplication::setPalette(paletteOf(dark));
    canvas_->setTheme(dark ? darkCanvas() : lightCanvas());
    light_->setChecked(!dark);
}

void MainWindow::showKeys() {
    auto* dialog = new QDialog(this);
    dialog->setObjectName("keys");
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(tr("Keys"));
    QString rows;
    for (const QAction* action : actions()) {
        if (action->shortcut().isEmpty()) continue;
        rows += QString("<tr><td style='padding-right:16px'><b>%1</b></td><td>%2</td></tr>")
                    .arg(action->shortcut().toString(QKeySequence::NativeText).toHtmlEscaped(),
                         QString(action->text()).remove('&').toHtmlEscaped());
    }
    rows += tr("<tr><td><b>Arrows</b></td><td>Move the pick by 1 pixel, with Shift by 10</td></tr>"
               "<tr><td><b>Wheel</b></td><td>Zoom at the cursor</td></tr>"
               "<tr><td><b>Right drag</b></td><td>Pan</td></tr>");
    auto* layout = new QVBoxLayout(dialog);
    layout->addWidget(new QLabel("<table cellspacing='2'>" + rows + "</table>"));
    dialog->show();
}

// --- files ------------------------------------------------------------------------------------

void MainWindow::openFile(const QString& path) {
    workspace_->openFile(path.toStdString());
}

void MainWindow::chooseFile() {
    const QString path = QFileDialog::getOpenFileName(
        this, tr("Open a photo or a checkpoint"), {},
        tr("Photos and checkpoints (*.png *.jpg *.jpeg *.tif *.tiff *.webp *.bmp *.safetensors "
           "*.pth *.pt);;All files (*)"));
    if (!path.isEmpty()) openFile(path);
}

void MainWindow::pastePicture() {
    const QImage picture = QApplication::clipboard()->image();
    if (picture.isNull()) {
        errorBar_->showNote(tr("The clipboard holds no picture: copy one first."));
        return;
    }
    workspace_->openPicture(imageOf(picture), tr("pasted picture"));
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
    for (const QString& path : recentFiles())
        recentMenu_->addAction(path, this, [this, path] { openFile(path); });
    recentMenu_->setEnabled(!recentMenu_->isEmpty());
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
    for (const QUrl& url : event->mimeData()->urls()) {
        if (!url.isLocalFile()) continue;
        openFile(url.toLocalFile());
        event->acceptProposedAction();
        return;
    }
}

void MainWindow::closeEvent(QCloseEvent* event) {
    settings_->setValue("geometry", saveGeometry());
    settings_->setValue("layout", saveState());
    workspace_->cancel();
    QMainWindow::closeEvent(event);
}

} // namespace loftscope
