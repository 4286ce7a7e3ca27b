// SPDX-License-Identifier: Apache-2.0
#include "ui/window/content_kinds.h"

#include "ui/window/size_text.h"
#include "ui/window/window_text.h"

#include <QCoreApplication>
#include <QFileInfo>

#include <algorithm>

namespace loftscope {

namespace {

using What = MapRequest::What;

std::optional<Pixel> pixelOf(const PaneState& pane, const KindContext& context) {
    const auto pick = context.model.pickOf(pane);
    if (!pick || !context.model.photo()) return std::nullopt;
    return pixelContaining(pick->at, context.model.photoExtent());
}

MapRequest requestOf(What what, const std::string& method) {
    MapRequest request;
    request.what = what;
    request.method = method;
    return request;
}

/// A request about the pane's pick; nothing without one.
std::vector<MapRequest> aboutPick(What what, const PaneState& pane, const KindContext& context) {
    const auto pixel = pixelOf(pane, context);
    if (!pixel) return {};
    MapRequest request = requestOf(what, pane.method);
    request.pick = context.model.pickOf(pane)->number;
    request.pixel = pixel;
    return {request};
}

const Answer* onlyAnswer(const std::vector<MapRequest>& needs, const KindContext& context) {
    return needs.empty() ? nullptr : context.answerTo(needs.front());
}

QString waitingText(const KindContext& context) {
    if (!context.model.photo()) return {};
    return context.features ? windowText("Waiting for its turn")
                            : windowText("Waiting for the backbone");
}

/// Message and progress of what is not there, or not whole, yet.
void describeState(PaneContent& content, const Answer* answer) {
    if (answer == nullptr) return;
    if (answer->state == Answer::State::Failed) content.message = answer->trouble;
    if (answer->state == Answer::State::Cancelled) content.message = windowText("Cancelled");
    if (answer->state == Answer::State::Waiting) content.progress = answer->progress;
}

/// One entry per method, and one for the low-res grid if `lowRes`.
std::vector<PaneChoice> methodChoices(std::string_view kind, bool lowRes,
                                      const KindContext& context) {
    std::vector<PaneChoice> choices;
    if (lowRes)
        choices.push_back({windowText("Low-res"), windowText("The backbone's patch tokens."), true,
                           paneShowing(kind, {})});
    for (const UsableMethod& method : context.methods) {
        QString tip = QString::fromStdString(method.info.description);
        if (!method.usable) tip += windowText(" (needs a checkpoint: drop its file on the window)");
        choices.push_back({QString::fromStdString(method.info.title), tip, method.usable,
                           paneShowing(kind, method.info.key)});
    }
    return choices;
}

QString pickText(const PaneState& pane, const KindContext& context) {
    const auto pick = context.model.pickOf(pane);
    return pick ? windowText("pick %1").arg(pick->number) : QString();
}

// --- photo ------------------------------------------------------------------------------------

std::vector<PaneChoice> photoChoices(const KindContext&, int) {
    return {{windowText("Photo"), windowText("The photo itself."), true, paneShowing("photo")}};
}

std::vector<MapRequest> nothing(const PaneState&, const KindContext&) {
    return {};
}

PaneContent photoContent(const PaneState&, const KindContext& context) {
    PaneContent content;
    content.form = LayerKind::Photo;
    content.title = windowText("Photo");
    if (context.model.photo()) content.details = sizeText(context.model.photoExtent());
    content.message = windowText("Drop a photo here");
    return content;
}

// --- features as principal components -----------------------------------------------------------

std::vector<PaneChoice> featureChoices(const KindContext& context, int) {
    return methodChoices("features", true, context);
}

std::vector<MapRequest> featureNeeds(const PaneState& pane, const KindContext& context) {
    return {scoresRequest(pane, context)};
}

QString basisText(const std::string& basis) {
    if (basis == "own") return windowText("own basis");
    if (basis == "shared") return windowText("shared basis");
    if (basis == "locked") return windowText("locked basis");
    const QFileInfo file(QString::fromStdString(basis.substr(basis.find(':') + 1)));
    return windowText("basis of %1").arg(file.fileName());
}

QString componentsText(const PaneState& pane, const std::vector<double>& shares) {
    std::vector<int> shown(pane.scores.components.begin(), pane.scores.components.end());
    if (pane.singleComponent) shown = {pane.scalar.channel};
    const bool isRun = shown.size() == 3 && shown[1] == shown[0] + 1 && shown[2] == shown[0] + 2;
    QStringList numbers;
    double share = 0;
    for (const int component : shown) {
        numbers << QString::number(component + 1);
        if (static_cast<std::size_t>(component) < shares.size())
            share += shares[static_cast<std::size_t>(component)];
    }
    QString text = windowText("PCA %1").arg(isRun ? numbers.front() + "-" + numbers.back()
                                                  : numbers.join(","));
    if (share > 0)
        text += windowText(" (%1 % of variance)").arg(share * 100, 0, 'f', share < 0.1 ? 1 : 0);
    return text;
}

/// What stands in while a map is being computed: bilinear in the same basis, else in its own, else
/// the low-res grid.
const Answer* previewFor(const PaneState& pane, const KindContext& context) {
    const MapRequest wanted = scoresRequest(pane, context);
    for (const char* method : {"bilinear", ""}) {
        for (const std::string& basis : {pane.basis, std::string("own")}) {
            MapRequest request = wanted;
            request.method = method;
            request.basis = basis;
            const Answer* answer = context.answerTo(request);
            if (answer != nullptr && answer->map && answer->map->complete()) return answer;
        }
    }
    return nullptr;
}

PaneContent featureContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.form = LayerKind::Scores;
    content.title = context.labelOf(pane.method);
    content.message = waitingText(context);
    const Answer* answer = context.answerTo(scoresRequest(pane, context));
    if (!context.features || answer == nullptr) return content;
    describeState(content, answer);
    content.unit = windowText("score of component %1").arg(pane.scalar.channel + 1);
    Extent extent = pane.method.empty() ? context.features->tokens : context.features->output;
    if (answer->map) extent = answer->map->extent();
    content.details = sizeText(extent);
    // Reduced precision is said wherever it is seen.
    if (!answer->precision.isEmpty() && answer->precision != "fp32")
        content.details += ", " + answer->precision;
    if (answer->map) {
        content.map = answer->map;
        content.deviations = answer->deviations;
    }
    if (answer->state == Answer::State::Done && answer->map) {
        content.details +=
            ", " + componentsText(pane, answer->shares) + ", " + basisText(pane.basis);
        return content;
    }
    const Answer* preview = pane.method.empty() ? nullptr : previewFor(pane, context);
    if (preview != nullptr) content.fallback = preview->map;
    if (answer->map && !answer->deviations.empty()) {
        // Two standard deviations on either side: the percentiles are not known yet.
        for (const float deviation : answer->deviations)
            content.ranges.push_back({-2 * deviation, 2 * deviation});
        content.details +=
            answer->preview ? windowText(", first colours") : windowText(", refining");
    } else if (preview != nullptr) {
        // Something to look at at once; the map's own tiles replace it.
        if (!content.map) content.map = preview->map;
        content.details += preview->asked.method.empty() ? windowText(", low-res preview")
                                                         : windowText(", bilinear preview");
    }
    if (answer->state == Answer::State::Cancelled)
        content.details = sizeText(extent) + windowText(", cancelled, bilinear where unfinished");
    return content;
}

// --- attention --------------------------------------------------------------------------------

PaneContent attentionMap(const PaneState& pane, const Answer* answer, PaneContent content,
                         const QString& blockWord) {
    content.form = LayerKind::Scalar;
    describeState(content, answer);
    content.progress = -1;
    if (answer == nullptr || !answer->attention) return content;
    const AttentionReady& ready = *answer->attention;
    const std::size_t index = ready.indexOf(pane.block, pane.head);
    content.map = answer->attentionMaps[index];
    content.unit = windowText("share of attention");
    const int block = std::min(pane.block, ready.blocks - 1);
    const int head = std::min(pane.head, ready.heads - 1);
    const AttentionSummary& summary = ready.summaries[index];
    if (ready.blocks * ready.heads > 1) {
        content.details += ", ";
        content.details +=
            block < 0 ? windowText("%1 mean").arg(blockWord)
                      : windowText("%1 %2/%3").arg(blockWord).arg(block + 1).arg(ready.blocks);
        content.details += ", ";
        content.details += head < 0 ? windowText("head mean")
                                    : windowText("head %1/%2").arg(head + 1).arg(ready.heads);
    } else {
        content.details += windowText(", interpolation weights");
    }
    content.details += windowText(", %1 bit, peak %2")
                           .arg(summary.entropyBits, 0, 'f', 2)
                           .arg(summary.peak, 0, 'g', 2);
    if (summary.elsewhere > 0)
        content.details += windowText(", %1 % elsewhere").arg(summary.elsewhere * 100, 0, 'f', 0);
    return content;
}

std::vector<PaneChoice> attentionChoices(const KindContext& context, int) {
    return methodChoices("attention", false, context);
}

std::vector<MapRequest> attentionNeeds(const PaneState& pane, const KindContext& context) {
    return aboutPick(What::Attention, pane, context);
}

PaneContent attentionContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.title = windowText("Attention");
    content.details = context.labelOf(pane.method);
    content.message = windowText("Click a pixel:\nwhich patches does its feature come from?");
    return attentionMap(pane, onlyAnswer(attentionNeeds(pane, context), context), content,
                        windowText("block"));
}

