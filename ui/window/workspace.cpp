// SPDX-License-Identifier: Apache-2.0
#include "ui/window/workspace.h"

#include "core/image/clip.h"
#include "ui/window/photo_folder.h"

#include <QFileInfo>

#include <algorithm>
#include <utility>

namespace loftscope {

namespace {

constexpr int staleAfterMs = 150;
/// Maps that no pane shows are kept below this size, so that going back is instant.
constexpr std::int64_t keptMapValues = std::int64_t{16} << 20U;

QString textOf(const std::filesystem::path& path) {
    return QString::fromStdString(path.string());
}

bool isFeaturePane(const PaneState& pane) {
    return kindOf(pane).isFeatures;
}

bool isAboutPick(const MapRequest& request) {
    return request.pixel.has_value();
}

} // namespace

Workspace::Workspace(PaneModel* model, WorkspaceOptions options, QObject* parent)
    : QObject(parent)
    , model_(model)
    , options_(std::move(options))
    , context_{*model, answers_, features_, methods_}
    , bridge_(options_.engine) {
    updateMethods();
    makeDefaultLayout();
    connect(model_, &PaneModel::computeChanged, this, &Workspace::reopen);
    refresh([](const PaneState&) { return true; });
    staleTimer_.setSingleShot(true);
    staleTimer_.setInterval(staleAfterMs);
    connect(&staleTimer_, &QTimer::timeout, this, [this] {
        model_->markStale([this](const PaneState& pane) {
            const auto needs = kindOf(pane).needs(pane, context_);
            const Answer* answer = needs.empty() ? nullptr : context_.answerTo(needs.front());
            return answer != nullptr && isAboutPick(answer->asked) &&
                   answer->described != answer->asked;
        });
    });
    connect(&bridge_, &EngineBridge::answered, this, &Workspace::onAnswer);
    connect(model_, &PaneModel::picksChanged, this, &Workspace::onPicks);
    connect(model_, &PaneModel::paneChanged, this, [this](int id) {
        requestMissing();
        refresh([id](const PaneState& pane) { return pane.id == id || pane.kind == "difference"; });
        updateComparison();
    });
    connect(model_, &PaneModel::layoutChanged, this, [this] {
        requestMissing();
        refresh([](const PaneState& pane) {
            return pane.kind == "difference" || pane.basis == "shared";
        });
    });
    connect(model_, &PaneModel::compareChanged, this, &Workspace::updateComparison);
    connect(model_, &PaneModel::selectionChanged, this, &Workspace::updateComparison);
    connect(model_, &PaneModel::viewChanged, this, &Workspace::lookAtCursor);
    connect(model_, &PaneModel::hoverChanged, this, &Workspace::lookAtCursor);
}

void Workspace::updateMethods() {
    methods_.clear();
    for (MethodInfo& method : Engine::methods()) {
        const bool usable = !method.needsWeights || options_.engine.weights.contains(method.key);
        methods_.push_back({std::move(method), usable});
    }
}

void Workspace::makeDefaultLayout() {
    const bool loftUp = options_.engine.weights.contains("loftup");
    const std::string best = loftUp ? "loftup" : "bilinear";
    WorkspaceState state = model_->state();
    state.compute.inputSize = options_.inputSize;
    state.compute.device = options_.engine.device;
    state.compute.precision = options_.engine.precision;
    const auto add = [&](PaneState pane) {
        pane.id = state.panes.empty() ? 1 : state.panes.back().id + 1;
        state.panes.push_back(pane);
        return pane.id;
    };
    state.panes.clear();
    add(paneShowing("photo"));
    add(paneShowing("features"));
    state.reference = add(paneShowing("features", "bilinear"));
    state.selected = loftUp ? add(paneShowing("features", best)) : state.reference;
    add(paneShowing("attention", best));
    add(paneShowing("similarity", best));
    model_->setState(std::move(state), {});
}

// --- requests ---------------------------------------------------------------------------------

void Workspace::openFile(const std::filesystem::path& path) {
    const QString ending = QFileInfo(textOf(path)).suffix().toLower();
    const std::vector<std::string_view>& videos = videoEndings();
    if (checkpointEndings().contains(ending)) {
        useModel(path);
    } else if (std::ranges::find(videos, ending.toStdString()) != videos.end()) {
        openClip(path);
    } else {
        openPhoto(path);
    }
}

void Workspace::openPhoto(const std::filesystem::path& path) {
    open(path, {});
}

void Workspace::openPicture(const Image& picture, const QString& name) {
    open(name.toStdString(), picture);
}

void Workspace::reopen() {
    if (clip_) {
        openFrame(clip_->path, clip_->frame);
    } else if (!picture_.empty()) {
        open(photoPath_, picture_);
    }
}

void Workspace::open(const std::filesystem::path& path, const Image& picture) {
    OpenRequest request = openRequest();
    request.path = path;
    request.picture = picture;
    openId_ = bridge_.engine().openPhoto(std::move(request));
    submitted(openId_);
}

OpenRequest Workspace::openRequest() const {
    const ComputeSettings& settings = model_->state().compute;
    OpenRequest request;
    request.inputSize = settings.inputSize;
    request.outputSize = settings.outputSize;
    request.device = settings.device;
    request.precision = settings.precision;
    return request;
}

void Workspace::openClip(const std::filesystem::path& path, qint64 frame) {
    openFrame(path, frame);
}

void Workspace::showFrame(qint64 frame) {
    if (clip_) openFrame(clip_->path, std::clamp<qint64>(frame, 0, clip_->frames - 1));
}

void Workspace::openFrame(const std::filesystem::path& path, qint64 frame) {
    OpenRequest request = openRequest();
    request.path = path;
    request.isClip = true;
    request.frame = frame;
    openId_ = bridge_.engine().openPhoto(std::move(request));
    submitted(openId_);
}

void Workspace::setClipBasis(bool wanted) {
    clipBasis_ = wanted;
    if (!clip_) return;
    if (!wanted) {
        setBasis("own");
    } else if (clipBasisFitted_) {
        setBasis("locked");
    } else {
        requestClipBasis();
    }
}

void Workspace::requestClipBasis() {
    if (!clip_ || !clipBasis_ || clipBasisFitted_ || !features_) return;
    std::vector<std::string> methods{"", "bilinear"};
    for (const PaneState& pane : model_->state().panes)
        if (isFeaturePane(pane) && std::ranges::find(methods, pane.method) == methods.end())
            methods.push_back(pane.method);
    clipBasisId_ = bridge_.engine().lockBasesOverClip(std::move(methods));
    submitted(clipBasisId_);
}

void Workspace::useModel(const std::filesystem::path& path) {
    submitted(bridge_.engine().useModel(path));
}

void Workspace::cancel() {
    bridge_.engine().cancelAll();
}

void Workspace::retry() {
    std::erase_if(answers_, [](const auto& entry) {
        return entry.second.state == Answer::State::Failed ||
               entry.second.state == Answer::State::Cancelled;
    });
    requestMissing();
    refresh([](const PaneState&) { return true; });
}

void Workspace::submitted(quint64 id) {
    lastId_ = std::max(lastId_, id);
    setBusy(true);
}

void Workspace::setBusy(bool busy) {
    if (busy == busy_) return;
    if (busy) {
        clock_.start();
    } else {
        lastElapsedMs_ = clock_.elapsed();
    }
    busy_ = busy;
    Q_EMIT busyChanged(busy);
}

void Workspace::ask(const MapRequest& request) {
    const auto [entry, isNew] = answers_.try_emplace(slotOf(request));
    Answer& answer = entry->second;
    if (!isNew && answer.asked == request) return;
    answer.asked = request;
    answer.state = Answer::State::Waiting;
    answer.progress = 0;
    answer.id = bridge_.engine().compute(request);
    submitted(answer.id);
    if (isAboutPick(request) && !staleTimer_.isActive()) staleTimer_.start();
}

void Workspace::requestMissing() {
    if (!features_) return;
    std::vector<MapRequest> wanted;
    // Quick, and what shows until others are there.
    for (const char* method : {"", "bilinear"}) {
        MapRequest request;
        request.method = method;
        wanted.push_back(request);
    }
    const auto add = [&](const std::vector<MapRequest>& more) {
        wanted.insert(wanted.end(), more.begin(), more.end());
    };
    // Maps come before what is said about a pixel of them.
    const std::vector<PaneState>& panes = model_->state().panes;
    for (const PaneState& pane : panes)
        if (isFeaturePane(pane)) add(kindOf(pane).needs(pane, context_));
    for (const PaneState& pane : panes)
        if (!isFeaturePane(pane)) add(kindOf(pane).needs(pane, context_));
    const WorkspaceState& state = model_->state();
    const PaneState* reference = model_->pane(state.reference);
    if (state.compare == CompareMode::Difference && reference != nullptr) {
        if (const auto distance = distanceRequest(model_->selectedPane(), *reference, context_))
            wanted.push_back(*distance);
    }
    for (const MapRequest& request : wanted)
        ask(request);
    std::erase_if(answers_, [&](const auto& entry) {
        const Answer& answer = entry.second;
        const bool isWanted = std::ranges::any_of(
            wanted, [&](const MapRequest& each) { return slotOf(each) == entry.first; });
        if (isWanted) return false;
        const bool isLarge =
            answer.map && answer.map->channels() * answer.map->extent().area() > keptMapValues;
        const bool isOfNoPick =
            isAboutPick(answer.asked) &&
            std::ranges::find(state.picks, answer.asked.pick, &Pick::number) == state.picks.end();
        return isLarge || isOfNoPick || answer.state != Answer::State::Done;
    });
}

void Workspace::onPicks() {
    requestMissing();
    refresh(followsPick);
    Q_EMIT attentionChanged();
}

void Workspace::lookAtCursor() {
    const Extent photo = model_->photoExtent();
    if (photo.area() == 0) return;
    const View view = model_->viewOf(model_->state().selected);
    glm::dvec2 at = view.fitted ? boxOf(photo).center() : view.center;
    if (model_->hover()) at = model_->hover()->at;
    bridge_.engine().lookAt(at.x / static_cast<double>(photo.width),
                            at.y / static_cast<double>(photo.height));
}

void Workspace::see(const Box& pixels, double zoom) {
    const Extent photo = model_->photoExtent();
    if (photo.area() == 0 || pixels.empty()) return;
    const auto width = static_cast<double>(photo.width);
    const auto height = static_cast<double>(photo.height);
    bridge_.engine().show({pixels.origin.x / width, pixels.origin.y / height,
                           (pixels.origin.x + pixels.size.x) / width,
                           (pixels.origin.y + pixels.size.y) / height, zoom * width});
}

void Workspace::setBasis(const std::string& basis) {
    model_->changePanes(
        isFeaturePane, [&](PaneState& pane) { pane.basis = basis; }, tr("Choose basis"));
}

void Workspace::lockBases() {
    std::vector<MapRequest> shown;
    for (const PaneState& pane : model_->state().panes)
        if (isFeaturePane(pane)) shown.push_back(scoresRequest(pane, context_));
    submitted(bridge_.engine().lockBases(shown));
    locked_.clear();
    for (const MapRequest& request : shown) {
        const Answer* const answer = context_.answerTo(request);
        if (answer != nullptr && answer->basis) locked_[request.method] = answer->basis;
    }
    std::erase_if(answers_, [](const auto& entry) { return entry.second.asked.basis == "locked"; });
    setBasis("locked");
}

void Workspace::lockGivenBases(std::map<std::string, SharedBasis> bases) {
    locked_ = bases;
    if (clip_ && !bases.empty()) clipBasisFitted_ = true;
    submitted(bridge_.engine().lockGivenBases(std::move(bases)));
    std::erase_if(answers_, [](const auto& entry) { return entry.second.asked.basis == "locked"; });
}

void Workspace::saveBasis(const PaneState& pane, const std::filesystem::path& path) {
    submitted(bridge_.engine().saveBasis(scoresRequest(pane, context_), path));
}

// --- answers ----------------------------------------------------------------------------------

Answer* Workspace::answerOf(quint64 id) {
    for (auto& [slot, answer] : answers_)
        if (answer.id == id) return &answer;
    return nullptr;
}

void Workspace::onAnswer(quint64 id, const PreparedEvent& prepared) {
    const EngineEvent& event = prepared.event;
    Q_EMIT engineAnswered(id, event);
    Answer* const answer = answerOf(id);
    if (const auto* photo = std::get_if<PhotoDecoded>(&event)) {
        if (id == openId_) onPhoto(*photo, prepared.pyramid);
    } else if (const auto* ready = std::get_if<FeaturesReady>(&event)) {
        if (id == openId_) onFeatures(*ready);
    } else if (const auto* begun = std::get_if<FieldBegun>(&event)) {
        if (answer != nullptr) onBegun(*answer, *begun, prepared.buffer);
    } else if (const auto* fitted = std::get_if<FieldFitted>(&event)) {
        if (answer != nullptr) onFitted(*answer, *fitted);
    } else if (const auto* coarse = std::get_if<FieldCoarse>(&event)) {
        if (answer != nullptr && answer->map &&
            answer->map->fill(coarse->stride, coarse->extent, coarse->scores))
            model_->announceTiles();
    } else if (const auto* tile = std::get_if<FieldTile>(&event)) {
        if (answer != nullptr) onTile(*answer, *tile);
    } else if (const auto* attention = std::get_if<AttentionReady>(&event)) {
        if (answer != nullptr) onAttention(*answer, *attention);
    } else if (const auto* map = std::get_if<MapReady>(&event)) {
        if (answer == nullptr) return;
        answer->map = prepared.buffer;
        answer->described = map->request;
        refreshShowing(*answer);
    } else if (const auto* loaded = std::get_if<ModelLoaded>(&event)) {
        models_[loaded->method] = loaded->model;
    } else if (const auto* changed = std::get_if<ModelChanged>(&event)) {
        onModel(*changed);
    } else if (const auto* ofClip = std::get_if<ClipBasisFitted>(&event)) {
        locked_ = ofClip->bases;
        if (id != clipBasisId_ || !clip_ || !clipBasis_) return;
        clipBasisFitted_ = true;
        std::erase_if(answers_,
                      [](const auto& entry) { return entry.second.asked.basis == "locked"; });
        setBasis("locked");
    } else if (const auto* saved = std::get_if<BasisSaved>(&event)) {
        Q_EMIT basisSaved(textOf(saved->path));
    } else if (const auto* progress = std::get_if<StageProgress>(&event)) {
        if (answer != nullptr) {
            answer->progress = progress->fraction;
            for (const PaneState& pane : model_->state().panes)
                if (shows(pane, *answer) && model_->content(pane.id).progress >= 0)
                    model_->setProgress(pane.id, progress->fraction);
        }
        Q_EMIT progressed(QString::fromStdString(progress->stage), progress->fraction);
    } else if (const auto* ended = std::get_if<RequestEnded>(&event)) {
        onEnded(id, *ended);
    } else if (std::holds_alternative<EngineIdle>(event)) {
        onIdle(id);
    }
}

void Workspace::onPhoto(const PhotoDecoded& photo,
                        const std::shared_ptr<const ImagePyramid>& pyramid) {
    photoPath_ = photo.path;
    picture_ = photo.picture;
    features_.reset();
    answers_.clear();
    const bool sameClip = photo.frames > 0 && clip_ && clip_->path == photo.path;
    const bool leftClip = clip_ && !sameClip;
    if (!sameClip) clipBasisFitted_ = false;
    clip_.reset();
    if (photo.frames > 0) clip_ = ClipInfo{photo.path, photo.frame, photo.frames, photo.rate};
    if (leftClip) locked_.clear();
    photoNotes_.clear();
    for (const std::string& note : photo.notes)
        photoNotes_.append(QString::fromStdString(note));
    if (leftClip && clipBasis_)
        model_->changePanes([](const PaneState& pane) { return pane.basis == "locked"; },
                            [](PaneState& pane) { pane.basis = "own"; }, {});
    Q_EMIT clipChanged();
    // The same picture again, with another model: what was picked stays.
    const bool same = model_->photo() && model_->photo()->levels() > 0 &&
                      model_->photo()->level(0).pixels().data() == photo.picture.pixels().data();
    if (sameClip && pyramid && pyramid->extent() == model_->photoExtent()) {
        // What the panes show stays, dimmed, until the frame's own maps come.
        model_->setFrame(pyramid);
        refresh([](const PaneState& pane) { return pane.kind == "photo"; });
        model_->markStale([](const PaneState& pane) { return pane.kind != "photo"; });
        return;
    }
    if (!same) model_->setPhoto(pyramid);
    refresh([](const PaneState&) { return true; });
    Q_EMIT attentionChanged();
    if (same) return;
    Q_EMIT photoShown(textOf(photo.path));
    for (const QString& note : photoNotes_)
        Q_EMIT noted(note);
}

void Workspace::onFeatures(const FeaturesReady& ready) {
    features_ = ready;
    for (const std::string& warning : ready.warnings)
        Q_EMIT noted(QString::fromStdString(warning));
    requestMissing();
    refresh([](const PaneState&) { return true; });
    updateComparison();
    requestClipBasis();
    Q_EMIT attentionChanged();
    Q_EMIT featuresShown();
}

void Workspace::onBegun(Answer& answer, const FieldBegun& begun,
                        const std::shared_ptr<MapBuffer>& map) {
    answer.map = map;
    answer.described = begun.request;
    answer.deviations.clear();
    answer.shares.clear();
    answer.fittedOn.clear();
    answer.basis.reset();
    answer.precision = QString::fromStdString(begun.precision);
    refreshShowing(answer);
}

void Workspace::onFitted(Answer& answer, const FieldFitted& fitted) {
    answer.deviations = fitted.deviations;
    answer.shares = fitted.shares;
    answer.fittedOn = QString::fromStdString(fitted.fittedOn);
    answer.preview = fitted.preview;
    answer.basis = fitted.basis;
    if (fitted.basis && fitted.request.basis == "locked")
        locked_[fitted.request.method] = fitted.basis;
    refreshShowing(answer);
    if (!fitted.preview) Q_EMIT scoresChanged();
}

void Workspace::onTile(Answer& answer, const FieldTile& tile) {
    if (answer.map && answer.map->put(tile.rect, tile.scores)) model_->announceTiles();
}

void Workspace::onAttention(Answer& answer, const AttentionReady& ready) {
    answer.attention = std::make_shared<const AttentionReady>(ready);
    answer.described = ready.request;
    answer.attentionMaps.clear();
    for (const SharedMap& map : ready.maps)
        answer.attentionMaps.push_back(MapBuffer::whole(map->channels, map->extent, map->values));
    refreshShowing(answer);
    Q_EMIT attentionChanged();
}

void Workspace::onModel(const ModelChanged& changed) {
    for (const std::string& warning : changed.warnings)
        Q_EMIT noted(QString::fromStdString(warning));
    const QString file = QFileInfo(textOf(changed.path)).fileName();
    const QString name = QString::fromStdString(changed.name);
    if (changed.backbone) {
        Q_EMIT noted(tr("%1 is a backbone, %2: it is used now.").arg(file, name));
        // A locked basis belongs to the features of the model before.
        locked_.clear();
        clipBasisFitted_ = false;
        model_->changePanes([](const PaneState& pane) { return pane.basis == "locked"; },
                            [](PaneState& pane) { pane.basis = "own"; }, {});
        reopen();
        return;
    }
    upsamplerName_ = name;
    Q_EMIT noted(tr("%1 is an upsampler, %2: it is used now.").arg(file, name));
    options_.engine.weights[changed.method] = changed.path;
    updateMethods();
    locked_.erase(changed.method);
    clipBasisFitted_ = false;
    // What was made with the old weights, and what was dropped for the new ones.
    std::erase_if(answers_, [&](const auto& entry) {
        const MapRequest& asked = entry.second.asked;
        return entry.second.state != Answer::State::Done || asked.method == changed.method ||
               asked.other == changed.method || !asked.sharedBy.empty();
    });
    const auto& panes = model_->state().panes;
    if (std::ranges::find(panes, changed.method, &PaneState::method) == panes.end())
        model_->addPane(paneShowing("features", changed.method));
    requestMissing();
    refresh([](const PaneState&) { return true; });
}

void Workspace::onEnded(quint64 id, const RequestEnded& ended) {
    const bool cancelled = ended.error && ended.error->code == ErrorCode::Cancelled;
    if (ended.error && !cancelled) Q_EMIT failed(QString::fromStdString(ended.error->message));
    Answer* const answer = answerOf(id);
    if (answer == nullptr) return;
    answer->state = Answer::State::Done;
    if (cancelled) answer->state = Answer::State::Cancelled;
    if (ended.error && !cancelled) {
        answer->state = Answer::State::Failed;
        answer->trouble = QString::fromStdString(ended.error->message);
    }
    const MapRequest::What what = answer->asked.what;
    refreshShowing(*answer);
    if (what == MapRequest::What::Scores) Q_EMIT scoresChanged();
}

void Workspace::onIdle(quint64 id) {
    // Nothing is said of what was dropped before it began.
    for (auto& [slot, answer] : answers_) {
        if (answer.id > id || answer.state != Answer::State::Waiting) continue;
        answer.state = Answer::State::Cancelled;
        refreshShowing(answer);
    }
    if (id >= lastId_) setBusy(false);
}

// --- contents ---------------------------------------------------------------------------------

void Workspace::refresh(const std::function<bool(const PaneState&)>& affected) {
    const std::vector<PaneState> panes = model_->state().panes;
    for (const PaneState& pane : panes)
        if (affected(pane)) model_->setContent(pane.id, kindOf(pane).content(pane, context_));
}

bool Workspace::shows(const PaneState& pane, const Answer& answer) const {
    const std::string slot = slotOf(answer.asked);
    return std::ranges::any_of(kindOf(pane).needs(pane, context_),
                               [&](const MapRequest& need) { return slotOf(need) == slot; });
}

void Workspace::refreshShowing(const Answer& answer) {
    using What = MapRequest::What;
    // The quick maps stand in for all others.
    const bool isStandIn = answer.asked.what == What::Scores &&
                           (answer.asked.method.empty() || answer.asked.method == "bilinear");
    refresh([&](const PaneState& pane) {
        return shows(pane, answer) || (isStandIn && isFeaturePane(pane));
    });
    if (answer.asked.what == What::Distance) updateComparison();
}

void Workspace::updateComparison() {
    const WorkspaceState& state = model_->state();
    const PaneState* reference = model_->pane(state.reference);
    if (state.compare != CompareMode::Difference || reference == nullptr) return;
    requestMissing();
    model_->setComparison(distanceContent(model_->selectedPane(), *reference, context_));
}

const AttentionReady* Workspace::attentionFor(const PaneState& pane) const {
    if (!kindOf(pane).hasHeads) return nullptr;
    const auto needs = kindOf(pane).needs(pane, context_);
    const Answer* answer = needs.empty() ? nullptr : context_.answerTo(needs.front());
    return answer == nullptr ? nullptr : answer->attention.get();
}

const Answer* Workspace::scoresFor(const PaneState& pane) const {
    return isFeaturePane(pane) ? context_.answerTo(scoresRequest(pane, context_)) : nullptr;
}

QString Workspace::photoPath() const {
    return textOf(photoPath_);
}

QString Workspace::photoName() const {
    return QFileInfo(textOf(photoPath_)).fileName();
}

} // namespace loftscope
