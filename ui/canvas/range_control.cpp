// SPDX-License-Identifier: Apache-2.0
#include "ui/canvas/range_control.h"

#include "ui/panes/numbers.h"

#include <glm/common.hpp>
#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

namespace loftscope {
namespace {

constexpr double controlHeight = 96;

ImU32 ink(const Gray& gray, int alpha = 255) {
    return IM_COL32(gray.level, gray.level, gray.level, alpha);
}

ImVec2 at(double x, double y) {
    return {static_cast<float>(x), static_cast<float>(y)};
}

ValueRange unionOf(const ValueRange& a, const ValueRange& b) {
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

} // namespace

Box rangeControlBox(const Box& picture, int rangeCount) {
    if (rangeCount == 0 || picture.size.x < 180 || picture.size.y < controlHeight + 24) return {};
    const glm::dvec2 size(std::min(340.0, picture.size.x - 16), controlHeight);
    return {glm::floor(glm::dvec2(picture.center().x - size.x / 2, picture.end().y - size.y - 8)),
            size};
}

std::optional<RangeEdit> RangeControl::draw(const ChromePen& pen, const Box& box,
                                            const PaneModel& model, int pane) {
    std::optional<RangeEdit> edit;
    const int count = model.rangeCount(pane);
    index_ = std::clamp(index_, 0, std::max(count - 1, 0));
    const auto histogram = model.histogramAt(pane, index_);
    const ValueRange range = model.rangeOf(pane, index_);

    ImGui::SetNextWindowPos(at(box.origin.x, box.origin.y));
    ImGui::SetNextWindowSize(at(box.size.x, box.size.y));
    ImGui::PushStyleColor(ImGuiCol_WindowBg, ink(pen.theme.plate, 225));
    ImGui::PushStyleColor(ImGuiCol_Text, ink(pen.theme.plateText));
    ImGui::PushStyleColor(ImGuiCol_Button, ink(pen.theme.plateText, 36));
    ImGui::PushStyleColor(ImGuiCol_ButtonHovered, ink(pen.theme.plateText, 70));
    ImGui::PushStyleColor(ImGuiCol_ButtonActive, ink(pen.theme.plateText, 100));
    ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, at(8, 6));
    ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, at(7, 2));
    ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, at(4, 4));
    ImGui::PushFont(pen.small);
    ImGui::Begin("range", nullptr,
                 ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                     ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoNav);
    if (count == 3) {
        static constexpr std::array<const char*, 3> names{"R", "G", "B"};
        for (int i = 0; i < 3; ++i) {
            if (i == index_) ImGui::PushStyleColor(ImGuiCol_Button, ink(pen.theme.plateText, 90));
            const bool pressed = ImGui::Button(names[static_cast<std::size_t>(i)]);
            if (i == index_) ImGui::PopStyleColor();
            if (pressed) index_ = i;
            ImGui::SameLine();
        }
    }
    const std::string numbers = formatNumber(static_cast<double>(range.low)) + "  to  " +
                                formatNumber(static_cast<double>(range.high));
    ImGui::AlignTextToFramePadding();
    ImGui::TextUnformatted(numbers.c_str());
    ImGui::SameLine(static_cast<float>(box.size.x - 46));
    if (ImGui::Button("Auto")) edit = RangeEdit{index_, range, true};

    // The plot: bars of the histogram, the part outside the range darkened, two ends.
    const ImVec2 cursor = ImGui::GetCursorScreenPos();
    const Box plot{{cursor.x + 4, cursor.y + 2}, {box.size.x - 24, box.end().y - cursor.y - 10}};
    ImGui::SetCursorScreenPos(at(plot.origin.x - 6, plot.origin.y));
    ImGui::InvisibleButton("plot", at(plot.size.x + 12, plot.size.y));
    const bool held = ImGui::IsItemActive();
    if (dragged_ < 0) axis_ = histogram ? unionOf(histogram->range, range) : range;
    const auto span = static_cast<double>(axis_.high - axis_.low);
    const auto xOf = [&](float value) {
        const double t = span > 0 ? static_cast<double>(value - axis_.low) / span : 0.5;
        return std::round(plot.origin.x + std::clamp(t, 0.0, 1.0) * plot.size.x);
    };
    const auto valueOf = [&](double x) {
        const double t = std::clamp((x - plot.origin.x) / plot.size.x, 0.0, 1.0);
        return axis_.low + static_cast<float>(t * span);
    };
    ImDrawList* list = ImGui::GetWindowDrawList();
    const double low = xOf(range.low);
    const double high = xOf(range.high);
    if (histogram && !histogram->bins.empty()) {
        // Square roots: a background of one value would flatten everything else.
        double highest = 1;
        for (const std::uint32_t bin : histogram->bins) {
            highest = std::max(highest, std::sqrt(static_cast<double>(bin)));
        }
        const auto bins = static_cast<double>(histogram->bins.size());
        const double from = xOf(histogram->range.low);
        const double width = (xOf(histogram->range.high) - from) / bins;
        for (std::size_t i = 0; i < histogram->bins.size(); ++i) {
            const double h = std::sqrt(static_cast<double>(histogram->bins[i])) / highest;
            const double x = from + width * static_cast<double>(i);
            const double middle = x + width / 2;
            const bool inside = middle >= low && middle <= high;
            list->AddRectFilled(at(x, plot.end().y - h * (plot.size.y - 4)),
                                at(x + std::max(width, 1.0), plot.end().y),
                                ink(pen.theme.plateText, inside ? 170 : 60));
        }
    }
    list->AddLine(at(plot.origin.x, plot.end().y), at(plot.end().x, plot.end().y),
                  ink(pen.theme.plateText, 120));
    for (const double x : {low, high}) {
        list->AddRectFilled(at(x, plot.origin.y), at(x + 1, plot.end().y),
                            ink(pen.theme.plateText));
        list->AddRectFilled(at(x - 3, plot.end().y - 10), at(x + 4, plot.end().y + 4),
                            ink(pen.theme.plateText), 2);
    }
    const double mouse = static_cast<double>(ImGui::GetIO().MousePos.x);
    if (ImGui::IsItemActivated()) {
        const bool nearerLow =
            std::abs(mouse - low) < std::abs(mouse - high) || (low == high && mouse < low);
        dragged_ = nearerLow ? 0 : 1;
    }
    if (held && dragged_ >= 0 && span > 0) {
        ValueRange next = range;
        if (dragged_ == 0) next.low = std::min(valueOf(mouse), range.high);
        if (dragged_ == 1) next.high = std::max(valueOf(mouse), range.low);
        if (next != range) edit = RangeEdit{index_, next, false};
    }
    if (!held) dragged_ = -1;
    ImGui::End();
    ImGui::PopFont();
    ImGui::PopStyleVar(3);
    ImGui::PopStyleColor(5);
    return edit;
}

} // namespace loftscope