std::vector<PaneChoice> selfAttentionChoices(const KindContext&, int) {
    PaneState classToken = paneShowing("self-attention");
    classToken.ofClassToken = true;
    return {{windowText("Of the CLS token"), windowText("What the whole picture's token looks at."),
             true, classToken},
            {windowText("Of the picked patch"),
             windowText("What the patch under the pick looks at."), true,
             paneShowing("self-attention")}};
}

std::vector<MapRequest> selfAttentionNeeds(const PaneState& pane, const KindContext& context) {
    if (pane.ofClassToken) return {requestOf(What::SelfAttention, {})};
    return aboutPick(What::SelfAttention, pane, context);
}

PaneContent selfAttentionContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.title = windowText("Self-attention");
    content.details = pane.ofClassToken ? windowText("CLS") : windowText("patch");
    content.message = pane.ofClassToken
                          ? waitingText(context)
                          : windowText("Click a pixel:\nwhich patches does its patch look at?");
    return attentionMap(pane, onlyAnswer(selfAttentionNeeds(pane, context), context), content,
                        windowText("layer"));
}

// --- similarity, norm, difference -------------------------------------------------------------

std::vector<PaneChoice> similarityChoices(const KindContext& context, int) {
    return methodChoices("similarity", true, context);
}

std::vector<MapRequest> similarityNeeds(const PaneState& pane, const KindContext& context) {
    return aboutPick(What::Similarity, pane, context);
}

