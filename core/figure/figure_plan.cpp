// SPDX-License-Identifier: Apache-2.0
#include "core/figure/figure_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace loftscope {

namespace {

using Kind = PaneView::Kind;
using Rgb8 = std::array<std::uint8_t, 3>;

PlannedPane planned(PaneView view) {
    return {std::move(view), std::nullopt, std::nullopt};
}

std::vector<PlannedPane> comparedPanes(const std::vector<std::string>& methods) {
    std::vector<PlannedPane> panes{planned(paneOf(Kind::Image)),
                                   planned(paneOf(Kind::Features, "lowres"))};
    for (const std::string& method : methods)
        panes.push_back(planned(paneOf(Kind::Features, method)));
    return panes;
}

} // namespace

Rgb8 colorOfPick(std::size_t index) {
    // Distinguishable for colour-blind readers (Okabe and Ito), bright enough on any picture.
    constexpr std::array<Rgb8, 6> colors{{{230, 159, 0},
                                          {86, 180, 233},
                                          {0, 158, 115},
                                          {240, 228, 66},
                                          {204, 121, 167},
                                          {213, 94, 0}}};
    return colors[index % colors.size()];
}

Rgb8 colorOfInset(std::size_t index) {
    constexpr std::array<Rgb8, 3> colors{{{255, 196, 0}, {0, 200, 255}, {255, 96, 208}}};
    return colors[index % colors.size()];
}

std::vector<PlannedPane> textPanes(const std::vector<std::string>& texts,
                                   const std::vector<std::string>& methods) {
    std::vector<PlannedPane> panes;
    for (const std::string& text : texts) {
        const auto add = [&](const std::string& method) {
            PaneView view = paneOf(Kind::Text, method);
            view.text = text;
            panes.push_back(planned(std::move(view)));
        };
        add("lowres");
        for (const std::string& method : methods)
            add(method);
    }
    return panes;
}

const std::vector<std::string_view>& figurePresets() {
    static const std::vector<std::string_view> names{"comparison", "matrix", "attention", "teaser"};
    return names;
}

Result<FigurePlan> figurePreset(std::string_view name, const std::vector<std::string>& methods) {
    if (std::ranges::find(figurePresets(), name) == figurePresets().end())
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("There is no figure preset '{}': choose one of {}.", name,
                                fmt::join(figurePresets(), ", ")));
    FigurePlan plan;
    plan.look.widthMm = pageWidthMm;
    plan.subtitles = false;
    plan.notes = false;
    plan.panes = comparedPanes(methods);
    if (name == "matrix") {
        plan.rowPerPhoto = true;
        plan.titles = false;
    } else if (name == "teaser") {
        plan.columns = static_cast<int>(plan.panes.size());
        if (plan.panes.size() <= 2) plan.look.widthMm = columnWidthMm;
    } else if (name == "attention") {
        plan.panes = {planned(paneOf(Kind::Image)), planned(paneOf(Kind::Attention))};
        plan.panes[1].title = "Mean of heads";
        for (int head = 0; head < 4; ++head) {
            PaneView view = paneOf(Kind::Attention);
            view.head = head;
            plan.panes.push_back({view, fmt::format("Head {}", head + 1), std::nullopt});
        }
        plan.columns = static_cast<int>(plan.panes.size());
    }
    return plan;
}

} // namespace loftscope
