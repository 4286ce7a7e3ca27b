// SPDX-License-Identifier: Apache-2.0
// What the panes show follows from what is chosen (PaneModel) and what is computed (the engine):
// asks for what is missing and turns answers into pane contents. No widgets.
#pragma once

#include "ui/panes/pane_model.h"
#include "ui/window/answers.h"
#include "ui/window/content_kinds.h"
#include "ui/window/engine_bridge.h"

#include <QElapsedTimer>
#include <QObject>
#include <QString>
#include <QStringList>
#include <QTimer>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

struct WorkspaceOptions {
    EngineOptions engine;
    std::int64_t inputSize = 224; ///< short side of the backbone's input, pixels
};

class Workspace : public QObject {
    Q_OBJECT
public:
    /// `model` must outlive the workspace; it gets the default layout.
    Workspace(PaneModel* model, WorkspaceOptions options, QObject* parent = nullptr);

    /// A photo or a checkpoint, told apart by the ending.
    void openFile(const std::filesystem::path& path);
    void openPhoto(const std::filesystem::path& path);
    /// `name` stands for the missing file name: "pasted picture".
    void openPicture(const Image& picture, const QString& name);
    /// A video, or a folder of pictures as frames.
    void openClip(const std::filesystem::path& path, qint64 frame = 0);
    /// Another frame of the open clip; the newest wins.
    void showFrame(qint64 frame);
    /// Whether the feature panes of a clip share one basis over all of it (they do at first).
    void setClipBasis(bool wanted);
    bool clipBasis() const { return clipBasis_; }
    struct ClipInfo {
        std::filesystem::path path;
        qint64 frame = 0; ///< that is shown
        qint64 frames = 1;
        double rate = 0; ///< frames per second; 0: pictures of a folder
    };
    const std::optional<ClipInfo>& clip() const { return clip_; }
    /// The same photo with what is chosen now.
    void reopen();
    void useModel(const std::filesystem::path& path);
    void cancel();
    /// The part of the photo that is on the screen, photo pixels, and its zoom: device pixels per
    /// photo pixel. Large maps are computed for it.
    void see(const Box& pixels, double zoom);
    /// Asks again for what failed or was cancelled.
    void retry();

    /// Something is being computed or has not been shown yet.
    bool busy() const { return busy_; }
    /// Milliseconds since the work began that is being done, or that the last one took.
    qint64 elapsedMs() const { return busy_ ? clock_.elapsed() : lastElapsedMs_; }
    QString photoName() const;
    QString photoPath() const;
    /// What was done to the photo when it was read, one sentence each.
    const QStringList& photoNotes() const { return photoNotes_; }
    const std::optional<FeaturesReady>& features() const { return features_; }
    /// Whether the backbone of these features has a text tower.
    bool comparesTexts() const { return features_ && features_->hasTextTower; }
    /// Name of the upsampler "loftup" as recognised; empty until it was loaded by hand.
    QString upsamplerName() const { return upsamplerName_; }
    /// What was loaded, by method; the backbone's key is empty.
    const std::map<std::string, ModelDescription>& models() const { return models_; }

    /// What kinds of content are asked with; for menus and panels.
    const KindContext& context() const { return context_; }
    /// Of an attention pane; null if there is none yet.
    const AttentionReady* attentionFor(const PaneState& pane) const;
    /// Of a feature pane; null if it was never asked for.
    const Answer* scoresFor(const PaneState& pane) const;

    /// Gives every feature pane the basis: "own", "shared", "locked" or "file:PATH".
    void setBasis(const std::string& basis);
    /// Keeps the bases that the feature panes show now, also for photos to come.
    void lockBases();
    /// Locks these instead, by method; those of an open clip are not fitted then.
    void lockGivenBases(std::map<std::string, SharedBasis> bases);
    /// What is locked, by method, as far as it is known.
    const std::map<std::string, SharedBasis>& lockedBases() const { return locked_; }
    /// Writes the pane's basis; `basisSaved` or `failed` follows.
    void saveBasis(const PaneState& pane, const std::filesystem::path& path);

Q_SIGNALS:
    /// Everything the engine says, before it is acted upon: for panels that report.
    void engineAnswered(quint64 id, const loftscope::EngineEvent& event);
    void photoShown(const QString& path);
    /// A clip was opened or left, or another frame of it is shown.
    void clipChanged();
    void featuresShown();
    void attentionChanged();
    /// A map has got its basis, or is whole.
    void scoresChanged();
    void basisSaved(const QString& path);
    void progressed(const QString& stage, double fraction);
    void busyChanged(bool busy);
    void failed(const QString& sentence);
    void noted(const QString& sentence);

private:
    void makeDefaultLayout();
    void updateMethods();
    void onAnswer(quint64 id, const PreparedEvent& prepared);
    void onPhoto(const PhotoDecoded& photo, const std::shared_ptr<const ImagePyramid>& pyramid);
    void onFeatures(const FeaturesReady& ready);
    void onModel(const ModelChanged& changed);
    void onBegun(Answer& answer, const FieldBegun& begun, const std::shared_ptr<MapBuffer>& map);
    void onFitted(Answer& answer, const FieldFitted& fitted);
    void onTile(Answer& answer, const FieldTile& tile);
    void onAttention(Answer& answer, const AttentionReady& ready);
    void onEnded(quint64 id, const RequestEnded& ended);
    void onIdle(quint64 id);
    void onPicks();
    /// The answer that this id is about; null if something newer was asked.
    Answer* answerOf(quint64 id);
    /// Asks for what the panes lack.
    void requestMissing();
    void ask(const MapRequest& request);
    void updateComparison();
    void lookAtCursor();
    void refresh(const std::function<bool(const PaneState&)>& affected);
    /// The panes that show the answer, or show it until theirs is there.
    void refreshShowing(const Answer& answer);
    bool shows(const PaneState& pane, const Answer& answer) const;
    void open(const std::filesystem::path& path, const Image& picture);
    void openFrame(const std::filesystem::path& path, qint64 frame);
    OpenRequest openRequest() const;
    /// Asks for the clip's basis unless it is there.
    void requestClipBasis();
    void submitted(quint64 id);
    void setBusy(bool busy);

    PaneModel* model_;
    WorkspaceOptions options_;
    std::vector<UsableMethod> methods_;
    std::filesystem::path photoPath_;
    Image picture_;
    std::optional<FeaturesReady> features_;
    Answers answers_;
    KindContext context_;
    QString upsamplerName_;
    std::map<std::string, ModelDescription> models_;
    std::map<std::string, SharedBasis> locked_; ///< as the engine has them
    QStringList photoNotes_;
    std::optional<ClipInfo> clip_;
    bool clipBasis_ = true;
    bool clipBasisFitted_ = false;
    quint64 clipBasisId_ = 0;
    quint64 openId_ = 0;
    quint64 lastId_ = 0;
    bool busy_ = false;
    QElapsedTimer clock_;
    qint64 lastElapsedMs_ = 0;
    QTimer staleTimer_;
    EngineBridge bridge_; ///< last: ends first
};

} // namespace loftscope
