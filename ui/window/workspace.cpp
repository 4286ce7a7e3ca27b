// SPDX-License-Identifier: Apache-2.0
#include "ui/window/workspace.h"

#include <QFileInfo>

#include <algorithm>
#include <set>
#include <utility>

namespace loftscope {

namespace {

constexpr int staleAfterMs = 150;

QString textOf(const std::filesystem::path& path) {
    return QString::fromStdString(path.string());
}

QString sizeText(const Extent& extent) {
    return QStringLiteral("%1 \u00d7 %2").arg(extent.width).arg(extent.height);
}

std::shared_ptr<MapBuffer> bufferOf(const FloatMap& map) {
    return MapBuffer::whole(map.channels, map.extent, map.values);
}

/// Two standard deviations on either side: where the percentiles are not known yet.
std::vector<ValueRange> rangesOf(const std::vector<float>& deviations) {
    std::vector<ValueRange> ranges;
    for (const float deviation : deviations)
        ranges.push_back({-2 * deviation, 2 * deviation});
    return ranges;
}

} // namespace

Workspace::Workspace(PaneModel* model, WorkspaceOptions options, QObject* parent)
    : QObject(parent)
    , model_(model)
    , options_(std::move(options))
    , bridge_(options_.engine) {
    makeDefaultLayout();
    refresh([](const PaneState&) { return true; });
    staleTimer_.setSingleShot(true);
    staleTimer_.setInterval(staleAfterMs);
    connect(&staleTimer_, &QTimer::timeout, this, [this] {
        model_->markStale([](const PaneState& pane) { return dependsOnPick(pane.kind); });
    });
    connect(&bridge_, &EngineBridge::answered, this, &Workspace::onAnswer);
    connect(model_, &PaneModel::picksChanged, this, &Workspace::onPicks);
    connect(model_, &PaneModel::paneChanged, this, [this](int id) {
        requestFields();
        refresh([id](const PaneState& pane) { return pane.id == id; });
    });
}

void Workspace::makeDefaultLayout() {
    const bool loftUp = !options_.engine.loftUp.empty();
    const std::string best = loftUp ? "loftup" : "bilinear";
    WorkspaceState state = model_->state();
    const auto add = [&](PaneKind kind, const std::string& method = {}) {
        PaneState pane;
        pane.id = state.panes.empty() ? 1 : state.panes.back().id + 1;
        pane.kind = kind;
        pane.method = method;
        if (!showsScores(kind)) {
            pane.lowPercent = 0;
            pane.highPercent = 100;
        }
        if (kind == PaneKind::Similarity) pane.scalar.map = ColorMap::Magma;
        state.panes.push_back(pane);
        return pane.id;
    };
    state.panes.clear();
    add(PaneKind::Photo);
    add(PaneKind::LowRes);
    state.reference = add(PaneKind::Upsampled, "bilinear");
    state.selected = loftUp ? add(PaneKind::Upsampled, best) : state.reference;
    add(PaneKind::Attention, best);
    add(PaneKind::Similarity, best);
    model_->setState(std::move(state), {});
}

// --- requests ---------------------------------------------------------------------------------

void Workspace::openFile(const std::filesystem::path& path) {
    static const QStringList tensorFiles{"safetensors", "pth", "pt", "ckpt", "bin"};
    if (tensorFiles.contains(QFileInfo(textOf(path)).suffix().toLower())) {
        useModel(path);
    } else {
        openPhoto(path);
    }
}

void Workspace::openPhoto(const std::filesystem::path& path) {
    openId_ = bridge_.engine().openPhoto({path, {}, options_.inputSize});
    submitted(openId_);
}

void Workspace::openPicture(const Image& picture, const QString& name) {
    openId_ = bridge_.engine().openPhoto({name.toStdString(), picture, options_.inputSize});
    submitted(openId_);
}

void Workspace::useModel(const std::filesystem::path& path) {
    submitted(bridge_.engine().useModel(path));
}

void Workspace::cancel() {
    bridge_.engine().cancelAll();
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

void Workspace::requestFields() {
    if (!features_) return;
    for (const std::string& method : shownMethods()) {
        if (fieldIds_.contains(method)) continue;
        const quint64 id = bridge_.engine().computeField(method);
        fieldIds_[method] = id;
        submitted(id);
    }
}

std::vector<std::string> Workspace::shownMethods() const {
    std::vector<std::string> methods{"bilinear"}; // quick, and what shows until others are there
    for (const PaneState& pane : model_->state().panes) {
        if (!pane.method.empty() && std::ranges::find(methods, pane.method) == methods.end())
            methods.push_back(pane.method);
    }
    return methods;
}

void Workspace::onPicks() {
    const auto pick = model_->activePick();
    std::optional<Pixel> pixel;
    if (pick && model_->photo()) pixel = pixelContaining(pick->at, model_->photoExtent());
    if (pixel == askedPixel_) return;
    askedPixel_ = pixel;
    if (pixel && features_) {
        sendPick();
        return;
    }
    attentions_.clear();
    similarities_.clear();
    refresh([](const PaneState& pane) { return dependsOnPick(pane.kind); });
    Q_EMIT attentionChanged();
}

void Workspace::sendPick() {
    std::vector<std::string> methods = shownMethods();
    pickId_ = bridge_.engine().pick(*askedPixel_, methods);
    submitted(pickId_);
    for (const std::string& method : methods) {
        if (method != "loftup") continue;
        similarityId_ = bridge_.engine().similarity(*askedPixel_, method);
        submitted(similarityId_);
    }
    if (!staleTimer_.isActive()) staleTimer_.start();
}

// --- answers ----------------------------------------------------------------------------------

void Workspace::onAnswer(quint64 id, const EngineEvent& event) {
    const auto current = [&](const std::string& method) {
        const auto found = fieldIds_.find(method);
        return found != fieldIds_.end() && found->second == id;
    };
    const auto showsMethod = [](const std::string& method) {
        return [method](const PaneState& pane) {
            return pane.kind == PaneKind::Upsampled && pane.method == method;
        };
    };
    if (const auto* photo = std::get_if<PhotoDecoded>(&event)) {
        if (id == openId_) onPhoto(*photo);
    } else if (const auto* ready = std::get_if<FeaturesReady>(&event)) {
        if (id == openId_) onFeatures(*ready);
    } else if (const auto* begun = std::get_if<FieldBegun>(&event)) {
        if (!current(begun->method)) return;
        Field field;
        field.name = QString::fromStdString(begun->name);
        field.map = std::make_shared<MapBuffer>(begun->components, begun->extent,
                                                Extent{begun->tile, begun->tile});
        fields_[begun->method] = std::move(field);
        refresh(showsMethod(begun->method));
    } else if (const auto* fitted = std::get_if<FieldFitted>(&event)) {
        if (!current(fitted->method)) return;
        Field& field = fields_[fitted->method];
        field.deviations = fitted->deviations;
        field.explained = fitted->explained;
        field.fitted = true;
        refresh(showsMethod(fitted->method));
    } else if (const auto* tile = std::get_if<FieldTile>(&event)) {
        if (!current(tile->method)) return;
        Field& field = fields_[tile->method];
        if (!field.map->put(tile->rect, tile->scores)) return;
        // Panes learn of a complete map at once, of others from time to time.
        if (field.map->complete()) {
            const bool bilinear = tile->method == "bilinear";
            refresh([&](const PaneState& pane) {
                return pane.kind == PaneKind::Upsampled &&
                       (bilinear || pane.method == tile->method);
            });
        } else {
            for (const PaneState& pane : model_->state().panes)
                if (showsMethod(tile->method)(pane))
                    model_->setProgress(pane.id, field.map->coveredFraction());
        }
    } else if (const auto* attention = std::get_if<AttentionReady>(&event)) {
        if (id == pickId_) onAttention(*attention);
    } else if (const auto* similarity = std::get_if<SimilarityReady>(&event)) {
        if (id != pickId_ && id != similarityId_) return;
        similarities_[similarity->method] = bufferOf(*similarity->cosines);
        staleTimer_.stop();
        refresh([&](const PaneState& pane) {
            return pane.kind == PaneKind::Similarity && pane.method == similarity->method;
        });
    } else if (const auto* changed = std::get_if<ModelChanged>(&event)) {
        onModel(*changed);
    } else if (const auto* progress = std::get_if<StageProgress>(&event)) {
        for (const auto& [method, fieldId] : fieldIds_) {
            if (fieldId != id || !fields_.contains(method) || fields_[method].fitted) continue;
            for (const PaneState& pane : model_->state().panes)
                if (showsMethod(method)(pane)) model_->setProgress(pane.id, progress->fraction);
        }
        Q_EMIT progressed(QString::fromStdString(progress->stage), progress->fraction);
    } else if (const auto* ended = std::get_if<RequestEnded>(&event)) {
        onEnded(id, *ended);
    } else if (std::holds_alternative<EngineIdle>(event)) {
        if (id >= lastId_) setBusy(false);
    }
}

void Workspace::onPhoto(const PhotoDecoded& photo) {
    photoPath_ = photo.path;
    picture_ = photo.picture;
    features_.reset();
    lowMap_.reset();
    fields_.clear();
    fieldIds_.clear();
    attentions_.clear();
    similarities_.clear();
    askedPixel_.reset();
    // The same picture again, with another model: what was picked stays.
    const bool same = model_->photo() &&
                      model_->photo()->level(0).pixels().data() == photo.picture.pixels().data();
    if (!same) model_->setPhoto(ImagePyramid::of(photo.picture));
    refresh([](const PaneState&) { return true; });
    Q_EMIT attentionChanged();
    if (same) return;
    Q_EMIT photoShown(textOf(photo.path));
    for (const std::string& note : photo.notes)
        Q_EMIT noted(QString::fromStdString(note));
}

void Workspace::onFeatures(const FeaturesReady& ready) {
    features_ = ready;
    lowMap_ = bufferOf(*ready.scores);
    for (const std::string& warning : ready.warnings)
        Q_EMIT noted(QString::fromStdString(warning));
    refresh([](const PaneState&) { return true; });
    requestFields();
    onPicks();
    Q_EMIT featuresShown();
}

void Workspace::onAttention(const AttentionReady& ready) {
    attentions_[ready.method] = ready;
    staleTimer_.stop();
    // The default is the last block; a model with fewer blocks than chosen gets its last one.
    const std::vector<PaneState> panes = model_->state().panes;
    for (PaneState pane : panes) {
        if (pane.kind != PaneKind::Attention || pane.method != ready.method) continue;
        const bool first = !blockChosen_ && pane.block < 0;
        if (!first && pane.block < ready.blocks && pane.head < ready.heads) continue;
        pane.block = ready.blocks - 1;
        blockChosen_ = true;
        pane.head = std::min(pane.head, ready.heads - 1);
        model_->setPane(pane, {});
    }
    refresh([&](const PaneState& pane) {
        return pane.kind == PaneKind::Attention && pane.method == ready.method;
    });
    Q_EMIT attentionChanged();
}

void Workspace::onModel(const ModelChanged& changed) {
    for (const std::string& warning : changed.warnings)
        Q_EMIT noted(QString::fromStdString(warning));
    const QString file = QFileInfo(textOf(changed.path)).fileName();
    const QString name = QString::fromStdString(changed.name);
    if (changed.backbone) {
        Q_EMIT noted(tr("%1 is a backbone, %2: it is used now.").arg(file, name));
        if (!picture_.empty()) openPicture(picture_, textOf(photoPath_));
        return;
    }
    upsamplerName_ = name;
    Q_EMIT noted(tr("%1 is an upsampler, %2: it is used now.").arg(file, name));
    options_.engine.loftUp = changed.path;
    fields_.erase("loftup");
    fieldIds_.erase("loftup");
    attentions_.erase("loftup");
    similarities_.erase("loftup");
    const std::vector<std::string> methods = shownMethods();
    if (std::ranges::find(methods, "loftup") == methods.end()) {
        PaneState pane;
        pane.kind = PaneKind::Upsampled;
        pane.method = "loftup";
        model_->addPane(pane);
    }
    refresh([](const PaneState& pane) { return pane.method == "loftup"; });
    requestFields();
    askedPixel_.reset();
    onPicks();
}

void Workspace::onEnded(quint64 id, const RequestEnded& ended) {
    if (!ended.error) return;
    const bool cancelled = ended.error->code == ErrorCode::Cancelled;
    if (!cancelled) Q_EMIT failed(QString::fromStdString(ended.error->message));
    for (const auto& [method, fieldId] : fieldIds_) {
        if (fieldId != id) continue;
        for (const PaneState& pane : model_->state().panes) {
            if (pane.kind != PaneKind::Upsampled || pane.method != method) continue;
            PaneContent content = model_->content(pane.id);
            content.progress = -1;
            content.message = cancelled ? tr("Cancelled") : tr("Failed: see the bar below");
            if (content.map) content.details = tr("cancelled, bilinear where unfinished");
            model_->setContent(pane.id, content);
        }
    }
}

// --- contents ---------------------------------------------------------------------------------

void Workspace::refresh(const std::function<bool(const PaneState&)>& affected) {
    const std::vector<PaneState> panes = model_->state().panes;
    for (const PaneState& pane : panes)
        if (affected(pane)) model_->setContent(pane.id, contentOf(pane));
}

PaneContent Workspace::contentOf(const PaneState& pane) const {
    switch (pane.kind) {
    case PaneKind::Photo: {
        PaneContent content;
        content.title = tr("Photo");
        if (model_->photo()) content.details = sizeText(model_->photoExtent());
        content.message = tr("Drop a photo here");
        return content;
    }
    case PaneKind::LowRes:
    case PaneKind::Upsampled:
        return scoresContent(pane);
    case PaneKind::Attention:
        return attentionContent(pane);
    case PaneKind::Similarity:
        return similarityContent(pane);
    default:
        return {};
    }
}

QString Workspace::labelOf(const std::string& method) const {
    if (method == "loftup") return QStringLiteral("LoftUp");
    if (method.empty()) return tr("low-res");
    return QString::fromStdString(method);
}

PaneContent Workspace::scoresContent(const PaneState& pane) const {
    PaneContent content;
    const bool low = pane.kind == PaneKind::LowRes;
    const QString label = labelOf(pane.method);
    content.title = low ? tr("Low-res") : label.left(1).toUpper() + label.mid(1);
    content.message = model_->photo() ? tr("Waiting for the backbone") : QString();
    if (!features_) return content;
    std::array<int, 3> shown = pane.scores.components;
    const QString components = pane.singleComponent
                                   ? tr("PCA %1").arg(pane.scalar.channel + 1)
                                   : tr("PCA %1-%2").arg(shown[0] + 1).arg(shown[2] + 1);
    const auto describe = [&](const Extent& extent, double explained) {
        QString text = sizeText(extent) + ", " + components;
        if (shown == std::array<int, 3>{0, 1, 2} && !pane.singleComponent)
            text += tr(" (%1 % of variance)").arg(explained * 100, 0, 'f', 0);
        return text + tr(", own basis");
    };
    if (low) {
        content.map = lowMap_;
        content.deviations = features_->deviations;
        content.details = describe(lowMap_->extent(), features_->explained);
        return content;
    }
    const auto found = fields_.find(pane.method);
    if (found == fields_.end()) {
        content.message = tr("Waiting for its turn");
        return content;
    }
    const Field& field = found->second;
    content.map = field.map;
    content.deviations = field.deviations;
    if (field.map->complete()) {
        content.details = describe(field.map->extent(), field.explained);
        return content;
    }
    const auto bilinear = fields_.find("bilinear");
    const bool preview = bilinear != fields_.end() && bilinear->second.map->complete();
    content.fallback = preview ? bilinear->second.map : lowMap_;
    content.progress = field.fitted ? field.map->coveredFraction() : 0;
    content.details =
        tr("%1, %2 preview")
            .arg(sizeText(field.map->extent()), preview ? tr("bilinear") : tr("low-res"));
    if (field.fitted) content.ranges = rangesOf(field.deviations);
    return content;
}

QString Workspace::pickLabel() const {
    const auto pick = model_->activePick();
    return pick ? tr("pick %1").arg(pick->number) : QString();
}

PaneContent Workspace::attentionContent(const PaneState& pane) const {
    PaneContent content;
    content.title = tr("Attention");
    content.details = labelOf(pane.method);
    content.message = tr("Click a pixel:\nwhich patches does its feature come from?");
    const auto found = attentions_.find(pane.method);
    if (found == attentions_.end()) return content;
    const AttentionReady& ready = found->second;
    const int block = std::min(pane.block, ready.blocks - 1);
    const int head = std::min(pane.head, ready.heads - 1);
    const std::size_t index = ready.indexOf(block, head);
    content.map = bufferOf(*ready.maps[index]);
    content.unit = tr("share of attention");
    if (ready.blocks * ready.heads == 1) {
        content.details = tr("%1, interpolation weights").arg(labelOf(pane.method));
        return content;
    }
    content.details =
        labelOf(pane.method) + ", " +
        (block < 0 ? tr("mean of %1 blocks").arg(ready.blocks)
                   : tr("block %1 of %2").arg(block + 1).arg(ready.blocks)) +
        ", " + (head < 0 ? tr("mean of %1 heads").arg(ready.heads) : tr("head %1").arg(head + 1));
    return content;
}

PaneContent Workspace::similarityContent(const PaneState& pane) const {
    PaneContent content;
    content.title = tr("Similarity");
    content.details = labelOf(pane.method);
    content.message = tr("Click a pixel:\nwhich others have a similar feature?");
    const auto found = similarities_.find(pane.method);
    if (found == similarities_.end()) return content;
    content.map = found->second;
    content.unit = tr("cosine similarity");
    content.details =
        tr("%1, %2, to %3")
            .arg(labelOf(pane.method), sizeText(found->second->extent()), pickLabel());
    return content;
}

const AttentionReady* Workspace::attentionOf(const std::string& method) const {
    const auto found = attentions_.find(method);
    return found == attentions_.end() ? nullptr : &found->second;
}

QString Workspace::photoName() const {
    return QFileInfo(textOf(photoPath_)).fileName();
}

} // namespace loftscope
