// SPDX-License-Identifier: Apache-2.0
#include "core/session/session.h"

#include "core/figure/figure_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace loftscope {

namespace {

Pixel pixelAt(const SessionPick& pick) {
    return {static_cast<std::int64_t>(std::floor(pick.x)),
            static_cast<std::int64_t>(std::floor(pick.y))};
}

/// Place, counted from 1, of the pick with this number; 0 if there is none.
int placeOfPick(const Session& session, int number) {
    const auto found = std::ranges::find(session.picks, number, &SessionPick::number);
    return found == session.picks.end() ? 0 : static_cast<int>(found - session.picks.begin()) + 1;
}

/// Whether a pane has nothing to show until something is picked, written or chosen; the window
/// leaves it out of its figures.
bool waits(const PaneView& pane, const Session& session) {
    if (asksAboutPixel(pane) && !pane.pixel)
        return placeOfPick(session, pane.pick > 0 ? pane.pick : session.activePick) == 0;
    if (pane.kind == PaneView::Kind::Text) return pane.text.empty() && session.figure.texts.empty();
    if (pane.kind != PaneView::Kind::Difference || !pane.method.empty()) return false;
    const int count = static_cast<int>(session.panes.size());
    return std::ranges::any_of(std::array{pane.minuend, pane.subtrahend}, [&](int place) {
        if (place < 1 || place > count) return true;
        const PaneView& other = session.panes[static_cast<std::size_t>(place) - 1].view;
        return other.kind == PaneView::Kind::Difference || waits(other, session);
    });
}

} // namespace

FigurePlan figureOf(const Session& session) {
    FigurePlan plan = session.figure;
    if (plan.picks.empty()) {
        for (const SessionPick& pick : session.picks)
            plan.picks.push_back({pixelAt(pick), std::to_string(pick.number), pick.color});
        if (session.activePick != 0) plan.activePick = placeOfPick(session, session.activePick);
    }
    if (plan.panes.empty()) {
        std::vector<int> places; // of the session's panes in the plan, counted from 1; 0: none
        for (const SessionPane& pane : session.panes) {
            if (waits(pane.view, session)) {
                places.push_back(0);
                continue;
            }
            PlannedPane planned{pane.view, std::nullopt, std::nullopt};
            // Plans count picks by place.
            if (planned.view.pick > 0) planned.view.pick = placeOfPick(session, planned.view.pick);
            plan.panes.push_back(std::move(planned));
            places.push_back(static_cast<int>(plan.panes.size()));
        }
        for (PlannedPane& pane : plan.panes) {
            PaneView& view = pane.view;
            if (view.subtrahend == 0) continue;
            view.minuend = places[static_cast<std::size_t>(view.minuend) - 1];
            view.subtrahend = places[static_cast<std::size_t>(view.subtrahend) - 1];
        }
        // A maximised pane that waits has nothing to show: the others are drawn.
        if (session.maximised > 0 && session.maximised <= static_cast<int>(places.size()))
            plan.only = places[static_cast<std::size_t>(session.maximised) - 1];
        if (plan.columns == 0) plan.columns = session.columns;
        if (!plan.crop && session.linked && !session.view.fitted) plan.crop = session.view.visible;
    }
    return plan;
}

std::vector<std::string> methodsOf(const std::vector<PlannedPane>& panes) {
    std::vector<std::string> methods;
    for (const PlannedPane& pane : panes)
        for (const std::string& method : {pane.view.method, pane.view.other})
            if (!method.empty() && method != "lowres" &&
                std::ranges::find(methods, method) == methods.end())
                methods.push_back(method);
    return methods;
}

std::string quotedForShell(const std::string& word) {
    const bool plain = !word.empty() &&
                       word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-+=:,./@%") == std::string::npos;
    if (plain) return word;
    std::string quoted(1, '\'');
    for (const char letter : word) {
        if (letter == '\'') {
            quoted.append("'\\''");
        } else {
            quoted.push_back(letter);
        }
    }
    quoted.push_back('\'');
    return quoted;
}

