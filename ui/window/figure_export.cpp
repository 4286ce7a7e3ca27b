// SPDX-License-Identifier: Apache-2.0
#include "ui/window/figure_export.h"

#include "ui/canvas/canvas_widget.h"
#include "ui/window/file_chooser.h"
#include "ui/window/workspace.h"

#include <QClipboard>
#include <QDir>
#include <QFileInfo>
#include <QGuiApplication>
#include <QStandardPaths>

#include <cmath>

namespace loftscope {

namespace {

constexpr const char* folderKey = "export/folder";
/// The preview follows the window this much later, so that a drag does not draw it all the time.
constexpr int refreshMs = 250;

} // namespace

FigureExport::FigureExport(PaneModel* model, Workspace* workspace, CanvasWidget* canvas,
                           QSettings* settings, QWidget* window)
    : model_(model)
    , workspace_(workspace)
    , canvas_(canvas)
    , settings_(settings)
    , window_(window) {
    refreshTimer_.setSingleShot(true);
    refreshTimer_.setInterval(refreshMs);
    connect(&refreshTimer_, &QTimer::timeout, this, [this] {
        if (dialog_ != nullptr) dialog_->refresh();
        if (dataDialog_ != nullptr) dataDialog_->describe(dataDraftOf(*model_, *workspace_));
    });
    connect(model_, &PaneModel::changed, this, [this] {
        const bool isOpen = dialog_ != nullptr || dataDialog_ != nullptr;
        if (isOpen && !refreshTimer_.isActive()) refreshTimer_.start();
    });
    connect(&writer_, &FigureWriter::written, this, [this](const QString& path) {
        settings_->setValue(folderKey, QFileInfo(path).absolutePath());
        Q_EMIT noted(tr("The figure is in %1.").arg(QDir::toNativeSeparators(path)));
    });
    connect(&writer_, &FigureWriter::drawn, this, [this](const QImage& picture) {
        QGuiApplication::clipboard()->setImage(picture);
        Q_EMIT noted(tr("The figure is on the clipboard, %1 \u00d7 %2 pixels.")
                         .arg(picture.width())
                         .arg(picture.height()));
    });
    connect(&writer_, &FigureWriter::failed, this, &FigureExport::failed);
    connect(&dataWriter_, &DataWriter::written, this, [this](int files, const QString& path) {
        Q_EMIT noted(tr("%1 files written to %2.").arg(files).arg(QDir::toNativeSeparators(path)));
    });
    connect(&dataWriter_, &DataWriter::failed, this, &FigureExport::failed);
}

FigureExport::~FigureExport() {
    delete dialog_;
    delete dataDialog_;
}

FigureDraft FigureExport::draft(const FigureChoices& choices) const {
    const auto visible = [this](int pane) {
        int shown = pane;
        if (canvas_->pictureOf(shown).empty()) shown = model_->state().selected;
        return canvas_->transformOf(shown).visiblePixels();
    };
    return draftOf(*model_, {workspace_->photoName(), workspace_->models()}, visible, choices);
}

QString FigureExport::unfinished() const {
    const double missing = missingShare(*model_);
    if (missing <= 0) return {};
    return tr("%1 % of a map had not been computed yet.").arg(std::ceil(missing * 100), 0, 'f', 0);
}

void FigureExport::openDialog() {
    if (dialog_ != nullptr) {
        dialog_->raise();
        dialog_->activateWindow();
        return;
    }
    dialog_ = new ExportDialog([this](const FigureChoices& choices) { return draft(choices); },
                               settings_, window_);
    dialog_->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog_, &QObject::destroyed, this, [this] { dialog_ = nullptr; });
    connect(dialog_, &ExportDialog::saveRequested, this, &FigureExport::choosePath);
    connect(dialog_, &ExportDialog::copyRequested, this, &FigureExport::draw);
    dialog_->show();
}

