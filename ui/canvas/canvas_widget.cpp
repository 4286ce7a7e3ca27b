// SPDX-License-Identifier: Apache-2.0
#include "ui/canvas/canvas_widget.h"

#include "ui/canvas/pane_chrome.h"
#include "ui/panes/numbers.h"
#include "ui/render/gl_functions.h"

#include <QCoreApplication>
#include <QGuiApplication>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QOpenGLContext>
#include <QSurfaceFormat>
#include <QWheelEvent>
#include <glm/common.hpp>
#include <glm/geometric.hpp>
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace loftscope {
namespace {

constexpr double dragDistance = 4;                 // widget pixels before a press becomes a drag
constexpr double zoomPerNotch = 1.189207115002721; // four notches double

glm::dvec2 pointOf(QPointF point) {
    return {point.x(), point.y()};
}

std::string textOf(const QString& text) {
    return text.toStdString();
}

} // namespace

void configureOpenGl() {
    QSurfaceFormat format;
    format.setVersion(3, 3);
    format.setProfile(QSurfaceFormat::CoreProfile);
    format.setDepthBufferSize(0);
    format.setStencilBufferSize(0);
    QSurfaceFormat::setDefaultFormat(format);
    // Otherwise moving the canvas to another window loses its context.
    QCoreApplication::setAttribute(Qt::AA_ShareOpenGLContexts);
}

std::optional<QString> canvasUnavailable() {
    const QString platform = QGuiApplication::platformName();
    if (platform == "offscreen" || platform.startsWith("minimal")) {
        return QCoreApplication::translate(
                   "CanvasWidget",
                   "The window needs a display with OpenGL, and the Qt platform \"%1\" has none: "
                   "use the sub-commands of loftscope, or start it under a display server.")
            .arg(platform);
    }
    QOpenGLContext probe;
    const bool created = probe.create();
    if (!created || probe.format().version() < std::pair(3, 3)) {
        return QCoreApplication::translate(
            "CanvasWidget",
            "This display offers no OpenGL 3.3, which the window needs: update the graphics "
            "driver, set LIBGL_ALWAYS_SOFTWARE=1, or use the sub-commands of loftscope.");
    }
    return std::nullopt;
}

CanvasWidget::CanvasWidget(PaneModel* model, QWidget* parent)
    : QOpenGLWidget(parent)
    , model_(model) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(tr("Panes"));
    connect(model_, &PaneModel::changed, this, qOverload<>(&QWidget::update));
    // The photo may move under a resting cursor.
    connect(model_, &PaneModel::viewChanged, this, [this] {
        if (model_->hover()) updateHover(lastAt_);
    });
}

CanvasWidget::~CanvasWidget() {
    // The context dies in ~QOpenGLWidget, when this object is gone already.
    if (context() != nullptr) disconnect(context(), nullptr, this, nullptr);
    releaseGl();
}

void CanvasWidget::releaseGl() {
    if (!renderer_) return;
    makeCurrent();
    renderer_.reset();
    imgui_.releaseGl();
    doneCurrent();
}

void CanvasWidget::setTheme(const CanvasTheme& theme) {
    theme_ = theme;
    update();
}

void CanvasWidget::setRangeControlVisible(bool visible) {
    rangeControlVisible_ = visible;
    update();
}

void CanvasWidget::setReadoutVisible(bool visible) {
    readoutVisible_ = visible;
    update();
}

// --- layout -----------------------------------------------------------------------------------

std::vector<CanvasWidget::ShownPane> CanvasWidget::shownPanes() const {
    const WorkspaceState& state = model_->state();
    std::vector<int> ids;
    for (const PaneState& pane : state.panes) {
        if (state.maximised == 0 || state.maximised == pane.id) ids.push_back(pane.id);
    }
    const Extent photo = model_->photoExtent();
    const double aspect = photo.area() > 0
                              ? static_cast<double>(photo.width) / static_cast<double>(photo.height)
                              : 1.5;
    const Box area{{0, 0}, {static_cast<double>(width()), static_cast<double>(height())}};
    const std::vector<PaneCell> cells =
        layoutGrid(static_cast<int>(ids.size()), area, aspect, state.columns);
    std::vector<ShownPane> panes;
    for (std::size_t i = 0; i < ids.size(); ++i)
        panes.push_back({ids[i], cells[i]});
    return panes;
}

