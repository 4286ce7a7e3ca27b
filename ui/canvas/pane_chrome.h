// SPDX-License-Identifier: Apache-2.0
// What is drawn around and over a pane's picture: header, frame, marks, colour bar, values. Plain
// functions that append to a Dear ImGui draw list; widget pixels.
#pragma once

#include "ui/canvas/canvas_theme.h"
#include "ui/panes/pane_model.h"

#include <optional>
#include <string>

struct ImDrawList;
struct ImFont;

namespace loftscope {

/// What every function below draws with.
struct ChromePen {
    ImDrawList* list = nullptr;
    ImFont* text = nullptr;
    ImFont* small = nullptr;
    double textSize = 13;
    double smallSize = 11;
    CanvasTheme theme;
};

struct HeaderText {
    std::string tag;          ///< "A", "B" or the pane's number key
    std::optional<Pick> pick; ///< the one that the pane is bound to
    std::string title;
    std::string details; ///< left out from the right when there is no room
};

/// The button at the right end of a header that opens the pane's menu.
Box menuButtonOf(const Box& header);

/// Returns where the title is, with the arrow behind it.
Box drawHeader(const ChromePen& pen, const Box& header, const HeaderText& text, bool selected,
               bool menuHot);
void drawFrame(const ChromePen& pen, const Box& pane, bool keyboard);
void drawProgress(const ChromePen& pen, const Box& picture, double fraction);
void drawDimmed(const ChromePen& pen, const Box& picture);
/// Centred and wrapped.
void drawMessage(const ChromePen& pen, const Box& picture, const std::string& message);
/// One line on a plate at the lower middle.
void drawNote(const ChromePen& pen, const Box& picture, const std::string& note);
/// A cross with an open middle.
void drawCross(const ChromePen& pen, const Box& picture, glm::dvec2 at);
void drawPick(const ChromePen& pen, const Box& picture, glm::dvec2 at, const Pick& pick,
              bool active);
void drawWipe(const ChromePen& pen, const Box& picture, const Wipe& wipe, const std::string& a,
              const std::string& b);
/// At the upper right; left out in panes too small for it.
void drawColorBar(const ChromePen& pen, const Box& picture, const ScalarStyle& style,
                  const std::string& unit);
/// A swatch and a text at the lower left.
void drawReadout(const ChromePen& pen, const Box& picture, const Rgb& color,
                 const std::string& text);
/// Lines between the map's pixels and their values, once they are large enough on screen.
void drawValues(const ChromePen& pen, const Box& picture, const ViewTransform& view,
                const PaneModel& model, int pane);

} // namespace loftscope
