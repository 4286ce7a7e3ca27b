// SPDX-License-Identifier: Apache-2.0
// The one OpenGL widget: draws a PaneModel's panes in a grid and turns mouse and keys into changes
// of the model and signals. Repaints when the model changes, never by a timer.
#pragma once

#include "ui/canvas/canvas_theme.h"
#include "ui/canvas/imgui_bridge.h"
#include "ui/canvas/range_control.h"
#include "ui/panes/grid_layout.h"
#include "ui/panes/pane_model.h"
#include "ui/render/layer.h"

#include <QOpenGLWidget>
#include <QPoint>

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace loftscope {

/// Call before the QApplication is made: OpenGL 3.3 core, contexts that share.
void configureOpenGl();

/// A sentence for the user if the platform cannot show the canvas (offscreen, minimal, no OpenGL
/// 3.3). A CanvasWidget must not be constructed then: Qt 6.4 crashes. Needs a QGuiApplication.
std::optional<QString> canvasUnavailable();

class CanvasWidget : public QOpenGLWidget {
    Q_OBJECT
public:
    /// `model` must outlive the widget.
    explicit CanvasWidget(PaneModel* model, QWidget* parent = nullptr);
    ~CanvasWidget() override;

    void setTheme(const CanvasTheme& theme);
    /// The histogram with draggable ends in the selected pane.
    void setRangeControlVisible(bool visible);
    bool rangeControlVisible() const { return rangeControlVisible_; }
    /// The value at the cursor (else at the active pick) in every pane.
    void setReadoutVisible(bool visible);

    /// Pane at a widget position; 0 if none.
    int paneAt(QPointF position) const;
    /// Where a pane's picture is; empty if it is not shown.
    Box pictureOf(int pane) const;
    Box headerOf(int pane) const;
    /// The title as it was painted last; a click on it opens the pane's menu.
    Box titleOf(int pane) const;
    /// Maps between widget and photo for a pane that is shown.
    ViewTransform transformOf(int pane) const;
    /// Zoom in the pane: device pixels per photo pixel.
    double zoomOf(int pane) const;
    /// Zooms the selected pane (all, while linked) around its middle.
    void zoomBy(double factor);

    QSize sizeHint() const override { return {960, 640}; }
    QSize minimumSizeHint() const override { return {240, 180}; }

Q_SIGNALS:
    /// The cursor is over a photo point; the model knows already. Ends with hoverLeft.
    void hovered(const loftscope::Hover& hover);
    void hoverLeft();
    /// A pick was placed or dragged by hand (`dragging`: the button is still down).
    void picked(int pane, glm::dvec2 pixel, bool dragging);
    void wipeMoved(const loftscope::Wipe& wipe);
    void rangeChanged(int pane, int index, const loftscope::ValueRange& range);
    void viewChanged(int pane, const loftscope::View& view);
    void paneMenuRequested(int pane, const QPoint& globalPosition);
    /// The driver refused; one sentence and the details.
    void openGlFailed(const QString& sentence, const QString& details);

protected:
    void initializeGL() override;
    void paintGL() override;
    bool event(QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void keyReleaseEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    struct ShownPane {
        int id = 0;
        PaneCell cell;
    };
    enum class Drag { None, Pick, Pan, Wipe, Header, Range };

    std::vector<ShownPane> shownPanes() const;
    const ShownPane* find(const std::vector<ShownPane>& panes, int id) const;
    View resolvedView(int pane) const;
    PaneFrame frameOf(const Box& picture) const;
    /// The layers of a pane with wipe, flip or difference applied: each with the part it fills.
    std::vector<std::pair<Layer, Box>> layersOf(const ShownPane& pane) const;
    bool wipes(int pane) const;
    bool inRangeControl(QPointF position) const;
    std::optional<int> pickAt(const ShownPane& pane, glm::dvec2 position) const;
    void changeView(int pane, const View& view);
    bool opensMenu(int pane, QPointF position) const;
    /// `adds`: another pick instead of moving the active one.
    void pickAtPosition(int pane, QPointF position, bool dragging, bool adds = false);
    void updateHover(QPointF position);
    void updateCursor(QPointF position);
    void drawChrome(const std::vector<ShownPane>& panes);
    void drawPaneChrome(const ChromePen& pen, const ShownPane& pane);
    void releaseGl();

    PaneModel* model_;
    ImGuiBridge imgui_;
    std::unique_ptr<LayerRenderer> renderer_;
    CanvasTheme theme_ = darkCanvas();
    RangeControl rangeControl_;
    bool rangeControlVisible_ = false;
    bool readoutVisible_ = true;
    Drag drag_ = Drag::None;
    int dragPane_ = 0;
    int dragPick_ = -1;
    QPointF pressedAt_;
    QPointF lastAt_;
    bool movedSincePress_ = false;
    int menuHot_ = 0;
    std::map<int, Box> titles_; ///< by pane
    int extraFrames_ = 0;
};

} // namespace loftscope