const CanvasWidget::ShownPane* CanvasWidget::find(const std::vector<ShownPane>& panes,
                                                  int id) const {
    const auto found =
        std::find_if(panes.begin(), panes.end(), [&](const ShownPane& p) { return p.id == id; });
    return found == panes.end() ? nullptr : &*found;
}

int CanvasWidget::paneAt(QPointF position) const {
    for (const ShownPane& pane : shownPanes()) {
        if (pane.cell.picture.contains(pointOf(position)) ||
            pane.cell.header.contains(pointOf(position))) {
            return pane.id;
        }
    }
    return 0;
}

Box CanvasWidget::pictureOf(int pane) const {
    const std::vector<ShownPane> panes = shownPanes();
    const ShownPane* shown = find(panes, pane);
    return shown != nullptr ? shown->cell.picture : Box{};
}

Box CanvasWidget::titleOf(int pane) const {
    const auto found = titles_.find(pane);
    return found == titles_.end() ? Box{} : found->second;
}

bool CanvasWidget::opensMenu(int pane, QPointF position) const {
    const glm::dvec2 at = pointOf(position);
    return menuButtonOf(headerOf(pane)).contains(at) || titleOf(pane).contains(at);
}

Box CanvasWidget::headerOf(int pane) const {
    const std::vector<ShownPane> panes = shownPanes();
    const ShownPane* shown = find(panes, pane);
    return shown != nullptr ? shown->cell.header : Box{};
}

PaneFrame CanvasWidget::frameOf(const Box& picture) const {
    return {picture, devicePixelRatioF()};
}

View CanvasWidget::resolvedView(int pane) const {
    return resolved(model_->viewOf(pane), model_->photoExtent(), frameOf(pictureOf(pane)));
}

ViewTransform CanvasWidget::transformOf(int pane) const {
    return {resolvedView(pane), frameOf(pictureOf(pane))};
}

double CanvasWidget::zoomOf(int pane) const {
    return resolvedView(pane).zoom;
}

void CanvasWidget::zoomBy(double factor) {
    const int pane = model_->state().selected;
    const PaneFrame frame = frameOf(pictureOf(pane));
    changeView(pane, zoomedAt(resolvedView(pane), model_->photoExtent(), frame, frame.box.center(),
                              factor));
}

bool CanvasWidget::wipes(int pane) const {
    const WorkspaceState& state = model_->state();
    return state.compare == CompareMode::Wipe && pane == state.selected &&
           state.reference != state.selected && !model_->flipped();
}

bool CanvasWidget::inRangeControl(QPointF position) const {
    if (!rangeControlVisible_) return false;
    const int pane = model_->state().selected;
    const Box box = rangeControlBox(pictureOf(pane), model_->rangeCount(pane));
    return !box.empty() && box.contains(pointOf(position));
}

std::optional<int> CanvasWidget::pickAt(const ShownPane& pane, glm::dvec2 position) const {
    const ViewTransform view = transformOf(pane.id);
    const std::vector<Pick>& picks = model_->state().picks;
    for (std::size_t i = picks.size(); i-- > 0;) {
        if (glm::distance(view.widgetFromPixel(picks[i].at), position) <= 8) {
            return static_cast<int>(i);
        }
    }
    return std::nullopt;
}

// --- drawing ----------------------------------------------------------------------------------