/// A map of one channel as it came.
PaneContent scalarContent(const Answer* answer, PaneContent content) {
    content.form = LayerKind::Scalar;
    describeState(content, answer);
    if (answer == nullptr || !answer->map) return content;
    content.map = answer->map;
    content.details += ", " + sizeText(answer->map->extent());
    // The map before stays until this one is there.
    content.progress = -1;
    return content;
}

PaneContent similarityContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.title = windowText("Similarity");
    content.details = context.labelOf(pane.method);
    content.unit = windowText("cosine similarity");
    content.message = windowText("Click a pixel:\nwhich others have a similar feature?");
    const Answer* answer = onlyAnswer(similarityNeeds(pane, context), context);
    if (answer != nullptr) content.message = waitingText(context);
    content = scalarContent(answer, content);
    if (content.map) content.details += windowText(", to %1").arg(pickText(pane, context));
    return content;
}

// --- likeness to a text -----------------------------------------------------------------------

std::vector<PaneChoice> textChoices(const KindContext& context, int changed) {
    std::vector<PaneChoice> choices = methodChoices("text", true, context);
    // A further map is of the same text.
    for (const PaneState& pane : context.model.state().panes) {
        if (pane.kind != "text" || pane.id == changed) continue;
        for (PaneChoice& choice : choices)
            choice.pane.text = pane.text;
    }
    return choices;
}

std::vector<MapRequest> textNeeds(const PaneState& pane, const KindContext&) {
    if (pane.text.empty()) return {};
    MapRequest request = requestOf(What::Text, pane.method);
    request.text = pane.text;
    return {request};
}

PaneContent textContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.title = pane.text.empty()
                        ? windowText("Text")
                        : QStringLiteral("\u201c%1\u201d").arg(QString::fromStdString(pane.text));
    content.details = context.labelOf(pane.method);
    content.unit = windowText("cosine similarity");
    content.message = windowText("Write what to look for\nin the Inspector (T)");
    if (!pane.text.empty()) content.message = waitingText(context);
    content = scalarContent(onlyAnswer(textNeeds(pane, context), context), content);
    const auto method = std::ranges::find(context.methods, pane.method,
                                          [](const UsableMethod& each) { return each.info.key; });
    if (method != context.methods.end() && !method->info.averagesTokens)
        content.details += windowText(", leaves the space of texts");
    return content;
}

std::vector<PaneChoice> normChoices(const KindContext& context, int) {
    return methodChoices("norm", true, context);
}

