// SPDX-License-Identifier: Apache-2.0
#include "ui/window/session_keeper.h"

#include "ui/panes/session_state.h"
#include "ui/window/export_dialog.h"
#include "ui/window/file_chooser.h"
#include "ui/window/workspace.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QMetaObject>

#include <cmath>
#include <system_error>

namespace loftscope {

namespace {

/// How much of the work of somebody's hands a crash may cost.
constexpr int keepMs = 5000;
constexpr const char* lowResolution = "lowres";
constexpr const char* filter = "Sessions (*.loftscope)";

QString keptFile(const QSettings& settings) {
    return QFileInfo(settings.fileName()).absoluteDir().filePath("recovery.loftscope");
}

bool isSameFile(const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code unknown;
    return std::filesystem::equivalent(a, b, unknown);
}

bool isThere(const std::filesystem::path& path) {
    std::error_code unknown;
    return !path.empty() && std::filesystem::exists(path, unknown);
}

} // namespace

SessionKeeper::SessionKeeper(PaneModel* model, Workspace* workspace, QSettings* settings,
                             std::function<Box()> visible, QWidget* window)
    : model_(model)
    , workspace_(workspace)
    , settings_(settings)
    , visible_(std::move(visible))
    , window_(window)
    , lock_(keptFile(*settings) + ".lock") {
    pool_.setMaxThreadCount(1);
    QDir().mkpath(QFileInfo(keptFile(*settings_)).absolutePath());
    keeps_ = lock_.tryLock(0);
    recoverable_ = keeps_ && QFile::exists(keptFile(*settings_));
    keepTimer_.setSingleShot(true);
    keepTimer_.setInterval(keepMs);
    connect(&keepTimer_, &QTimer::timeout, this, &SessionKeeper::keepNow);
    const auto touched = [this] {
        if (keeps_ && !keepTimer_.isActive()) keepTimer_.start();
    };
    connect(model_, &PaneModel::historyChanged, this, touched);
    connect(model_, &PaneModel::picksChanged, this, touched);
    connect(workspace_, &Workspace::photoShown, this, [this, touched] {
        if (photoAsked_) showState();
        touched();
    });
    connect(workspace_, &Workspace::busyChanged, this, [this](bool busy) {
        if (busy || !opening_) return;
        if (photoAsked_) {
            // It could not be opened, and it was said why: the panes are shown all the same.
            showState();
        } else {
            goOn();
        }
    });
}

SessionKeeper::~SessionKeeper() {
    pool_.waitForDone();
    if (keeps_) QFile::remove(keptFile(*settings_));
}

std::filesystem::path SessionKeeper::keptPath() const {
    return keptFile(*settings_).toStdString();
}

Session SessionKeeper::session() const {
    Session session = sessionOf(model_->state());
    if (const auto& clip = workspace_->clip()) {
        session.photo.path = std::filesystem::absolute(clip->path);
        session.isClip = true;
        session.frame = clip->frame;
    } else if (const QFileInfo photo(workspace_->photoPath()); photo.isFile()) {
        session.photo.path = photo.absoluteFilePath().toStdString();
    }
    for (const auto& [method, model] : workspace_->models()) {
        SessionFile& file = method.empty() ? session.backbone : session.upsamplers[method];
        file = {std::filesystem::absolute(model.path), model.sha256, model.name};
    }
    if (asksForLockedBasis(session))
        for (const auto& [method, basis] : workspace_->lockedBases())
            session.lockedBases[method.empty() ? lowResolution : method] = *basis;
    if (!session.view.fitted && model_->photo()) {
        const Box seen = intersectionOf(visible_(), boxOf(model_->photoExtent()));
        if (!seen.empty()) {
            const glm::dvec2 end = seen.end();
            const auto x = static_cast<std::int64_t>(std::floor(seen.origin.x));
            const auto y = static_cast<std::int64_t>(std::floor(seen.origin.y));
            session.view.visible = Rect{x, y, static_cast<std::int64_t>(std::ceil(end.x)) - x,
                                        static_cast<std::int64_t>(std::ceil(end.y)) - y};
        }
    }
    const FigureChoices figure = rememberedChoices(*settings_).figure;
    session.figure.columns = figure.columns;
    session.figure.subtitles = figure.details;
    session.figure.bars = figure.colorBars;
    session.figure.markers = figure.picks;
    session.figure.notes = figure.notes;
    session.figure.look.widthMm = figure.widthMm;
    return session;
}

bool SessionKeeper::fileHasBases(const Session& session) const {
    return !path_.isEmpty() && session.lockedBases == basesInFile_;
}

QString SessionKeeper::commandLine() const {
    const Session now = session();
    const std::filesystem::path bases = fileHasBases(now) ? path_.toStdString() : std::string();
    return QString::fromStdString(renderCommand(now, "figure.png", bases));
}

QString SessionKeeper::commandNote() const {
    const Session now = session();
    if (!asksForLockedBasis(now) || fileHasBases(now)) return {};
    return tr("A command cannot hold the locked basis: save the session, and copy it again.");
}

void SessionKeeper::save() {
    if (path_.isEmpty()) {
        saveAs();
    } else {
        saveTo(path_);
    }
}

void SessionKeeper::saveAs() {
    const QFileInfo photo(workspace_->photoPath());
    chooseFile(window_,
               {.purpose = ChooseFor::Save,
                .name = "saveSession",
                .title = tr("Save the session"),
                .folder = photo.isFile() ? photo.absolutePath() : QString(),
                .proposal = (photo.completeBaseName().isEmpty() ? tr("session")
                                                                : photo.completeBaseName()) +
                            sessionEnding,
                .filter = tr(filter),
                .ending = "loftscope"},
               [this](const QString& path) { saveTo(path); });
}

void SessionKeeper::saveTo(const QString& path) {
    write(path, true);
}

void SessionKeeper::write(const QString& path, bool byHand) {
    const Session kept = session();
    const bool pasted = byHand && model_->photo() && kept.photo.path.empty();
    pool_.start([this, kept, path, byHand, pasted] {
        const auto done = writeSession(path.toStdString(), kept);
        if (!byHand) return; // what could not be kept against a crash disturbs nobody
        const QString trouble = done ? QString() : QString::fromStdString(done.error().message);
        QMetaObject::invokeMethod(
            this,
            [this, path, trouble, pasted, bases = kept.lockedBases] {
                if (!trouble.isEmpty()) {
                    Q_EMIT failed(trouble);
                    return;
                }
                path_ = path;
                basesInFile_ = bases;
                Q_EMIT pathChanged(path);
                Q_EMIT noted(pasted
                                 ? tr("The session is in %1, without its picture, which is no "
                                      "file.")
                                       .arg(QDir::toNativeSeparators(path))
                                 : tr("The session is in %1.").arg(QDir::toNativeSeparators(path)));
            },
            Qt::QueuedConnection);
    });
}

void SessionKeeper::keepNow() {
    // Before there is a photo there is nothing to lose, least of all what waits to be recovered.
    if (!keeps_ || !model_->photo() || opening_) return;
    recoverable_ = false;
    write(keptFile(*settings_), false);
}

void SessionKeeper::choose() {
    chooseFile(window_,
               {.name = "openSession", .title = tr("Open a session"), .filter = tr(filter)},
               [this](const QString& path) { open(path); });
}

void SessionKeeper::recover() {
    if (!recoverable_) return;
    recoverable_ = false;
    open(keptFile(*settings_));
    path_.clear();
    Q_EMIT pathChanged(path_);
}

void SessionKeeper::open(const QString& path) {
    auto read = readSession(path.toStdString());
    if (!read) {
        Q_EMIT failed(QString::fromStdString(read.error().message));
        return;
    }
    path_ = path;
    basesInFile_ = read->lockedBases;
    Q_EMIT pathChanged(path);
    opening_ = std::move(*read);
    photoAsked_ = false;
    models_.clear();
    const auto& used = workspace_->models();
    const auto wants = [&](const std::string& method, const SessionFile& file) {
        const auto now = used.find(method);
        if (isThere(file.path) && (now == used.end() || !isSameFile(now->second.path, file.path)))
            models_.push_back(file.path);
    };
    for (const auto& [method, file] : opening_->upsamplers)
        wants(method, file);
    wants("", opening_->backbone);
    check(*opening_);
    workspace_->cancel();
    if (!workspace_->busy()) goOn();
}

void SessionKeeper::check(const Session& session) {
    // Reads whole checkpoints.
    pool_.start([this, session] {
        const auto missing = missingParts(session);
        if (!missing || missing->empty()) return;
        QStringList sentences;
        for (const MissingPart& part : *missing)
            sentences.append(QString::fromStdString(part.sentence));
        QMetaObject::invokeMethod(
            this, [this, sentences] { Q_EMIT failed(sentences.join('\n')); }, Qt::QueuedConnection);
    });
}

void SessionKeeper::goOn() {
    if (!models_.empty()) {
        const std::filesystem::path next = models_.back();
        models_.pop_back();
        workspace_->useModel(next);
        return;
    }
    model_->setCompute(stateOf(*opening_).compute);
    photoAsked_ = true;
    const SessionFile& photo = opening_->photo;
    if (opening_->isClip) workspace_->setClipBasis(asksForLockedBasis(*opening_));
    if (!isThere(photo.path)) {
        showState();
    } else if (opening_->isClip) {
        workspace_->openClip(photo.path, opening_->frame);
    } else {
        workspace_->openPhoto(photo.path);
    }
}

void SessionKeeper::showState() {
    const Session session = std::move(*opening_);
    opening_.reset();
    photoAsked_ = false;
    WorkspaceState state = stateOf(session);
    if (state.panes.empty()) return;
    if (asksForLockedBasis(session)) {
        std::map<std::string, SharedBasis> bases;
        for (const auto& [method, basis] : session.lockedBases)
            bases[method == lowResolution ? std::string() : method] =
                std::make_shared<const BasisValues>(basis);
        workspace_->lockGivenBases(std::move(bases));
    }
    model_->setState(std::move(state), tr("Open session"));
}

} // namespace loftscope
