// SPDX-License-Identifier: Apache-2.0
// Dear ImGui inside a Qt widget: events in, draw data out. Dear ImGui 1.86 has no queue of input
// events: a press and a release between two frames would be lost. This one replays at most one
// transition of each key and button per frame.
#pragma once

#include <QPointF>
#include <QSizeF>
#include <Qt>

#include <deque>
#include <string>

struct ImGuiContext;
struct ImFont;
class QKeyEvent;

namespace loftscope {

class ImGuiBridge {
public:
    ImGuiBridge();
    ~ImGuiBridge();
    ImGuiBridge(const ImGuiBridge&) = delete;
    ImGuiBridge& operator=(const ImGuiBridge&) = delete;

    /// Need the widget's GL context to be current. May be called again after a release.
    void createGl();
    void releaseGl();

    void mouseMoved(QPointF position);
    void mouseLeft();
    void mouseButton(Qt::MouseButton button, bool down);
    void wheel(QPointF notches);
    void key(const QKeyEvent& event, bool down);
    void focus(bool focused);

    /// Makes this context current, replays input and starts a frame of `size` widget pixels.
    void beginFrame(QSizeF size, double devicePixelRatio);
    /// Draws the frame into the current framebuffer.
    void endFrame();
    /// Input is left for another frame.
    bool hasPendingInput() const { return !queue_.empty(); }

    ImFont* text() const { return text_; }       ///< 13 px
    ImFont* smallText() const { return small_; } ///< 11 px

private:
    enum class Kind { Position, Button, Wheel, Key, Text, Focus };
    struct Event {
        Kind kind = Kind::Position;
        int code = 0; ///< button or key
        bool down = false;
        QPointF point; ///< position or wheel notches
        std::string text;
        Qt::KeyboardModifiers modifiers;
    };

    void replayInput();
    void buildFonts(double devicePixelRatio);

    ImGuiContext* context_ = nullptr;
    ImFont* text_ = nullptr;
    ImFont* small_ = nullptr;
    std::deque<Event> queue_;
    bool hasGl_ = false;
    double fontRatio_ = 0;
    long long lastFrameNs_ = 0;
};

} // namespace loftscope
