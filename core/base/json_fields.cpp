// SPDX-License-Identifier: Apache-2.0
#include "core/base/json_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace loftscope {

using nlohmann::ordered_json;

namespace {

/// Letters that have to be changed, added or left out to turn one word into the other.
std::size_t distanceOf(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] =
                std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

} // namespace

JsonFields::JsonFields(const ordered_json& value, std::string where)
    : value_(&value)
    , where_(std::move(where)) {
    if (!value.is_object())
        error_ = Error{ErrorCode::Malformed, fmt::format("In {}: expected {{...}}, found {}.",
                                                         where_, value.type_name())};
}

const ordered_json* JsonFields::find(const char* key) {
    known_.emplace_back(key);
    if (!value_->is_object()) return nullptr;
    const auto found = value_->find(key);
    return found == value_->end() ? nullptr : &*found;
}

void JsonFields::complain(Error error) {
    if (!error_) error_ = std::move(error);
}

void JsonFields::complain(const char* key, std::string_view expected) {
    const auto found = value_->find(key);
    std::string shown = found == value_->end()
                            ? "nothing"
                            : found->dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
    complain({ErrorCode::Malformed,
              fmt::format("In {}: '{}' must be {}, not {}.", where_, key, expected, shown)});
}

void JsonFields::read(const char* key, bool& target) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return;
    if (!value->is_boolean()) return complain(key, "true or false");
    target = value->get<bool>();
}

void JsonFields::read(const char* key, std::int64_t& target) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return;
    if (!value->is_number_integer()) return complain(key, "a whole number");
    target = value->get<std::int64_t>();
}

void JsonFields::read(const char* key, int& target) {
    std::int64_t wide = target;
    read(key, wide);
    if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max())
        return complain(key, "a smaller number");
    target = static_cast<int>(wide);
}

void JsonFields::read(const char* key, double& target) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return;
    if (!value->is_number()) return complain(key, "a number");
    target = value->get<double>();
}

void JsonFields::read(const char* key, std::string& target) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return;
    if (!value->is_string()) return complain(key, "text in quotes");
    target = value->get<std::string>();
}

void JsonFields::read(const char* key, std::vector<std::string>& target) {
    std::vector<std::string> texts;
    for (const ordered_json* const each : elements(key)) {
        if (!each->is_string()) return complain(key, "a list of texts");
        texts.push_back(each->get<std::string>());
    }
    if (value_->is_object() && value_->contains(key)) target = std::move(texts);
}

int JsonFields::readChoice(const char* key, const std::vector<std::string_view>& names) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return -1;
    const std::string text = value->is_string() ? value->get<std::string>() : std::string();
    const auto found = std::ranges::find(names, text);
    if (found == names.end()) {
        complain(key, fmt::format("one of {}", fmt::join(names, ", ")));
        return -1;
    }
    return static_cast<int>(found - names.begin());
}

std::vector<std::int64_t> JsonFields::readIntegers(const char* key, std::size_t count) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return {};
    if (value->is_array() && value->size() == count &&
        std::ranges::all_of(*value, [](const auto& each) { return each.is_number_integer(); }))
        return value->get<std::vector<std::int64_t>>();
    complain(key, fmt::format("a list of {} whole numbers", count));
    return {};
}

std::vector<double> JsonFields::readNumbers(const char* key, std::size_t count) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return {};
    if (value->is_array() && value->size() == count &&
        std::ranges::all_of(*value, [](const auto& each) { return each.is_number(); }))
        return value->get<std::vector<double>>();
    complain(key, fmt::format("a list of {} numbers", count));
    return {};
}

void JsonFields::readColor(const char* key, std::array<std::uint8_t, 3>& target) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return;
    const std::string text = value->is_string() ? value->get<std::string>() : std::string();
    unsigned color = 0;
    const char* const end = text.data() + text.size();
    if (text.size() == 7 && text[0] == '#') {
        const auto parsed = std::from_chars(text.data() + 1, end, color, 16);
        if (parsed.ec == std::errc() && parsed.ptr == end) {
            target = {static_cast<std::uint8_t>(color >> 16U),
                      static_cast<std::uint8_t>(color >> 8U & 255U),
                      static_cast<std::uint8_t>(color & 255U)};
            return;
        }
    }
    complain(key, "a colour as \"#rrggbb\"");
}

std::vector<const ordered_json*> JsonFields::elements(const char* key) {
    const ordered_json* const value = find(key);
    if (value == nullptr) return {};
    if (!value->is_array()) {
        complain(key, "a list [...]");
        return {};
    }
    std::vector<const ordered_json*> found;
    for (const ordered_json& each : *value)
        found.push_back(&each);
    return found;
}

Result<void> JsonFields::finish() {
    if (error_) return std::unexpected(*error_);
    for (const auto& [key, value] : value_->items()) {
        if (std::ranges::find(known_, key) != known_.end()) continue;
        const auto nearest = std::ranges::min_element(
            known_, {}, [&](const std::string& known) { return distanceOf(key, known); });
        const bool alike = nearest != known_.end() &&
                           distanceOf(key, *nearest) <= std::max<std::size_t>(2, key.size() / 3);
        return fail(ErrorCode::Malformed,
                    fmt::format("In {}: there is no '{}'{}.", where_, key,
                                alike ? fmt::format(", did you mean '{}'?", *nearest)
                                      : fmt::format(": known are {}", fmt::join(known_, ", "))));
    }
    return {};
}

std::string colorText(const std::array<std::uint8_t, 3>& color) {
    return fmt::format("#{:02x}{:02x}{:02x}", color[0], color[1], color[2]);
}

Result<ordered_json> parseVersioned(std::string_view text, const char* format, int newest,
                                    const std::string& where) {
    ordered_json json;
    try {
        json = ordered_json::parse(text);
    } catch (const ordered_json::parse_error& error) {
        return fail(ErrorCode::Malformed,
                    fmt::format("In {}: no valid JSON at character {}.", where, error.byte));
    }
    if (!json.is_object() || !json.contains(format) || !json[format].is_number_integer())
        return fail(
            ErrorCode::Malformed,
            fmt::format("In {}: the field \"{}\": {} is missing, which says what the file is.",
                        where, format, newest));
    const auto version = json[format].get<std::int64_t>();
    if (version < 1 || version > newest)
        return fail(ErrorCode::Unsupported,
                    fmt::format("In {}: version {} of the format is not known here (1 to {} are): "
                                "use a newer LoftScope.",
                                where, version, newest));
    return json;
}

} // namespace loftscope