void CanvasWidget::initializeGL() {
    if (glFunctions() == nullptr) {
        Q_EMIT openGlFailed(tr("The graphics driver offers no OpenGL 3.3 core profile."), {});
        return;
    }
    imgui_.createGl();
    renderer_ = std::make_unique<LayerRenderer>();
    connect(context(), &QOpenGLContext::aboutToBeDestroyed, this, &CanvasWidget::releaseGl,
            Qt::UniqueConnection);
    if (const QString log = renderer_->error(); !log.isEmpty()) {
        Q_EMIT openGlFailed(tr("The graphics driver refused a shader."), log);
    }
}

std::vector<std::pair<Layer, Box>> CanvasWidget::layersOf(const ShownPane& pane) const {
    const WorkspaceState& state = model_->state();
    const Box& picture = pane.cell.picture;
    if (pane.id != state.selected || state.reference == state.selected) {
        return {{model_->layerOf(pane.id), picture}};
    }
    if (model_->flipped()) return {{model_->layerOf(state.reference), picture}};
    if (state.compare == CompareMode::Wipe) {
        const WipeSides sides = sidesOf(state.wipe, picture);
        return {{model_->layerOf(state.reference), sides.a}, {model_->layerOf(pane.id), sides.b}};
    }
    if (state.compare == CompareMode::Difference) {
        return {{model_->comparisonLayer(), picture}};
    }
    return {{model_->layerOf(pane.id), picture}};
}

void CanvasWidget::paintGL() {
    auto* gl = glFunctions();
    if (gl == nullptr || !renderer_) return;
    const double ratio = devicePixelRatioF();
    const Extent framebuffer{std::lround(height() * ratio), std::lround(width() * ratio)};
    const auto clear = [&](const Gray& gray) {
        const float level = static_cast<float>(gray.level) / 255;
        gl->glClearColor(level, level, level, 1);
        gl->glClear(GL_COLOR_BUFFER_BIT);
    };
    gl->glViewport(0, 0, static_cast<GLsizei>(framebuffer.width),
                   static_cast<GLsizei>(framebuffer.height));
    gl->glDisable(GL_SCISSOR_TEST);
    clear(theme_.gap);
    const std::vector<ShownPane> panes = shownPanes();
    renderer_->beginFrame();
    for (const ShownPane& pane : panes) {
        // Whole device pixels, also at fractional ratios.
        const glm::dvec2 origin = glm::round(pane.cell.picture.origin * ratio);
        const glm::dvec2 end = glm::round(pane.cell.picture.end() * ratio);
        gl->glEnable(GL_SCISSOR_TEST);
        gl->glScissor(static_cast<GLint>(origin.x),
                      static_cast<GLint>(framebuffer.height - std::lround(end.y)),
                      static_cast<GLsizei>(end.x - origin.x),
                      static_cast<GLsizei>(end.y - origin.y));
        clear(theme_.background);
        gl->glDisable(GL_SCISSOR_TEST);
        const ViewTransform view = transformOf(pane.id);
        for (const auto& [layer, part] : layersOf(pane)) {
            renderer_->draw(layer, view, part, framebuffer);
        }
    }
    imgui_.beginFrame(size(), ratio);
    drawChrome(panes);
    imgui_.endFrame();
    // Queued input, and Dear ImGui's habit of showing a hover one frame late.
    if (imgui_.hasPendingInput()) extraFrames_ = std::max(extraFrames_, 1);
    if (extraFrames_ > 0) {
        --extraFrames_;
        update();
    }
}

void CanvasWidget::drawChrome(const std::vector<ShownPane>& panes) {
    titles_.clear();
    ChromePen pen{
        ImGui::GetBackgroundDrawList(), imgui_.text(), imgui_.smallText(), 13, 11, theme_};
    for (const ShownPane& pane : panes)
        drawPaneChrome(pen, pane);
    const WorkspaceState& state = model_->state();
    if (const ShownPane* selected = find(panes, state.selected);
        selected != nullptr && panes.size() > 1) {
        const Box whole{selected->cell.header.origin,
                        {selected->cell.header.size.x,
                         selected->cell.header.size.y + selected->cell.picture.size.y}};
        drawFrame(pen, whole, hasFocus());
    }
    if (!rangeControlVisible_) return;
    const Box box = rangeControlBox(pictureOf(state.selected), model_->rangeCount(state.selected));
    if (box.empty()) return;
    const auto edit = rangeControl_.draw(pen, box, *model_, state.selected);
    if (!edit) return;
    if (edit->automatic) {
        model_->setAutoRange(state.selected);
    } else {
        model_->setRange(state.selected, edit->index, edit->range);
        Q_EMIT rangeChanged(state.selected, edit->index, edit->range);
    }
}

