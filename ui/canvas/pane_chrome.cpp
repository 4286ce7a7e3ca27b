// SPDX-License-Identifier: Apache-2.0
#include "ui/canvas/pane_chrome.h"

#include "ui/panes/numbers.h"

#include <glm/common.hpp>
#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

namespace loftscope {
namespace {

constexpr double plateRounding = 3;
constexpr double barWidth = 136;
constexpr double barHeight = 8;

ImU32 colorOf(const Gray& gray) {
    return IM_COL32(gray.level, gray.level, gray.level, gray.alpha);
}

ImU32 colorOf(const Rgb& rgb) {
    const auto byte = [](float value) {
        return static_cast<int>(std::lround(std::clamp(value, 0.0F, 1.0F) * 255));
    };
    return IM_COL32(byte(rgb[0]), byte(rgb[1]), byte(rgb[2]), 255);
}

ImVec2 at(glm::dvec2 point) {
    return {static_cast<float>(point.x), static_cast<float>(point.y)};
}

glm::dvec2 measured(ImFont* font, double size, const std::string& text, double wrap = 0) {
    const ImVec2 extent =
        font->CalcTextSizeA(static_cast<float>(size), FLT_MAX, static_cast<float>(wrap),
                            text.c_str(), text.c_str() + text.size());
    return {extent.x, extent.y};
}

void write(const ChromePen& pen, ImFont* font, double size, glm::dvec2 origin, ImU32 color,
           const std::string& text, double wrap = 0) {
    pen.list->AddText(font, static_cast<float>(size), at(glm::round(origin)), color, text.c_str(),
                      text.c_str() + text.size(), static_cast<float>(wrap));
}

/// The text, or its beginning with "…", or nothing.
std::string elided(ImFont* font, double size, const std::string& text, double room) {
    if (measured(font, size, text).x <= room) return text;
    std::string shorter = text;
    while (!shorter.empty()) {
        // Whole UTF-8 characters only.
        while (!shorter.empty() && (static_cast<unsigned char>(shorter.back()) & 0xC0) == 0x80) {
            shorter.pop_back();
        }
        if (!shorter.empty()) shorter.pop_back();
        while (!shorter.empty() && (shorter.back() == ' ' || shorter.back() == ',')) {
            shorter.pop_back();
        }
        const std::string candidate = shorter + "\u2026";
        if (!shorter.empty() && measured(font, size, candidate).x <= room) return candidate;
    }
    return {};
}

void fill(const ChromePen& pen, const Box& box, ImU32 color, double rounding = 0) {
    pen.list->AddRectFilled(at(box.origin), at(box.end()), color, static_cast<float>(rounding));
}

/// A line that shows on any picture: light on a darker, wider one.
void contrastLine(const ChromePen& pen, glm::dvec2 from, glm::dvec2 to) {
    pen.list->AddLine(at(from), at(to), IM_COL32(0, 0, 0, 150), 3);
    pen.list->AddLine(at(from), at(to), IM_COL32(255, 255, 255, 235), 1);
}

void plate(const ChromePen& pen, glm::dvec2 origin, const std::string& text, ImFont* font,
           double size) {
    const glm::dvec2 extent = measured(font, size, text);
    fill(pen, {origin, extent + glm::dvec2(10, 4)}, colorOf(pen.theme.plate), plateRounding);
    write(pen, font, size, origin + glm::dvec2(5, 2), colorOf(pen.theme.plateText), text);
}

glm::dvec2 badgeSize(const ChromePen& pen, const Pick& pick) {
    return measured(pen.small, pen.smallSize, std::to_string(pick.number)) + glm::dvec2(8, 2);
}

/// A pick's number on its colour; returns the width.
double drawBadge(const ChromePen& pen, glm::dvec2 origin, const Pick& pick) {
    const glm::dvec2 size = badgeSize(pen, pick);
    const ImU32 color = IM_COL32(pick.color[0], pick.color[1], pick.color[2], 255);
    origin = glm::round(origin);
    fill(pen, {origin - 1.0, size + 2.0}, IM_COL32(0, 0, 0, 220), size.y / 2 + 1);
    fill(pen, {origin, size}, color, size.y / 2);
    const double luminance = 0.299 * pick.color[0] + 0.587 * pick.color[1] + 0.114 * pick.color[2];
    write(pen, pen.small, pen.smallSize, origin + glm::dvec2(4, 1),
          luminance > 128 ? IM_COL32(0, 0, 0, 255) : IM_COL32(255, 255, 255, 255),
          std::to_string(pick.number));
    return size.x;
}

class ClippedTo {
public:
    ClippedTo(const ChromePen& pen, const Box& box)
        : list_(pen.list) {
        list_->PushClipRect(at(box.origin), at(box.end()), true);
    }
    ~ClippedTo() { list_->PopClipRect(); }
    ClippedTo(const ClippedTo&) = delete;
    ClippedTo& operator=(const ClippedTo&) = delete;

private:
    ImDrawList* list_;
};

} // namespace

Box menuButtonOf(const Box& header) {
    const double side = header.size.y;
    return {{header.end().x - side, header.origin.y}, {side, side}};
}

Box drawHeader(const ChromePen& pen, const Box& header, const HeaderText& text, bool selected,
               bool menuHot) {
    const ClippedTo clip(pen, header);
    fill(pen, header, colorOf(selected ? pen.theme.selectedHeader : pen.theme.header));
    const Box menu = menuButtonOf(header);
    const double baseline = header.origin.y + (header.size.y - pen.textSize) / 2 - 1;
    double x = header.origin.x + 8;
    const auto room = [&] { return menu.origin.x - x - 2; };
    if (!text.tag.empty()) {
        const double width = measured(pen.small, pen.smallSize, text.tag).x;
        write(pen, pen.small, pen.smallSize, {x, baseline + 1.5}, colorOf(pen.theme.mutedText),
              text.tag);
        x += width + 7;
    }
    if (text.pick) {
        x += drawBadge(pen, {x, header.center().y - (pen.smallSize + 2) / 2}, *text.pick) + 7;
    }
    constexpr double arrow = 12;
    const std::string title = elided(pen.text, pen.textSize, text.title, room() - arrow);
    const double titleWidth = measured(pen.text, pen.textSize, title).x + arrow;
    const Box titleBox{{x - 4, header.origin.y}, {titleWidth + 8, header.size.y}};
    write(pen, pen.text, pen.textSize, {x, baseline}, colorOf(pen.theme.text), title);
    x += titleWidth;
    const glm::dvec2 tip(x - 4, header.center().y + 2.5);
    pen.list->AddTriangleFilled(at(tip + glm::dvec2(-3.5, -4)), at(tip + glm::dvec2(3.5, -4)),
                                at(tip), colorOf(menuHot ? pen.theme.text : pen.theme.mutedText));
    x += 10;
    if (room() > 40) {
        const std::string details = elided(pen.small, pen.smallSize, text.details, room());
        write(pen, pen.small, pen.smallSize, {x, baseline + 1.5}, colorOf(pen.theme.mutedText),
              details);
    }
    const ImU32 dots = colorOf(menuHot ? pen.theme.text : pen.theme.mutedText);
    for (int i = -1; i <= 1; ++i) {
        pen.list->AddCircleFilled(at(menu.center() + glm::dvec2(0, 4.5 * i)), 1.4F, dots, 8);
    }
    return titleBox;
}

void drawFrame(const ChromePen& pen, const Box& pane, bool keyboard) {
    pen.list->AddRect(at(pane.origin), at(pane.end()),
                      colorOf(keyboard ? pen.theme.frame : pen.theme.quietFrame), 0, 0, 1);
}

void drawProgress(const ChromePen& pen, const Box& picture, double fraction) {
    const double width = picture.size.x * std::clamp(fraction, 0.0, 1.0);
    fill(pen, {picture.origin, {picture.size.x, 2}}, IM_COL32(0, 0, 0, 120));
    fill(pen, {picture.origin, {width, 2}}, colorOf(pen.theme.frame));
}

void drawDimmed(const ChromePen& pen, const Box& picture) {
    Gray veil = pen.theme.background;
    veil.alpha = 150;
    fill(pen, picture, colorOf(veil));
}

void drawMessage(const ChromePen& pen, const Box& picture, const std::string& message) {
    const double wrap = std::max(40.0, picture.size.x - 32);
    const glm::dvec2 size = measured(pen.text, pen.textSize, message, wrap);
    const ClippedTo clip(pen, picture);
    write(pen, pen.text, pen.textSize, picture.center() - size * 0.5, colorOf(pen.theme.mutedText),
          message, wrap);
}

void drawNote(const ChromePen& pen, const Box& picture, const std::string& note) {
    const ClippedTo clip(pen, picture);
    const std::string shown = elided(pen.small, pen.smallSize, note, picture.size.x - 26);
    if (shown.empty()) return;
    const glm::dvec2 size = measured(pen.small, pen.smallSize, shown) + glm::dvec2(10, 4);
    plate(pen, glm::floor(glm::dvec2(picture.center().x - size.x / 2, picture.end().y - 52)), shown,
          pen.small, pen.smallSize);
}

void drawCross(const ChromePen& pen, const Box& picture, glm::dvec2 point) {
    const ClippedTo clip(pen, picture);
    const glm::dvec2 center = glm::floor(point);
    constexpr double inner = 4;
    constexpr double outer = 13;
    contrastLine(pen, center - glm::dvec2(outer, 0), center - glm::dvec2(inner, 0));
    contrastLine(pen, center + glm::dvec2(inner, 0), center + glm::dvec2(outer, 0));
    contrastLine(pen, center - glm::dvec2(0, outer), center - glm::dvec2(0, inner));
    contrastLine(pen, center + glm::dvec2(0, inner), center + glm::dvec2(0, outer));
}

void drawPick(const ChromePen& pen, const Box& picture, glm::dvec2 point, const Pick& pick,
              bool active) {
    const ClippedTo clip(pen, picture);
    const ImU32 color = IM_COL32(pick.color[0], pick.color[1], pick.color[2], 255);
    const ImU32 outline = IM_COL32(0, 0, 0, 220);
    const glm::dvec2 center = glm::floor(point) + 0.5;
    constexpr float radius = 5.5F;
    pen.list->AddCircle(at(center), radius, outline, 32, active ? 5 : 4);
    pen.list->AddCircle(at(center), radius, color, 32, active ? 2.5F : 1.5F);
    if (active) pen.list->AddCircleFilled(at(center), 1.5F, color, 8);
    // The number sits beside the ring, on the side that has room.
    const glm::dvec2 badge = badgeSize(pen, pick);
    glm::dvec2 origin = center + glm::dvec2(8, -8 - badge.y);
    if (origin.x + badge.x > picture.end().x) origin.x = center.x - 8 - badge.x;
    if (origin.y < picture.origin.y) origin.y = center.y + 8;
    drawBadge(pen, origin, pick);
}

void drawWipe(const ChromePen& pen, const Box& picture, const Wipe& wipe, const std::string& a,
              const std::string& b) {
    const ClippedTo clip(pen, picture);
    const WipeSides sides = sidesOf(wipe, picture);
    const bool vertical = wipe.edge == WipeEdge::Vertical;
    const glm::dvec2 from = sides.b.origin;
    const glm::dvec2 to =
        vertical ? glm::dvec2(from.x, picture.end().y) : glm::dvec2(picture.end().x, from.y);
    contrastLine(pen, from, to);
    const glm::dvec2 handle = handleOf(wipe, picture);
    pen.list->AddCircleFilled(at(handle), wipeHandleRadius + 1, IM_COL32(0, 0, 0, 170), 32);
    pen.list->AddCircleFilled(at(handle), wipeHandleRadius, IM_COL32(245, 245, 245, 255), 32);
    const glm::dvec2 along = vertical ? glm::dvec2(1, 0) : glm::dvec2(0, 1);
    const glm::dvec2 across(along.y, along.x);
    for (const double side : {-1.0, 1.0}) {
        const glm::dvec2 tip = handle + along * side * 6.0;
        const glm::dvec2 base = handle + along * side * 2.5;
        pen.list->AddTriangleFilled(at(tip), at(base + across * 3.0), at(base - across * 3.0),
                                    IM_COL32(60, 60, 60, 255));
    }
    // Each name is cut off at the edge with its own side.
    const auto label = [&](const Box& side, const std::string& text, bool atEnd) {
        const std::string shown =
            elided(pen.small, pen.smallSize, text, std::max(0.0, side.size.x - 26));
        if (shown.empty()) return;
        const double width = measured(pen.small, pen.smallSize, shown).x + 10;
        const double x = atEnd ? side.end().x - width - 8 : side.origin.x + 8;
        plate(pen, {x, side.origin.y + 8}, shown, pen.small, pen.smallSize);
    };
    label(sides.a, a, false);
    label(sides.b, b, vertical);
}

void drawColorBar(const ChromePen& pen, const Box& picture, const ScalarStyle& style,
                  const std::string& unit) {
    if (picture.size.x < barWidth + 40 || picture.size.y < 100) return;
    const ClippedTo clip(pen, picture);
    const bool flat = style.range.flat();
    const auto low = static_cast<double>(style.range.low);
    const auto high = static_cast<double>(style.range.high);
    const std::vector<double> ticks = flat ? std::vector<double>{low} : ticksBetween(low, high, 4);
    const std::vector<std::string> texts =
        flat ? std::vector<std::string>{formatNumber(low)} : formatTicks(ticks);
    const std::string title = elided(pen.small, pen.smallSize, flat ? "constant" : unit, barWidth);
    const double line = pen.smallSize + 2;
    const double titleHeight = title.empty() ? 0 : line + 1;
    const glm::dvec2 size(barWidth + 16, titleHeight + barHeight + line + 12);
    const Box background{glm::floor(glm::dvec2(picture.end().x - size.x - 8, picture.origin.y + 8)),
                         size};
    fill(pen, background, colorOf(pen.theme.plate), plateRounding);
    write(pen, pen.small, pen.smallSize, background.origin + glm::dvec2(8, 4),
          colorOf(pen.theme.plateText), title);
    const Box bar{background.origin + glm::dvec2(8, titleHeight + 5), {barWidth, barHeight}};
    for (int i = 0; i < static_cast<int>(barWidth); ++i) {
        const float t = flat ? 0.5F : (static_cast<float>(i) + 0.5F) / static_cast<float>(barWidth);
        const auto rgb = colorAt(style.map, style.reversed ? 1 - t : t);
        fill(pen, {{bar.origin.x + i, bar.origin.y}, {1, barHeight}},
             IM_COL32(rgb[0], rgb[1], rgb[2], 255));
    }
    for (std::size_t i = 0; i < ticks.size(); ++i) {
        const double t = flat ? 0.5 : (ticks[i] - low) / (high - low);
        const double x = std::min(std::floor(bar.origin.x + t * barWidth), bar.end().x - 1);
        const double width = measured(pen.small, pen.smallSize, texts[i]).x;
        fill(pen, {{x, bar.end().y}, {1, 3}}, colorOf(pen.theme.plateText));
        const double left =
            std::clamp(x - width / 2, background.origin.x + 3, background.end().x - width - 3);
        write(pen, pen.small, pen.smallSize, {left, bar.end().y + 3}, colorOf(pen.theme.plateText),
              texts[i]);
    }
}

void drawReadout(const ChromePen& pen, const Box& picture, const Rgb& color,
                 const std::string& text) {
    const ClippedTo clip(pen, picture);
    const std::string shown = elided(pen.small, pen.smallSize, text, picture.size.x - 42);
    if (shown.empty()) return;
    const glm::dvec2 extent = measured(pen.small, pen.smallSize, shown);
    const glm::dvec2 size(extent.x + 26, extent.y + 6);
    const glm::dvec2 origin =
        glm::floor(glm::dvec2(picture.origin.x + 8, picture.end().y - size.y - 8));
    fill(pen, {origin, size}, colorOf(pen.theme.plate), plateRounding);
    fill(pen, {origin + glm::dvec2(5, (size.y - 10) / 2), {10, 10}}, colorOf(color), 2);
    write(pen, pen.small, pen.smallSize, origin + glm::dvec2(20, 3), colorOf(pen.theme.plateText),
          shown);
}

void drawValues(const ChromePen& pen, const Box& picture, const ViewTransform& view,
                const PaneModel& model, int pane) {
    const Layer layer = model.layerOf(pane);
    if (layer.kind == LayerKind::Empty) return;
    const bool photo = layer.kind == LayerKind::Photo;
    const Extent extent = photo ? layer.photo->extent() : layer.map->extent();
    const Box region = photo ? boxOf(extent) : layer.region;
    const glm::dvec2 cell = region.size / boxOf(extent).size; // photo pixels per map pixel
    const glm::dvec2 onScreen = cell * view.widgetPerPixel();
    const int lines = photo || layer.kind == LayerKind::Scores ? 3 : 1;
    const double lineHeight = pen.smallSize + 2;
    if (onScreen.x < 46 || onScreen.y < lines * lineHeight + 8) return;
    const ClippedTo clip(pen, picture);
    const Box visible = intersectionOf(view.visiblePixels(), region);
    if (visible.empty()) return;
    const glm::dvec2 first = glm::floor((visible.origin - region.origin) / cell);
    const glm::dvec2 last = glm::ceil((visible.end() - region.origin) / cell);
    for (double y = first.y; y < last.y; ++y) {
        for (double x = first.x; x < last.x; ++x) {
            const Box pixels{region.origin + glm::dvec2(x, y) * cell, cell};
            const auto value = model.valueAt(pane, pixels.center());
            if (!value) continue;
            const Box box = view.widgetFromPixel(pixels);
            pen.list->AddRect(at(glm::floor(box.origin)), at(glm::floor(box.end()) + 1.0),
                              IM_COL32(128, 128, 128, 70));
            const float luminance =
                0.299F * value->color[0] + 0.587F * value->color[1] + 0.114F * value->color[2];
            const ImU32 ink =
                luminance > 0.5F ? IM_COL32(0, 0, 0, 255) : IM_COL32(255, 255, 255, 255);
            const QStringList texts = model.valueTexts(pane, *value);
            // A cell larger than the pane shows its value where the eye is.
            const bool huge = box.size.x > picture.size.x / 2;
            const glm::dvec2 center = huge ? intersectionOf(box, picture).center() : box.center();
            double top = center.y - static_cast<double>(texts.size()) * lineHeight / 2;
            for (const QString& number : texts) {
                const std::string text = number.toStdString();
                const double width = measured(pen.small, pen.smallSize, text).x;
                write(pen, pen.small, pen.smallSize, {center.x - width / 2, top}, ink, text);
                top += lineHeight;
            }
        }
    }
}

} // namespace loftscope
