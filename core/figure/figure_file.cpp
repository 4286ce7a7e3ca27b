// SPDX-License-Identifier: Apache-2.0
#include "core/figure/figure_file.h"

#include "core/base/file.h"
#include "core/base/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace loftscope {

using nlohmann::ordered_json;

namespace {

constexpr const char* format = "loftscope_figure";

const std::vector<std::string_view> corners{"top-left", "top-right", "bottom-left", "bottom-right"};

ordered_json rectJson(const Rect& rect) {
    return {rect.x, rect.y, rect.width, rect.height};
}

std::optional<Rect> readRect(JsonFields& fields, const char* key) {
    const auto numbers = fields.readIntegers(key, 4);
    if (numbers.empty()) return std::nullopt;
    if (numbers[0] < 0 || numbers[1] < 0 || numbers[2] < 1 || numbers[3] < 1)
        fields.complain(key, "x, y, width and height in pixels of the photo");
    return Rect{numbers[0], numbers[1], numbers[2], numbers[3]};
}

PlannedPane readPane(const ordered_json& json, JsonFields& outer, std::size_t index) {
    PlannedPane pane;
    const auto parsed = [&](const std::string& text) {
        auto view = parsePane(text);
        if (view) {
            pane.view = *view;
        } else {
            outer.complain(Error{ErrorCode::Malformed,
                                 fmt::format("In {}: {}", outer.where(), view.error().message)});
        }
    };
    if (json.is_string()) {
        parsed(json.get<std::string>());
        return pane;
    }
    JsonFields fields(json, fmt::format("pane {} of {}", index + 1, outer.where()));
    std::string show;
    fields.read("show", show);
    fields.read("title", pane.title);
    fields.read("subtitle", pane.subtitle);
    if (auto read = fields.finish(); !read) outer.complain(read.error());
    parsed(show);
    return pane;
}

PlannedPick readPick(const ordered_json& json, JsonFields& outer, std::size_t index) {
    PlannedPick pick{{}, std::to_string(index + 1), colorOfPick(index)};
    const ordered_json wrapped = json.is_array() ? ordered_json{{"at", json}} : json;
    JsonFields fields(wrapped, fmt::format("pick {} of {}", index + 1, outer.where()));
    const auto at = fields.readIntegers("at", 2);
    fields.read("label", pick.label);
    fields.readColor("color", pick.color);
    if (at.empty() && fields.good()) fields.complain("at", "a pixel [x, y]");
    if (!at.empty()) pick.at = {at[0], at[1]};
    if (auto read = fields.finish(); !read) outer.complain(read.error());
    return pick;
}

PlannedInset readInset(const ordered_json& json, JsonFields& outer, std::size_t index) {
    PlannedInset inset;
    inset.color = colorOfInset(index);
    const ordered_json wrapped = json.is_array() ? ordered_json{{"part", json}} : json;
    JsonFields fields(wrapped, fmt::format("inset {} of {}", index + 1, outer.where()));
    const auto part = readRect(fields, "part");
    if (part) inset.part = *part;
    if (!part && fields.good()) fields.complain("part", "a rectangle [x, y, width, height]");
    if (const int corner = fields.readChoice("corner", corners); corner >= 0)
        inset.corner = static_cast<Corner>(corner);
    fields.read("share", inset.share);
    if (!(inset.share > 0 && inset.share <= 1)) fields.complain("share", "above 0 and at most 1");
    fields.readColor("color", inset.color);
    if (auto read = fields.finish(); !read) outer.complain(read.error());
    return inset;
}

void readWidth(JsonFields& fields, FigureLook& look) {
    const ordered_json* const width = fields.find("width");
    if (width == nullptr) return;
    if (*width == "column") {
        look.widthMm = columnWidthMm;
    } else if (*width == "page") {
        look.widthMm = pageWidthMm;
    } else if (*width == "panes") {
        look.widthMm = 0;
    } else if (width->is_number() && width->get<double>() >= 10 && width->get<double>() <= 2000) {
        look.widthMm = width->get<double>();
    } else {
        fields.complain("width",
                        "millimetres (10 to 2000), \"column\", \"page\", or \"panes\" for a width "
                        "that follows from pane_width");
    }
}

template <typename Value>
void put(ordered_json& json, const char* key, const Value& value, const Value& usual) {
    if (value != usual) json[key] = value;
}

} // namespace