namespace {

/// What options of the command line can say of a plan.
FigurePlan plainPlan(const FigurePlan& plan) {
    FigurePlan plain;
    for (const PlannedPane& pane : plan.panes)
        plain.panes.push_back({pane.view, std::nullopt, std::nullopt});
    for (std::size_t i = 0; i < plan.picks.size(); ++i)
        plain.picks.push_back({plan.picks[i].at, std::to_string(i + 1), colorOfPick(i)});
    for (std::size_t i = 0; i < plan.insets.size(); ++i) {
        PlannedInset inset;
        inset.part = plan.insets[i].part;
        inset.color = colorOfInset(i);
        plain.insets.push_back(inset);
    }
    plain.activePick = plan.activePick;
    plain.texts = plan.texts;
    plain.crop = plan.crop;
    plain.columns = plan.columns;
    plain.title = plan.title;
    plain.look.widthMm = plan.look.widthMm;
    return plain;
}

/// A plain plan as options.
void appendPlan(std::string& command, const FigurePlan& plan) {
    const auto word = [&](std::string_view option, const std::string& text) {
        command.append(fmt::format(" {} {}", option, quotedForShell(text)));
    };
    std::vector<std::string> panes;
    for (const PlannedPane& pane : plan.panes)
        panes.push_back(textOf(pane.view));
    if (!panes.empty()) word("--panes", fmt::format("{}", fmt::join(panes, ",")));
    for (const std::string& text : plan.texts)
        word("--text", text);
    for (const PlannedPick& pick : plan.picks)
        command += fmt::format(" --pick {},{}", pick.at.x, pick.at.y);
    if (plan.activePick > 1) command += fmt::format(" --active-pick {}", plan.activePick);
    for (const PlannedInset& inset : plan.insets)
        command += fmt::format(" --inset {},{},{},{}", inset.part.x, inset.part.y, inset.part.width,
                               inset.part.height);
    if (plan.crop)
        command += fmt::format(" --crop {},{},{},{}", plan.crop->x, plan.crop->y, plan.crop->width,
                               plan.crop->height);
    if (plan.columns > 0) command += fmt::format(" --columns {}", plan.columns);
    if (plan.look.widthMm > 0) command += fmt::format(" --width-mm {}", plan.look.widthMm);
    if (!plan.title.empty()) word("--title", plan.title);
}

} // namespace

bool asksForLockedBasis(const Session& session) {
    return std::ranges::any_of(session.panes,
                               [](const SessionPane& pane) { return pane.view.basis == "locked"; });
}

std::string renderCommand(const Session& session, const std::filesystem::path& out,
                          const std::filesystem::path& lockedFrom) {
    const FigurePlan plan = figureOf(session);
    std::string command = "loftscope render";
    const auto word = [&](const std::string& text) {
        command.push_back(' ');
        command.append(quotedForShell(text));
    };
    word(session.photo.path.empty() ? "PHOTO" : session.photo.path.string());
    if (session.isClip) command += fmt::format(" --frame {}", session.frame);
    command += " -b";
    word(session.backbone.path.empty() ? "BACKBONE" : session.backbone.path.string());
    for (const std::string& method : methodsOf(plan.panes)) {
        const auto weights = session.upsamplers.find(method);
        command += " -u";
        word(weights == session.upsamplers.end()
                 ? method
                 : fmt::format("{}={}", method, weights->second.path.string()));
    }
    command += fmt::format(" --size {}", session.inputSize);
    if (session.outputSize > 0) command += fmt::format(" --output-size {}", session.outputSize);
    if (session.precision != "fp32") command += fmt::format(" --precision {}", session.precision);
    if (!lockedFrom.empty() && asksForLockedBasis(session)) {
        command += " --locked-from";
        word(lockedFrom.string());
    }
    if (plan != plainPlan(plan)) {
        // Titles, colours of picks, looks of insets and the like have no options of their own.
        command += " --figure";
        word(figureJson(plan).dump(-1, ' ', false,
                                   nlohmann::ordered_json::error_handler_t::replace));
    } else {
        appendPlan(command, plan);
    }
    command += " -o";
    word(out.string());
    return command;
}

} // namespace loftscope