void CanvasWidget::drawPaneChrome(const ChromePen& pen, const ShownPane& pane) {
    const WorkspaceState& state = model_->state();
    const Box& picture = pane.cell.picture;
    const bool selected = pane.id == state.selected;
    const bool compared = selected && state.reference != state.selected;
    // A flipped pane is the reference in everything but its place.
    const int shownId = compared && model_->flipped() ? state.reference : pane.id;
    const PaneContent& content = model_->content(shownId);
    const ViewTransform view = transformOf(pane.id);
    const Layer layer = model_->layerOf(shownId);

    const bool difference =
        compared && !model_->flipped() && state.compare == CompareMode::Difference;
    const Layer colored = difference ? model_->comparisonLayer() : layer;
    HeaderText header;
    header.title = textOf(content.title);
    header.details = textOf(content.details);
    if (difference && colored.kind != LayerKind::Empty) {
        const QString& reference = model_->content(state.reference).title;
        header.details =
            textOf(colored.kind == LayerKind::Difference ? tr("minus A, %1").arg(reference)
                                                         : tr("distance to A, %1").arg(reference));
    }
    const bool comparing = state.compare != CompareMode::Off || model_->flipped();
    if (comparing && compared) header.tag = model_->flipped() ? 'A' : 'B';
    if (comparing && !selected && pane.id == state.reference) header.tag = 'A';
    // A pane that follows a pick of its own wears its colour.
    const PaneState* shownState = model_->pane(shownId);
    if (shownState != nullptr && shownState->pick != 0) header.pick = model_->pickOf(*shownState);
    titles_[pane.id] = drawHeader(pen, pane.cell.header, header, selected, menuHot_ == pane.id);

    const bool hasBar = colored.kind == LayerKind::Scalar || colored.kind == LayerKind::Difference;
    QString unit = content.unit;
    QString message = content.message;
    if (difference) {
        const bool signedOne = colored.kind == LayerKind::Difference;
        unit = signedOne ? tr("B \u2212 A") : model_->comparison().unit;
        message = model_->comparison().message;
    }
    if (colored.kind == LayerKind::Empty) {
        drawMessage(pen, picture, textOf(message));
    } else {
        if (content.stale) drawDimmed(pen, picture);
        if (!difference) drawValues(pen, picture, view, *model_, shownId);
    }
    if (comparing && selected && !compared && !model_->flipped()) {
        drawNote(pen, picture,
                 textOf(tr("This pane is A: select another one to compare with it.")));
    }
    if (hasBar) drawColorBar(pen, picture, colored.scalar, textOf(unit));
    if (wipes(pane.id)) {
        drawWipe(pen, picture, state.wipe, textOf("A  " + model_->content(state.reference).title),
                 textOf("B  " + content.title));
    }
    const bool empty = colored.kind == LayerKind::Empty;
    for (std::size_t i = 0; i < state.picks.size() && !empty; ++i) {
        drawPick(pen, picture, view.widgetFromPixel(state.picks[i].at), state.picks[i],
                 static_cast<int>(i) == state.activePick);
    }
    const std::optional<Hover>& hover = model_->hover();
    if (hover && hover->pane != pane.id && state.linked && !empty) {
        drawCross(pen, picture, view.widgetFromPixel(hover->at));
    }
    std::optional<glm::dvec2> readAt;
    if (hover) {
        readAt = hover->at;
    } else if (const auto pick = model_->activePick()) {
        readAt = pick->at;
    }
    const bool covered = selected && rangeControlVisible_ && model_->rangeCount(pane.id) > 0;
    if (readoutVisible_ && readAt && !covered) {
        if (const auto value = model_->valueIn(colored, *readAt)) {
            QString text = model_->describe(shownId, *value);
            if (difference) {
                const ValueRange& range = colored.scalar.range;
                text = QString::fromStdString(
                    formatInRange(static_cast<double>(value->values.front()),
                                  static_cast<double>(range.high - range.low)));
            }
            if (value->preview) text += tr("  (preview)");
            drawReadout(pen, picture, value->color, textOf(text));
        }
    }
    if (content.progress >= 0 && content.progress < 1) {
        drawProgress(pen, picture, content.progress);
    }
}