std::vector<MapRequest> normNeeds(const PaneState& pane, const KindContext&) {
    return {requestOf(What::Norm, pane.method)};
}

PaneContent normContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.title = windowText("Norm");
    content.details = context.labelOf(pane.method);
    content.unit = windowText("feature norm");
    content.message = waitingText(context);
    return scalarContent(onlyAnswer(normNeeds(pane, context), context), content);
}

std::vector<PaneChoice> differenceChoices(const KindContext& context, int changed) {
    std::vector<PaneChoice> choices;
    const auto& panes = context.model.state().panes;
    const auto isMap = [changed](const PaneState& pane) {
        return pane.kind != "photo" && pane.kind != "difference" && pane.id != changed;
    };
    for (std::size_t a = 0; a < panes.size(); ++a) {
        for (std::size_t b = 0; b < panes.size(); ++b) {
            if (a == b || !isMap(panes[a]) || !isMap(panes[b])) continue;
            const bool features = distanceRequest(panes[a], panes[b], context).has_value();
            // A distance has no direction; features and scalars have no difference.
            if (features && b < a) continue;
            if (!features && (kindOf(panes[a]).isFeatures && !panes[a].singleComponent)) continue;
            if (!features && (kindOf(panes[b]).isFeatures && !panes[b].singleComponent)) continue;
            PaneState pane = paneShowing("difference");
            pane.minuend = panes[a].id;
            pane.subtrahend = panes[b].id;
            if (features) pane.scalar.map = ColorMap::Magma;
            const auto name = [&](std::size_t i) {
                return windowText("%1 %2").arg(i + 1).arg(context.model.content(panes[i].id).title);
            };
            choices.push_back({features
                                   ? windowText("%1 and %2: cosine distance").arg(name(a), name(b))
                                   : windowText("%1 minus %2").arg(name(a), name(b)),
                               {},
                               true,
                               pane});
        }
    }
    return choices;
}

std::vector<MapRequest> differenceNeeds(const PaneState& pane, const KindContext& context) {
    const PaneState* a = context.model.pane(pane.minuend);
    const PaneState* b = context.model.pane(pane.subtrahend);
    if (a == nullptr || b == nullptr) return {};
    const auto request = distanceRequest(*a, *b, context);
    return request ? std::vector{*request} : std::vector<MapRequest>();
}

PaneContent differenceContent(const PaneState& pane, const KindContext& context) {
    PaneContent content;
    content.title = windowText("Difference");
    const PaneState* a = context.model.pane(pane.minuend);
    const PaneState* b = context.model.pane(pane.subtrahend);
    if (a == nullptr || b == nullptr) {
        content.message =
            windowText("One of the two panes is gone: choose two others in the menu.");
        return content;
    }
    if (distanceRequest(*a, *b, context)) {
        content = distanceContent(*a, *b, context);
        content.title = windowText("Distance");
        return content;
    }
    content.form = LayerKind::Difference;
    content.details = context.model.content(a->id).title + QStringLiteral(" \u2212 ") +
                      context.model.content(b->id).title;
    content.unit = windowText("difference");
    content.message = windowText("Waiting for both maps");
    return content;
}

} // namespace

// --- the table --------------------------------------------------------------------------------

const std::vector<ContentKind>& contentKinds() {
    static const std::vector<ContentKind> kinds{
        {"photo", windowText("Photo"), windowText("The photo itself."), false, false, false,
         photoChoices, nothing, photoContent},
        {"features", windowText("Features (PCA)"),
         windowText("Principal components of the features as colours; the colours themselves mean "
                    "nothing, "
                    "equal colours mean similar features."),
         true, false, false, featureChoices, featureNeeds, featureContent},
        {"attention", windowText("Attention"),
         windowText("How much each patch token contributes to the picked pixel's feature."), false,
         true, true, attentionChoices, attentionNeeds, attentionContent},
        {"self-attention", windowText("Self-attention"),
         windowText("What a token of the backbone looks at, layer by layer."), false, true, true,
         selfAttentionChoices, selfAttentionNeeds, selfAttentionContent},
        {"similarity", windowText("Similarity"),
         windowText("Cosine similarity of every feature to the picked pixel's."), false, false,
         true, similarityChoices, similarityNeeds, similarityContent},
        {"text", windowText("Likeness to a text"),
         windowText(
             "Cosine similarity of every feature to a text (CLIP, SigLIP); upsamplers that do not "
             "average tokens leave the space that texts share, so that their maps may mean "
             "little."),
         false, false, false, textChoices, textNeeds, textContent},
        {"norm", windowText("Norm"), windowText("Length of every feature vector."), false, false,
         false, normChoices, normNeeds, normContent},
        {"difference", windowText("Difference"),
         windowText("One pane minus another, or the cosine distance of their features."), false,
         false, false, differenceChoices, differenceNeeds, differenceContent},
    };
    return kinds;
}

