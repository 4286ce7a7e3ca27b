// SPDX-License-Identifier: Apache-2.0
#include "core/session/session_file.h"

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/base/json_fields.h"
#include "core/base/sha256.h"
#include "core/figure/figure_file.h"
#include "core/upsample/precision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <span>

namespace loftscope {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

constexpr const char* format = "loftscope_session";
const std::vector<std::string_view> compares{"off", "wipe", "difference"};
const std::vector<std::string_view> edges{"vertical", "horizontal"};

fs::path absoluteOf(const fs::path& path) {
    std::error_code failed;
    const fs::path absolute = fs::absolute(path, failed);
    return (failed ? path : absolute).lexically_normal();
}

/// A path as it is written: relative, with "/" on every system.
std::string relativeText(const fs::path& path, const fs::path& folder) {
    const fs::path relative = absoluteOf(path).lexically_relative(absoluteOf(folder));
    return (relative.empty() ? absoluteOf(path) : relative).generic_string();
}

fs::path resolved(const std::string& relative, const std::string& before, const fs::path& folder) {
    const fs::path first = (absoluteOf(folder) / relative).lexically_normal();
    std::error_code ignored;
    for (const fs::path& candidate :
         {first, fs::path(before), absoluteOf(folder) / first.filename()})
        if (!candidate.empty() && fs::exists(candidate, ignored)) return candidate;
    return first;
}

ordered_json fileJson(const SessionFile& file, const fs::path& folder) {
    ordered_json json{{"path", relativeText(file.path, folder)},
                      {"was", absoluteOf(file.path).generic_string()}};
    if (!file.sha256.empty()) json["sha256"] = file.sha256;
    if (!file.name.empty()) json["name"] = file.name;
    return json;
}

void readFileReference(JsonFields& outer, const char* key, const ordered_json* json,
                       const fs::path& folder, SessionFile& file) {
    if (json == nullptr) return;
    JsonFields fields(*json, fmt::format("'{}' of {}", key, outer.where()));
    std::string path;
    std::string before;
    fields.read("path", path);
    fields.read("was", before);
    fields.read("sha256", file.sha256);
    fields.read("name", file.name);
    if (path.empty() && fields.good()) fields.complain("path", "the path of a file");
    if (auto read = fields.finish(); !read) {
        outer.complain(read.error());
        return;
    }
    file.path = resolved(path, before, folder);
}

ordered_json viewJson(const SessionView& view) {
    if (view.fitted) return {{"fitted", true}};
    ordered_json json{{"center", {view.centerX, view.centerY}}, {"zoom", view.zoom}};
    if (view.visible)
        json["visible"] = {view.visible->x, view.visible->y, view.visible->width,
                           view.visible->height};
    return json;
}

void readView(JsonFields& outer, const char* key, SessionView& view) {
    const ordered_json* const json = outer.find(key);
    if (json == nullptr) return;
    JsonFields fields(*json, fmt::format("'{}' of {}", key, outer.where()));
    view.fitted = false;
    fields.read("fitted", view.fitted);
    if (const auto center = fields.readNumbers("center", 2); !center.empty()) {
        view.centerX = center[0];
        view.centerY = center[1];
    }
    fields.read("zoom", view.zoom);
    if (!(view.zoom > 0)) fields.complain("zoom", "above 0");
    if (const auto visible = fields.readIntegers("visible", 4); !visible.empty())
        view.visible = Rect{visible[0], visible[1], visible[2], visible[3]};
    if (auto read = fields.finish(); !read) outer.complain(read.error());
}

static_assert(std::endian::native == std::endian::little, "floats are kept as they are in memory");

std::string numbersText(const std::vector<float>& numbers) {
    return base64(std::as_bytes(std::span(numbers)));
}

void readNumbersText(JsonFields& fields, const char* key, std::vector<float>& numbers) {
    std::string text;
    fields.read(key, text);
    const auto bytes = fromBase64(text);
    if (!bytes || bytes->empty() || bytes->size() % sizeof(float) != 0) {
        if (fields.good()) fields.complain(key, "32-bit numbers in base64");
        return;
    }
    numbers.resize(bytes->size() / sizeof(float));
    std::memcpy(numbers.data(), bytes->data(), bytes->size());
}

ordered_json basisJson(const BasisValues& basis) {
    return {{"fitted_on", basis.fittedOn},
            {"total_variance", basis.totalVariance},
            {"mean", numbersText(basis.mean)},
            {"components", numbersText(basis.components)},
            {"variances", numbersText(basis.variances)}};
}

void readBasis(JsonFields& outer, const std::string& method, const ordered_json& json,
               BasisValues& basis) {
    JsonFields fields(json, fmt::format("the locked basis '{}' of {}", method, outer.where()));
    fields.read("fitted_on", basis.fittedOn);
    fields.read("total_variance", basis.totalVariance);
    readNumbersText(fields, "mean", basis.mean);
    readNumbersText(fields, "components", basis.components);
    readNumbersText(fields, "variances", basis.variances);
    if (fields.good() && !fitTogether(basis))
        fields.complain("components", "of as many rows as variances and columns as means");
    if (auto read = fields.finish(); !read) outer.complain(read.error());
}

/// A pane's text with the path of a basis file as it is written or read.
template <typename Change>
PaneView withBasisPath(PaneView pane, const Change& change) {
    if (pane.basis.starts_with(basisFilePrefix))
        pane.basis =
            std::string(basisFilePrefix) + change(pane.basis.substr(basisFilePrefix.size()));
    return pane;
}

FigurePlan withBasisPaths(FigurePlan plan, const auto& change) {
    for (PlannedPane& pane : plan.panes)
        pane.view = withBasisPath(pane.view, change);
    return plan;
}

} // namespace