ordered_json figureJson(const FigurePlan& plan) {
    const FigurePlan usual;
    ordered_json json{{format, figureFileVersion}};
    put(json, "title", plan.title, usual.title);
    for (const PlannedPane& pane : plan.panes) {
        const std::string show = textOf(pane.view);
        ordered_json each = show;
        if (pane.title || pane.subtitle) {
            each = {{"show", show}};
            if (pane.title) each["title"] = *pane.title;
            if (pane.subtitle) each["subtitle"] = *pane.subtitle;
        }
        json["panes"].push_back(std::move(each));
    }
    put(json, "only", plan.only, usual.only);
    put(json, "columns", plan.columns, usual.columns);
    put(json, "row_per_photo", plan.rowPerPhoto, usual.rowPerPhoto);
    put(json, "column_labels", plan.columnLabels, usual.columnLabels);
    put(json, "row_labels", plan.rowLabels, usual.rowLabels);
    put(json, "titles", plan.titles, usual.titles);
    put(json, "subtitles", plan.subtitles, usual.subtitles);
    put(json, "bars", plan.bars, usual.bars);
    put(json, "markers", plan.markers, usual.markers);
    put(json, "notes", plan.notes, usual.notes);
    for (std::size_t i = 0; i < plan.picks.size(); ++i) {
        const PlannedPick& pick = plan.picks[i];
        ordered_json at{pick.at.x, pick.at.y};
        const bool plain = pick.label == std::to_string(i + 1) && pick.color == colorOfPick(i);
        json["picks"].push_back(plain ? at
                                      : ordered_json{{"at", at},
                                                     {"label", pick.label},
                                                     {"color", colorText(pick.color)}});
    }
    put(json, "queries", plan.texts, usual.texts);
    put(json, "active_pick", plan.activePick, usual.activePick);
    for (std::size_t i = 0; i < plan.insets.size(); ++i) {
        const PlannedInset& inset = plan.insets[i];
        ordered_json each{{"part", rectJson(inset.part)}};
        if (inset.corner) each["corner"] = corners[static_cast<std::size_t>(*inset.corner)];
        put(each, "share", inset.share, PlannedInset().share);
        if (inset.color != colorOfInset(i)) each["color"] = colorText(inset.color);
        json["insets"].push_back(each.size() == 1 ? each["part"] : each);
    }
    if (plan.crop) json["crop"] = rectJson(*plan.crop);
    put(json, "pane_width", plan.paneWidth, usual.paneWidth);
    put(json, "width", plan.look.widthMm, usual.look.widthMm);
    put(json, "font_points", plan.look.fontPoints, usual.look.fontPoints);
    put(json, "dpi", plan.look.dotsPerInch, usual.look.dotsPerInch);
    if (plan.look.textAsPaths) json["text"] = "paths";
    return json;
}

std::string figureText(const FigurePlan& plan) {
    return figureJson(plan).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<FigurePlan> figureFromJson(const ordered_json& json, const std::vector<std::string>& methods,
                                  const std::string& where) {
    FigurePlan plan;
    JsonFields fields(json, where);
    fields.find(format);
    if (const int preset = fields.readChoice("preset", figurePresets()); preset >= 0) {
        LOFTSCOPE_TRY(plan,
                      figurePreset(figurePresets()[static_cast<std::size_t>(preset)], methods));
    }
    fields.read("title", plan.title);
    if (const auto panes = fields.elements("panes"); !panes.empty()) {
        plan.panes.clear();
        for (std::size_t i = 0; i < panes.size(); ++i)
            plan.panes.push_back(readPane(*panes[i], fields, i));
    }
    fields.read("only", plan.only);
    if (plan.only < 0) fields.complain("only", "the place of a pane, counted from 1, or 0");
    fields.read("columns", plan.columns);
    if (plan.columns < 0 || plan.columns > 24) fields.complain("columns", "0 to 24");
    fields.read("row_per_photo", plan.rowPerPhoto);
    fields.read("column_labels", plan.columnLabels);
    fields.read("row_labels", plan.rowLabels);
    fields.read("titles", plan.titles);
    fields.read("subtitles", plan.subtitles);
    fields.read("bars", plan.bars);
    fields.read("markers", plan.markers);
    fields.read("notes", plan.notes);
    for (const ordered_json* const each : fields.elements("picks"))
        plan.picks.push_back(readPick(*each, fields, plan.picks.size()));
    fields.read("queries", plan.texts);
    fields.read("active_pick", plan.activePick);
    for (const ordered_json* const each : fields.elements("insets"))
        plan.insets.push_back(readInset(*each, fields, plan.insets.size()));
    if (const auto crop = readRect(fields, "crop")) plan.crop = *crop;
    fields.read("pane_width", plan.paneWidth);
    if (plan.paneWidth < 10 || plan.paneWidth > 10000)
        fields.complain("pane_width", "10 to 10000 pixels");
    readWidth(fields, plan.look);
    fields.read("font_points", plan.look.fontPoints);
    if (!(plan.look.fontPoints >= 2 && plan.look.fontPoints <= 72))
        fields.complain("font_points", "2 to 72 points");
    fields.read("dpi", plan.look.dotsPerInch);
    if (!(plan.look.dotsPerInch >= 20 && plan.look.dotsPerInch <= 4800))
        fields.complain("dpi", "20 to 4800 dots per inch");
    if (const int text = fields.readChoice("text", {"text", "paths"}); text >= 0)
        plan.look.textAsPaths = text == 1;
    LOFTSCOPE_CHECK(fields.finish());
    return plan;
}

Result<FigurePlan> readFigurePlan(const std::string& fileOrPreset,
                                  const std::vector<std::string>& methods) {
    if (fileOrPreset.starts_with('{')) {
        const std::string where = "the figure on the command line";
        LOFTSCOPE_TRY(const ordered_json json,
                      parseVersioned(fileOrPreset, format, figureFileVersion, where));
        return figureFromJson(json, methods, where);
    }
    const std::filesystem::path path = fileOrPreset;
    std::error_code ignored;
    if (!path.has_parent_path() && !path.has_extension() && !std::filesystem::exists(path, ignored))
        return figurePreset(fileOrPreset, methods);
    LOFTSCOPE_TRY(const auto bytes, readFile(path));
    const std::string where = fmt::format("the figure '{}'", path.filename().string());
    LOFTSCOPE_TRY(const ordered_json json,
                  parseVersioned({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                 format, figureFileVersion, where));
    return figureFromJson(json, methods, where);
}

Result<void> writeFigurePlan(const std::filesystem::path& path, const FigurePlan& plan) {
    const std::string text = figureText(plan);
    return writeFile(path, std::as_bytes(std::span(text.data(), text.size())));
}

} // namespace loftscope
