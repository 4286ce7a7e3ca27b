// SPDX-License-Identifier: Apache-2.0
// What the panes show follows from what is chosen (PaneModel) and what is computed (the engine):
// asks for what is missing and turns answers into pane contents. No widgets.
#pragma once

#include "ui/panes/pane_model.h"
#include "ui/window/engine_bridge.h"

#include <QElapsedTimer>
#include <QObject>
#include <QString>
#include <QTimer>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

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
    void useModel(const std::filesystem::path& path);
    void cancel();

    /// Something is being computed or has not been shown yet.
    bool busy() const { return busy_; }
    /// Milliseconds since the work began that is being done, or that the last one took.
    qint64 elapsedMs() const { return busy_ ? clock_.elapsed() : lastElapsedMs_; }
    QString photoName() const;
    const std::optional<FeaturesReady>& features() const { return features_; }
    /// Name of the upsampler "loftup" as recognised; empty until it was loaded by hand.
    QString upsamplerName() const { return upsamplerName_; }
    /// Of the active pick; null if there is none yet.
    const AttentionReady* attentionOf(const std::string& method) const;

Q_SIGNALS:
    void photoShown(const QString& path);
    void featuresShown();
    void attentionChanged();
    void progressed(const QString& stage, double fraction);
    void busyChanged(bool busy);
    void failed(const QString& sentence);
    void noted(const QString& sentence);

private:
    struct Field {
        QString name;
        std::shared_ptr<MapBuffer> map;
        std::vector<float> deviations;
        double explained = 0;
        bool fitted = false;
    };

    void makeDefaultLayout();
    void onAnswer(quint64 id, const EngineEvent& event);
    void onPhoto(const PhotoDecoded& photo);
    void onFeatures(const FeaturesReady& ready);
    void onAttention(const AttentionReady& ready);
    void onModel(const ModelChanged& changed);
    void onEnded(quint64 id, const RequestEnded& ended);
    void onPicks();
    void sendPick();
    /// Asks for the maps of methods that panes show and that are not there.
    void requestFields();
    void refresh(const std::function<bool(const PaneState&)>& affected);
    PaneContent contentOf(const PaneState& pane) const;
    PaneContent scoresContent(const PaneState& pane) const;
    PaneContent attentionContent(const PaneState& pane) const;
    PaneContent similarityContent(const PaneState& pane) const;
    QString labelOf(const std::string& method) const;
    std::vector<std::string> shownMethods() const;
    void submitted(quint64 id);
    void setBusy(bool busy);
    QString pickLabel() const;

    PaneModel* model_;
    WorkspaceOptions options_;
    std::filesystem::path photoPath_;
    Image picture_;
    std::optional<FeaturesReady> features_;
    std::shared_ptr<MapBuffer> lowMap_;
    std::map<std::string, Field> fields_;
    std::map<std::string, quint64> fieldIds_;
    std::map<std::string, AttentionReady> attentions_;
    std::map<std::string, std::shared_ptr<MapBuffer>> similarities_;
    std::optional<Pixel> askedPixel_;
    bool blockChosen_ = false; ///< the attention pane has left its default
    QString upsamplerName_;
    quint64 openId_ = 0;
    quint64 pickId_ = 0;
    quint64 similarityId_ = 0;
    quint64 lastId_ = 0;
    bool busy_ = false;
    QElapsedTimer clock_;
    qint64 lastElapsedMs_ = 0;
    QTimer staleTimer_;
    EngineBridge bridge_; ///< last: ends first
};

} // namespace loftscope