// --- input ------------------------------------------------------------------------------------

bool CanvasWidget::event(QEvent* event) {
    // Arrow keys and space belong to the canvas while it has the keyboard, whatever menus say.
    if (event->type() == QEvent::ShortcutOverride) {
        const auto* key = static_cast<QKeyEvent*>(event);
        switch (key->key()) {
        case Qt::Key_Space:
        case Qt::Key_Left:
        case Qt::Key_Right:
        case Qt::Key_Up:
        case Qt::Key_Down:
            if ((key->modifiers() & ~Qt::ShiftModifier) == Qt::NoModifier) {
                event->accept();
                return true;
            }
            break;
        default:
            break;
        }
    }
    return QOpenGLWidget::event(event);
}

void CanvasWidget::changeView(int pane, const View& view) {
    model_->setView(pane, view);
    Q_EMIT viewChanged(pane, view);
}

void CanvasWidget::pickAtPosition(int pane, QPointF position, bool dragging, bool adds) {
    const Box photo = boxOf(model_->photoExtent());
    glm::dvec2 pixel = transformOf(pane).pixelFromWidget(pointOf(position));
    if (!photo.contains(pixel)) {
        // A click beside the photo picks nothing; a drag over its border stays on it.
        if (!dragging) return;
        pixel = glm::clamp(pixel, glm::dvec2(0), glm::max(photo.size - 0.5, glm::dvec2(0)));
    }
    if (dragging && dragPick_ >= 0) {
        model_->movePick(dragPick_, pixel);
    } else if (adds) {
        model_->addPick(pixel);
    } else {
        model_->placePick(pixel);
    }
    Q_EMIT picked(pane, pixel, dragging);
}

void CanvasWidget::mousePressEvent(QMouseEvent* event) {
    const QPointF position = event->position();
    imgui_.mouseMoved(position);
    imgui_.mouseButton(event->button(), true);
    extraFrames_ = 2;
    update();
    if (drag_ != Drag::None) return;
    pressedAt_ = lastAt_ = position;
    movedSincePress_ = false;
    dragPick_ = -1;
    if (inRangeControl(position)) {
        drag_ = Drag::Range;
        return;
    }
    const std::vector<ShownPane> panes = shownPanes();
    const ShownPane* pane = find(panes, paneAt(position));
    if (pane == nullptr) return;
    dragPane_ = pane->id;
    const glm::dvec2 at = pointOf(position);
    const bool left = event->button() == Qt::LeftButton;
    if (pane->cell.header.contains(at)) {
        if (event->button() == Qt::RightButton) {
            Q_EMIT paneMenuRequested(pane->id, event->globalPosition().toPoint());
        } else if (left) {
            model_->select(pane->id);
            drag_ = Drag::Header;
        }
        return;
    }
    if (left && wipes(pane->id) && grabs(model_->state().wipe, pane->cell.picture, at)) {
        drag_ = Drag::Wipe;
        return;
    }
    const bool pans = event->button() == Qt::MiddleButton || event->button() == Qt::RightButton ||
                      (left && event->modifiers().testFlag(Qt::AltModifier));
    if (pans) {
        drag_ = Drag::Pan;
        return;
    }
    if (!left) return;
    model_->select(pane->id);
    drag_ = Drag::Pick;
    if (const auto grabbed = pickAt(*pane, at)) {
        dragPick_ = *grabbed;
        model_->setActivePick(*grabbed);
        return;
    }
    pickAtPosition(pane->id, position, false, event->modifiers().testFlag(Qt::ShiftModifier));
    dragPick_ = model_->state().activePick;
}