void FigureExport::choosePath(const FigureDraft& draft, const QString& format) {
    const QFileInfo proposed(freePath(format));
    chooseFile(dialog_,
               {.purpose = ChooseFor::Save,
                .name = "saveFigure",
                .title = tr("Save the figure"),
                .folder = proposed.absolutePath(),
                .proposal = proposed.fileName(),
                .filter = tr("Figures (*.png *.pdf *.svg)"),
                .ending = format},
               [this, draft](const QString& path) { write(draft, path); });
}

void FigureExport::save(const QString& path) {
    write(draft(rememberedChoices(*settings_).figure), path);
}

void FigureExport::exportNow() {
    save(freePath(rememberedChoices(*settings_).format));
}

void FigureExport::openDataDialog() {
    if (dataDialog_ == nullptr) {
        dataDialog_ = new DataDialog(settings_, window_);
        dataDialog_->setAttribute(Qt::WA_DeleteOnClose);
        connect(dataDialog_, &QObject::destroyed, this, [this] { dataDialog_ = nullptr; });
        connect(dataDialog_, &DataDialog::saveRequested, this, &FigureExport::chooseDataFolder);
        dataDialog_->describe(dataDraftOf(*model_, *workspace_));
        dataDialog_->show();
    }
    dataDialog_->raise();
    dataDialog_->activateWindow();
}

void FigureExport::chooseDataFolder() {
    chooseFile(dataDialog_,
               {.purpose = ChooseFor::Folder,
                .name = "dataFolder",
                .title = tr("Folder for the numbers"),
                .folder = folder()},
               [this](const QString& path) {
                   saveData(path);
                   if (dataDialog_ != nullptr) dataDialog_->close();
               });
}

void FigureExport::saveData(const QString& path) {
    DataDraft draft = dataDraftOf(*model_, *workspace_);
    if (draft.set.maps.empty()) {
        Q_EMIT failed(tr("There is no whole map to write yet: open a photo and wait for a pane."));
        return;
    }
    if (draft.unfinished > 0)
        Q_EMIT noted(
            tr("Panes left out, because they are not computed yet: %1.").arg(draft.unfinished));
    dataWriter_.write(std::move(draft), path, rememberedDataFormat(*settings_));
}

void FigureExport::copy() {
    draw(draft(rememberedChoices(*settings_).figure));
}

void FigureExport::write(FigureDraft draft, const QString& path) {
    if (draft.panes.empty()) {
        Q_EMIT failed(tr("There is nothing to export yet: open a photo first."));
        return;
    }
    if (const QString note = unfinished(); !note.isEmpty()) Q_EMIT noted(note);
    writer_.write(std::move(draft), path);
}

void FigureExport::draw(FigureDraft draft) {
    if (draft.panes.empty()) {
        Q_EMIT failed(tr("There is nothing to copy yet: open a photo first."));
        return;
    }
    writer_.draw(std::move(draft));
}

QString FigureExport::folder() const {
    const QFileInfo photo(workspace_->photoPath());
    const QStringList candidates{settings_->value(folderKey).toString(), photo.absolutePath(),
                                 QStandardPaths::writableLocation(QStandardPaths::PicturesLocation),
                                 QDir::homePath()};
    for (const QString& path : candidates) {
        const QFileInfo candidate(path);
        if (!path.isEmpty() && candidate.isDir() && candidate.isWritable()) return path;
    }
    return QDir::currentPath();
}

QString FigureExport::freePath(const QString& format) const {
    QString name = QFileInfo(workspace_->photoName()).completeBaseName();
    if (name.isEmpty()) name = "photo";
    name = name.replace(' ', '_') + "_features";
    const QDir directory(folder());
    QString path = directory.filePath(name + '.' + format);
    for (int number = 2; QFileInfo::exists(path); ++number)
        path = directory.filePath(QString("%1_%2.%3").arg(name).arg(number).arg(format));
    return path;
}

} // namespace loftscope