const ContentKind& kindOf(const PaneState& pane) {
    const auto& kinds = contentKinds();
    const auto found = std::ranges::find(kinds, pane.kind, &ContentKind::key);
    return found == kinds.end() ? kinds.front() : *found;
}

bool followsPick(const PaneState& pane) {
    return kindOf(pane).followsPick && !pane.ofClassToken;
}

PaneState paneShowing(std::string_view kind, const std::string& method) {
    PaneState pane;
    pane.kind = kind;
    pane.method = method;
    const ContentKind& entry = kindOf(pane);
    // Every value counts in a map of one number per pixel; scores have outliers.
    if (!entry.isFeatures && kind != "norm") {
        pane.lowPercent = 0;
        pane.highPercent = 100;
    }
    if (entry.hasHeads) pane.block = lastBlock;
    if (kind == "similarity" || kind == "text") pane.scalar.map = ColorMap::Magma;
    if (kind == "difference") pane.scalar.map = ColorMap::BlueRed;
    return pane;
}

PaneState changedTo(const PaneState& pane, const PaneState& choice) {
    PaneState next = choice;
    next.id = pane.id;
    next.view = pane.view;
    next.smooth = pane.smooth;
    next.basis = pane.basis;
    next.scores = pane.scores;
    next.flips = pane.flips;
    next.whiten = pane.whiten;
    if (pane.kind == choice.kind) {
        next.block = pane.block;
        next.head = pane.head;
        next.pick = pane.pick;
        next.text = pane.text;
        next.opacity = pane.opacity;
        next.singleComponent = pane.singleComponent;
        next.scalar = pane.scalar;
        next.lowPercent = pane.lowPercent;
        next.highPercent = pane.highPercent;
    }
    // A range set by hand was for other values.
    next.autoRange = true;
    return next;
}

void showComponentAlone(PaneState& pane, int component) {
    pane.singleComponent = true;
    pane.scalar.channel = component;
    // Scores have a sign and a zero.
    pane.scalar.map = ColorMap::BlueRed;
    pane.autoRange = true;
}

// --- what needs more than one kind ------------------------------------------------------------

const Answer* KindContext::answerTo(const MapRequest& request) const {
    const auto found = answers.find(slotOf(request));
    return found == answers.end() ? nullptr : &found->second;
}

QString KindContext::labelOf(const std::string& method) const {
    if (method.empty()) return windowText("Low-res");
    for (const UsableMethod& known : methods)
        if (known.info.key == method) return QString::fromStdString(known.info.title);
    return QString::fromStdString(method);
}

MapRequest scoresRequest(const PaneState& pane, const KindContext& context) {
    MapRequest request = requestOf(What::Scores, pane.method);
    request.basis = pane.basis;
    if (pane.basis != "shared") return request;
    for (const PaneState& other : context.model.state().panes)
        if (kindOf(other).isFeatures && other.basis == "shared")
            request.sharedBy.push_back(other.method);
    std::ranges::sort(request.sharedBy);
    const auto twice = std::ranges::unique(request.sharedBy);
    request.sharedBy.erase(twice.begin(), twice.end());
    return request;
}

std::optional<MapRequest> distanceRequest(const PaneState& a, const PaneState& b,
                                          const KindContext&) {
    if (!kindOf(a).isFeatures || !kindOf(b).isFeatures) return std::nullopt;
    if (a.singleComponent && b.singleComponent) return std::nullopt;
    MapRequest request = requestOf(What::Distance, std::min(a.method, b.method));
    request.other = std::max(a.method, b.method);
    return request;
}

PaneContent distanceContent(const PaneState& a, const PaneState& b, const KindContext& context) {
    PaneContent content;
    const auto request = distanceRequest(a, b, context);
    if (!request) {
        content.message = windowText(
            "These two cannot be compared: choose two feature panes or two scalar maps.");
        return content;
    }
    content.details = context.labelOf(a.method) + ", " + context.labelOf(b.method);
    content.unit = windowText("1 \u2212 cosine");
    content.message = waitingText(context);
    return scalarContent(context.answerTo(*request), content);
}

} // namespace loftscope