void CanvasWidget::mouseMoveEvent(QMouseEvent* event) {
    const QPointF position = event->position();
    imgui_.mouseMoved(position);
    const QPointF delta = position - lastAt_;
    movedSincePress_ =
        movedSincePress_ || glm::distance(pointOf(position), pointOf(pressedAt_)) >= dragDistance;
    switch (drag_) {
    case Drag::Pan:
        if (movedSincePress_) {
            const PaneFrame frame = frameOf(pictureOf(dragPane_));
            changeView(dragPane_, panned(resolvedView(dragPane_), model_->photoExtent(), frame,
                                         pointOf(delta)));
            setCursor(Qt::ClosedHandCursor);
        } else {
            return; // so that the first step of the pan starts where the button went down
        }
        break;
    case Drag::Wipe: {
        const Wipe wipe = movedTo(model_->state().wipe, pictureOf(dragPane_), pointOf(position));
        model_->setWipe(wipe);
        Q_EMIT wipeMoved(wipe);
        break;
    }
    case Drag::Pick:
        if (movedSincePress_ && dragPick_ >= 0) pickAtPosition(dragPane_, position, true);
        break;
    case Drag::Range:
        update();
        break;
    case Drag::Header:
        setCursor(movedSincePress_ ? Qt::ClosedHandCursor : Qt::ArrowCursor);
        break;
    case Drag::None:
        updateCursor(position);
        break;
    }
    lastAt_ = position;
    updateHover(position);
    if (inRangeControl(position)) update();
}

void CanvasWidget::mouseReleaseEvent(QMouseEvent* event) {
    imgui_.mouseMoved(event->position());
    imgui_.mouseButton(event->button(), false);
    extraFrames_ = 2;
    update();
    if (event->buttons() != Qt::NoButton) return;
    const Drag ended = std::exchange(drag_, Drag::None);
    if (ended == Drag::Pan && !movedSincePress_ && event->button() == Qt::RightButton) {
        Q_EMIT paneMenuRequested(dragPane_, event->globalPosition().toPoint());
    }
    if (ended == Drag::Header && !movedSincePress_ && opensMenu(dragPane_, event->position())) {
        const Box header = headerOf(dragPane_);
        const QPointF below(event->position().x(), header.end().y);
        Q_EMIT paneMenuRequested(dragPane_, mapToGlobal(below).toPoint());
    }
    if (ended == Drag::Header && movedSincePress_) {
        const int target = paneAt(event->position());
        if (target != 0 && target != dragPane_) model_->swapPanes(dragPane_, target);
    }
    if (ended == Drag::Pick && movedSincePress_ && dragPick_ >= 0) {
        pickAtPosition(dragPane_, event->position(), true);
        Q_EMIT picked(dragPane_, model_->activePick()->at, false);
    }
    model_->endGesture();
    updateCursor(event->position());
}

void CanvasWidget::mouseDoubleClickEvent(QMouseEvent* event) {
    const int pane = paneAt(event->position());
    if (pane != 0 && event->button() == Qt::LeftButton && !inRangeControl(event->position()) &&
        headerOf(pane).contains(pointOf(event->position())) &&
        !opensMenu(pane, event->position())) {
        model_->toggleMaximised(pane);
        return;
    }
    mousePressEvent(event);
}

void CanvasWidget::wheelEvent(QWheelEvent* event) {
    const QPointF position = event->position();
    const QPointF notches = QPointF(event->angleDelta()) / 120;
    if (inRangeControl(position)) {
        imgui_.wheel(notches);
        update();
        return;
    }
    const int pane = paneAt(position);
    if (pane == 0 || notches.y() == 0) return;
    const PaneFrame frame = frameOf(pictureOf(pane));
    lastAt_ = position;
    changeView(pane, zoomedAt(resolvedView(pane), model_->photoExtent(), frame, pointOf(position),
                              std::pow(zoomPerNotch, notches.y())));
    updateHover(position);
    event->accept();
}