bool namesSession(const fs::path& path) {
    return path.extension() == sessionEnding;
}

std::string sessionText(const Session& session, const fs::path& folder) {
    const auto relative = [&](const std::string& path) { return relativeText(path, folder); };
    ordered_json json{{format, session.lockedBases.empty() ? 1 : sessionFileVersion}};
    if (!session.photo.path.empty()) json["photo"] = fileJson(session.photo, folder);
    if (session.isClip) json["clip_frame"] = session.frame;
    if (!session.backbone.path.empty()) json["backbone"] = fileJson(session.backbone, folder);
    json["upsamplers"] = ordered_json::object();
    for (const auto& [method, file] : session.upsamplers)
        json["upsamplers"][method] = fileJson(file, folder);
    json["input_size"] = session.inputSize;
    json["output_size"] = session.outputSize;
    json["device"] = session.device;
    json["precision"] = session.precision;
    json["panes"] = ordered_json::array();
    for (const SessionPane& pane : session.panes) {
        const std::string show = textOf(withBasisPath(pane.view, relative));
        if (pane.own == SessionView()) {
            json["panes"].push_back(show);
        } else {
            json["panes"].push_back({{"show", show}, {"view", viewJson(pane.own)}});
        }
    }
    json["selected"] = session.selected;
    json["reference"] = session.reference;
    json["maximised"] = session.maximised;
    json["columns"] = session.columns;
    json["linked"] = session.linked;
    json["colors_together"] = session.colorsTogether;
    json["view"] = viewJson(session.view);
    json["compare"] = compares[static_cast<std::size_t>(session.compare)];
    json["wipe"] = {{"edge", edges[session.wipeHorizontal ? 1 : 0]},
                    {"position", session.wipePosition}};
    json["picks"] = ordered_json::array();
    for (const SessionPick& pick : session.picks)
        json["picks"].push_back({{"number", pick.number},
                                 {"at", {pick.x, pick.y}},
                                 {"color", colorText(pick.color)},
                                 {"pinned", pick.pinned}});
    json["active_pick"] = session.activePick;
    for (const auto& [method, basis] : session.lockedBases)
        json["locked_bases"][method] = basisJson(basis);
    json["figure"] = figureJson(withBasisPaths(session.figure, relative));
    return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<void> writeSession(const fs::path& path, const Session& session) {
    return guarded("writing the session", [&]() -> Result<void> {
        Session known = session;
        std::error_code ignored;
        if (known.photo.sha256.empty() && !known.isClip &&
            fs::is_regular_file(known.photo.path, ignored)) {
            LOFTSCOPE_TRY(known.photo.sha256, sha256OfFile(known.photo.path));
        }
        const std::string text = sessionText(known, absoluteOf(path).parent_path());
        return writeFile(path, std::as_bytes(std::span(text.data(), text.size())));
    });
}

Result<Session> sessionFromText(std::string_view text, const fs::path& folder,
                                const std::string& where) {
    LOFTSCOPE_TRY(const ordered_json json, parseVersioned(text, format, sessionFileVersion, where));
    const auto absolute = [&](const std::string& path) {
        return resolved(path, {}, folder).string();
    };
    Session session;
    JsonFields fields(json, where);
    fields.find(format);
    readFileReference(fields, "photo", fields.find("photo"), folder, session.photo);
    session.isClip = json.contains("clip_frame");
    fields.read("clip_frame", session.frame);
    readFileReference(fields, "backbone", fields.find("backbone"), folder, session.backbone);
    if (const ordered_json* const upsamplers = fields.find("upsamplers")) {
        if (!upsamplers->is_object())
            fields.complain("upsamplers", "{\"method\": {...}}");
        else
            for (const auto& [method, file] : upsamplers->items())
                readFileReference(fields, method.c_str(), &file, folder,
                                  session.upsamplers[method]);
    }
    if (const ordered_json* const bases = fields.find("locked_bases")) {
        if (!bases->is_object())
            fields.complain("locked_bases", "{\"method\": {...}}");
        else
            for (const auto& [method, basis] : bases->items())
                readBasis(fields, method, basis, session.lockedBases[method]);
    }
    fields.read("input_size", session.inputSize);
    if (session.inputSize < 1 || session.inputSize > 32768)
        fields.complain("input_size", "1 to 32768 pixels");
    fields.read("output_size", session.outputSize);
    if (session.outputSize < 0 || session.outputSize > 32768)
        fields.complain("output_size", "0 to 32768 pixels");
    fields.read("device", session.device);
    fields.read("precision", session.precision);
    if (!precisionNamed(session.precision))
        fields.complain("precision", fmt::format("one of {}", fmt::join(precisionNames(), ", ")));
    for (const ordered_json* const each : fields.elements("panes")) {
        SessionPane pane;
        std::string show;
        if (each->is_string()) {
            show = each->get<std::string>();
        } else {
            JsonFields inner(*each, fmt::format("pane {} of {}", session.panes.size() + 1, where));
            inner.read("show", show);
            readView(inner, "view", pane.own);
            LOFTSCOPE_CHECK(inner.finish());
        }
        auto view = parsePane(show);
        if (!view)
            return fail(ErrorCode::Malformed,
                        fmt::format("In {}: {}", where, view.error().message));
        pane.view = withBasisPath(*std::move(view), absolute);
        session.panes.push_back(std::move(pane));
    }
    const int count = static_cast<int>(session.panes.size());
    const auto readPlace = [&](const char* key, int least, int& place) {
        fields.read(key, place);
        if (count > 0 && (place < least || place > count))
            fields.complain(key, fmt::format("the place of a pane, {} to {}", least, count));
    };
    readPlace("selected", 1, session.selected);
    readPlace("reference", 1, session.reference);
    readPlace("maximised", 0, session.maximised);
    fields.read("columns", session.columns);
    if (session.columns < 0 || session.columns > 24) fields.complain("columns", "0 to 24");
    fields.read("linked", session.linked);
    fields.read("colors_together", session.colorsTogether);
    readView(fields, "view", session.view);
    if (const int compare = fields.readChoice("compare", compares); compare >= 0)
        session.compare = static_cast<Session::Compare>(compare);
    if (const ordered_json* const wipe = fields.find("wipe")) {
        JsonFields inner(*wipe, fmt::format("'wipe' of {}", where));
        session.wipeHorizontal = inner.readChoice("edge", edges) == 1;
        inner.read("position", session.wipePosition);
        if (!(session.wipePosition >= 0 && session.wipePosition <= 1))
            inner.complain("position", "0 to 1");
        LOFTSCOPE_CHECK(inner.finish());
    }
    std::set<int> numbers;
    for (const ordered_json* const each : fields.elements("picks")) {
        SessionPick pick;
        JsonFields inner(*each, fmt::format("pick {} of {}", session.picks.size() + 1, where));
        inner.read("number", pick.number);
        if (pick.number < 1 || !numbers.insert(pick.number).second)
            inner.complain("number", "above 0 and unlike all others");
        const auto at = inner.readNumbers("at", 2);
        if (at.empty() && inner.good()) inner.complain("at", "a pixel [x, y]");
        if (!at.empty()) {
            pick.x = at[0];
            pick.y = at[1];
        }
        inner.readColor("color", pick.color);
        inner.read("pinned", pick.pinned);
        LOFTSCOPE_CHECK(inner.finish());
        session.picks.push_back(pick);
    }
    fields.read("active_pick", session.activePick);
    if (session.activePick != 0 && !numbers.contains(session.activePick))
        fields.complain("active_pick", "the number of a pick, or 0");
    if (const ordered_json* const figure = fields.find("figure")) {
        LOFTSCOPE_TRY(FigurePlan plan,
                      figureFromJson(*figure, {}, fmt::format("the figure of {}", where)));
        session.figure = withBasisPaths(std::move(plan), absolute);
    }
    LOFTSCOPE_CHECK(fields.finish());
    return session;
}

Result<Session> readSession(const fs::path& path) {
    LOFTSCOPE_TRY(const auto bytes, readFile(path));
    return guarded("reading the session", [&] {
        return sessionFromText({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                               absoluteOf(path).parent_path(),
                               fmt::format("the session '{}'", path.filename().string()));
    });
}

Result<std::vector<MissingPart>> missingParts(const Session& session, const RunContext& context) {
    return guarded("looking for the session's files", [&]() -> Result<std::vector<MissingPart>> {
        std::vector<MissingPart> missing;
        const auto look = [&](MissingPart::What what, const std::string& method,
                              const SessionFile& file, const std::string& word,
                              const char* remedy) {
            context.throwIfStopped();
            if (file.path.empty()) return;
            MissingPart part{what, method, file.path, false, {}};
            std::error_code failed;
            if (!fs::exists(file.path, failed)) {
                part.sentence =
                    fmt::format("{} '{}' is not there: {}.", word, file.path.string(), remedy);
                missing.push_back(std::move(part));
                return;
            }
            if (file.sha256.empty() || !fs::is_regular_file(file.path, failed)) return;
            const Result<std::string> sum = sha256OfFile(file.path);
            if (sum && *sum == file.sha256) return;
            part.changed = true;
            part.sentence =
                sum ? fmt::format("{} '{}' has changed since the session was saved: it will not "
                                  "look the same.",
                                  word, file.path.string())
                    : sum.error().message;
            missing.push_back(std::move(part));
        };
        look(MissingPart::What::Photo, {}, session.photo, session.isClip ? "The clip" : "The photo",
             "put it there, or open another");
        look(MissingPart::What::Backbone, {}, session.backbone, "The backbone",
             "put it there, or choose another checkpoint");
        for (const auto& [method, file] : session.upsamplers)
            look(MissingPart::What::Upsampler, method, file,
                 fmt::format("The checkpoint of {}", method),
                 "put it there, or choose another checkpoint");
        std::set<std::string> bases;
        for (const SessionPane& pane : session.panes)
            if (pane.view.basis.starts_with(basisFilePrefix)) bases.insert(pane.view.basis);
        for (const std::string& basis : bases)
            look(MissingPart::What::Basis, {},
                 SessionFile{basis.substr(basisFilePrefix.size()), {}, {}}, "The PCA basis",
                 "put it there, or choose another basis");
        return missing;
    });
}

} // namespace loftscope
