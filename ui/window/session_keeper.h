// SPDX-License-Identifier: Apache-2.0
// Sessions of the window: saved, opened, kept against a crash, and told as a command line.
#pragma once

#include "core/session/session_file.h"
#include "ui/panes/pane_model.h"

#include <QLockFile>
#include <QObject>
#include <QSettings>
#include <QString>
#include <QThreadPool>
#include <QTimer>

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

class QWidget;

namespace loftscope {

class Workspace;

class SessionKeeper : public QObject {
    Q_OBJECT
public:
    /// All must outlive it. What is kept against a crash lies beside the file of the settings; a
    /// second window of the same settings keeps nothing. `visible`: the part of the photo that the
    /// selected pane shows.
    SessionKeeper(PaneModel* model, Workspace* workspace, QSettings* settings,
                  std::function<Box()> visible, QWidget* window);
    /// A window that is closed in order leaves nothing to recover.
    ~SessionKeeper() override;

    /// What the window shows now.
    Session session() const;
    /// To the file that the session came from or went to last; asks where there is none.
    void save();
    void saveAs();
    void saveTo(const QString& path);
    /// Asks which.
    void choose();
    /// Loads the session's models, opens its photo and shows its panes. Whatever is missing or has
    /// changed is named; the rest is shown.
    void open(const QString& path);
    /// The session of a window that ended without closing; false if there is none.
    bool hasRecovery() const { return recoverable_; }
    void recover();
    /// Writes what a crash would lose, at once.
    void keepNow();
    /// The command that draws the same, as text. A locked basis is named by the session's file.
    QString commandLine() const;
    /// A sentence on what the command cannot say; empty if it says everything.
    QString commandNote() const;
    /// Of the session; empty if it has none.
    QString path() const { return path_; }

Q_SIGNALS:
    void noted(const QString& sentence);
    void failed(const QString& sentence);
    void pathChanged(const QString& path);

private:
    void write(const QString& path, bool byHand);
    /// The next model that differs from the one in use, then the photo.
    void goOn();
    void showState();
    void check(const Session& session);
    std::filesystem::path keptPath() const;
    /// Whether the locked bases of now are in the file at `path_`.
    bool fileHasBases(const Session& session) const;

    PaneModel* model_;
    Workspace* workspace_;
    QSettings* settings_;
    std::function<Box()> visible_;
    QWidget* window_;
    QString path_;
    std::map<std::string, BasisValues> basesInFile_; ///< locked ones, in the file at `path_`
    std::optional<Session> opening_;
    std::vector<std::filesystem::path> models_; ///< still to be loaded
    bool photoAsked_ = false;
    QTimer keepTimer_;
    QLockFile lock_;
    bool keeps_ = false;
    bool recoverable_ = false;
    QThreadPool pool_; ///< one thread; last: ends first
};

} // namespace loftscope