void CanvasWidget::updateHover(QPointF position) {
    const int pane = paneAt(position);
    const glm::dvec2 at = pointOf(position);
    std::optional<Hover> hover;
    if (pane != 0 && pictureOf(pane).contains(at) && !inRangeControl(position)) {
        const glm::dvec2 pixel = transformOf(pane).pixelFromWidget(at);
        if (boxOf(model_->photoExtent()).contains(pixel)) hover = Hover{pane, pixel};
    }
    const int menu = pane != 0 && opensMenu(pane, position) ? pane : 0;
    if (menu != menuHot_) {
        menuHot_ = menu;
        update();
    }
    if (hover == model_->hover()) return;
    model_->setHover(hover);
    if (hover) {
        Q_EMIT hovered(*hover);
    } else {
        Q_EMIT hoverLeft();
    }
}

void CanvasWidget::updateCursor(QPointF position) {
    const int pane = paneAt(position);
    const Box picture = pictureOf(pane);
    const Wipe& wipe = model_->state().wipe;
    if (pane == 0 || inRangeControl(position) || !picture.contains(pointOf(position))) {
        setCursor(Qt::ArrowCursor);
    } else if (wipes(pane) && grabs(wipe, picture, pointOf(position))) {
        setCursor(wipe.edge == WipeEdge::Vertical ? Qt::SplitHCursor : Qt::SplitVCursor);
    } else {
        setCursor(Qt::CrossCursor);
    }
}

void CanvasWidget::leaveEvent(QEvent* /*event*/) {
    imgui_.mouseLeft();
    menuHot_ = 0;
    if (model_->hover()) {
        model_->setHover(std::nullopt);
        Q_EMIT hoverLeft();
    }
    update();
}

void CanvasWidget::keyPressEvent(QKeyEvent* event) {
    imgui_.key(*event, true);
    const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? 10 : 1;
    switch (event->key()) {
    case Qt::Key_Space:
        if (!event->isAutoRepeat()) model_->setFlipped(true);
        return;
    case Qt::Key_Left:
        model_->nudgePick(-step, 0);
        break;
    case Qt::Key_Right:
        model_->nudgePick(step, 0);
        break;
    case Qt::Key_Up:
        model_->nudgePick(0, -step);
        break;
    case Qt::Key_Down:
        model_->nudgePick(0, step);
        break;
    case Qt::Key_Escape:
        model_->clearPicks();
        return;
    case Qt::Key_Plus:
    case Qt::Key_Equal:
        zoomBy(zoomPerNotch * zoomPerNotch);
        return;
    case Qt::Key_Minus:
        zoomBy(1 / (zoomPerNotch * zoomPerNotch));
        return;
    default:
        QOpenGLWidget::keyPressEvent(event);
        return;
    }
    if (const auto pick = model_->activePick()) {
        Q_EMIT picked(model_->state().selected, pick->at, false);
    }
}

void CanvasWidget::keyReleaseEvent(QKeyEvent* event) {
    imgui_.key(*event, false);
    if (event->key() == Qt::Key_Space) {
        if (!event->isAutoRepeat()) model_->setFlipped(false);
        return;
    }
    QOpenGLWidget::keyReleaseEvent(event);
}

void CanvasWidget::focusInEvent(QFocusEvent* event) {
    imgui_.focus(true);
    QOpenGLWidget::focusInEvent(event);
    update();
}

void CanvasWidget::focusOutEvent(QFocusEvent* event) {
    imgui_.focus(false);
    // The release of a held key goes to whoever has the keyboard now.
    model_->setFlipped(false);
    QOpenGLWidget::focusOutEvent(event);
    update();
}

} // namespace loftscope
