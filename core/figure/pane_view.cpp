// SPDX-License-Identifier: Apache-2.0
#include "core/figure/pane_view.h"

#include "core/base/number.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace loftscope {

namespace {

using Kind = PaneView::Kind;

/// Kinds that are named as such; features are named by their method.
constexpr std::array<std::pair<Kind, std::string_view>, 7> kindNames{
    {{Kind::Image, "image"},
     {Kind::Attention, "attention"},
     {Kind::SelfAttention, "self-attention"},
     {Kind::Similarity, "similarity"},
     {Kind::Text, "text"},
     {Kind::Norm, "norm"},
     {Kind::Difference, "difference"}}};

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
    std::vector<std::string_view> pieces;
    for (;;) {
        const std::size_t at = text.find(separator);
        pieces.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return pieces;
        text.remove_prefix(at + separator.size());
    }
}

/// Characters that separate panes and their options, by their codes: "%2C".
std::string escaped(std::string_view text) {
    std::string result;
    for (const char letter : text) {
        if (std::string_view("%,;@").find(letter) == std::string_view::npos)
            result += letter;
        else
            result += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
    }
    return result;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            result += text[i];
            continue;
        }
        unsigned code = 0;
        const std::string_view digits = text.substr(i + 1, 2);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2)
            return std::nullopt;
        result += static_cast<char>(code);
        i += 2;
    }
    return result;
}

template <typename Number>
bool parseNumber(std::string_view text, Number& number) {
    const std::optional<Number> parsed = parsedNumber<Number>(text);
    number = parsed.value_or(Number{});
    return parsed.has_value();
}

template <typename Number>
bool parseList(std::string_view text, std::vector<Number>& numbers) {
    for (const std::string_view piece : split(text, "+"))
        if (!parseNumber(piece, numbers.emplace_back())) return false;
    return true;
}

bool parseSpan(std::string_view text, PaneView::Span& span) {
    const std::size_t dots = text.find("..");
    return dots != std::string_view::npos && parseNumber(text.substr(0, dots), span.low) &&
           parseNumber(text.substr(dots + 2), span.high) && span.low <= span.high;
}

bool parseToken(std::string_view text, int& number, std::string_view word, int meaning) {
    if (text == word) {
        number = meaning;
        return true;
    }
    return parseNumber(text, number) && number >= 0;
}

bool parseMask(std::string_view text, PaneView& pane) {
    // "0:above:0.5"
    const auto pieces = split(text, ":");
    PaneView::Mask mask;
    if (pieces.size() != 3 || !parseNumber(pieces[0], mask.component) || mask.component < 0 ||
        !parseNumber(pieces[2], mask.threshold) || (pieces[1] != "above" && pieces[1] != "below"))
        return false;
    mask.keepAbove = pieces[1] == "above";
    pane.mask = mask;
    return true;
}

bool isNatural(const std::vector<int>& numbers) {
    return std::ranges::all_of(numbers, [](int number) { return number >= 0 && number < 32; });
}

/// Takes one option; false if it is unknown or its value makes no sense.
bool takeOption(PaneView& pane, std::string_view key, std::string_view value) {
    const bool hasValue = !value.empty();
    if (key == "components") {
        std::vector<int> numbers;
        if (!parseList(value, numbers) || numbers.size() != 3 || !isNatural(numbers)) return false;
        std::ranges::copy(numbers, pane.components.begin());
        return true;
    }
    if (key == "component") {
        // Scores have a sign and a zero.
        pane.map = ColorMap::BlueRed;
        return parseNumber(value, pane.component.emplace()) && isNatural({*pane.component});
    }
    if (key == "flip") {
        pane.flipped.clear();
        if (!parseList(value, pane.flipped) || !isNatural(pane.flipped)) return false;
        std::ranges::sort(pane.flipped);
        return true;
    }
    if (key == "mask") return parseMask(value, pane);
    if (key == "basis") {
        pane.basis = value;
        return value == "own" || value == "lowres" || value == "shared" || value == "locked" ||
               (value.starts_with(basisFilePrefix) && value.size() > basisFilePrefix.size());
    }
    if (key == "percentiles") {
        std::vector<double> percents;
        if (!parseList(value, percents) || percents.size() != 2) return false;
        pane.lowPercent = percents[0];
        pane.highPercent = percents[1];
        return pane.lowPercent >= 0 && pane.lowPercent < pane.highPercent &&
               pane.highPercent <= 100;
    }
    if (key == "range") {
        pane.ranges.clear();
        for (const std::string_view piece : split(value, "+"))
            if (!parseSpan(piece, pane.ranges.emplace_back())) return false;
        return true;
    }
    if (key == "map") {
        const auto map = colorMapNamed(value);
        if (map) pane.map = *map;
        return map.has_value();
    }
    if (key == "opacity")
        return parseNumber(value, pane.opacity) && pane.opacity >= 0 && pane.opacity <= 1;
    if (key == "block") {
        if (value == "mean") {
            pane.block = PaneView::mean;
            return true;
        }
        return parseToken(value, pane.block, "last", PaneView::last);
    }
    if (key == "query") {
        auto text = unescaped(value);
        if (text) pane.text = *std::move(text);
        return pane.kind == Kind::Text && text && hasValue;
    }
    if (key == "head") return parseToken(value, pane.head, "mean", PaneView::mean);
    if (key == "minuend") return parseNumber(value, pane.minuend) && pane.minuend > 0;
    if (key == "subtrahend") return parseNumber(value, pane.subtrahend) && pane.subtrahend > 0;
    if (hasValue) return false;
    if (key == "whiten") return pane.whiten = true;
    if (key == "sigmoid") return pane.sigmoid = true;
    if (key == "reversed") return pane.reversed = true;
    if (key == "by-value") return pane.opacityByValue = true;
    if (key == "smooth") return pane.smooth = true;
    return false;
}

bool parsePlace(std::string_view text, PaneView& pane) {
    if (text.starts_with('#')) return parseNumber(text.substr(1), pane.pick) && pane.pick > 0;
    const auto pieces = split(text, ",");
    Pixel pixel;
    if (pieces.size() != 2 || !parseNumber(pieces[0], pixel.x) || !parseNumber(pieces[1], pixel.y))
        return false;
    pane.pixel = pixel;
    return true;
}

template <typename Numbers>
std::string listed(const Numbers& numbers) {
    return fmt::format("{}", fmt::join(numbers, "+"));
}

} // namespace

PaneView paneOf(PaneView::Kind kind, std::string method) {
    PaneView pane;
    pane.kind = kind;
    pane.method = std::move(method);
    // Every value counts in a map of one number per pixel; scores and norms have outliers.
    if (kind != Kind::Features && kind != Kind::Norm && kind != Kind::Image) {
        pane.lowPercent = 0;
        pane.highPercent = 100;
    }
    if (kind == Kind::Similarity || kind == Kind::Text) pane.map = ColorMap::Magma;
    if (kind == Kind::Difference) pane.map = ColorMap::BlueRed;
    return pane;
}

bool asksAboutPixel(const PaneView& pane) {
    return pane.kind == Kind::Attention || pane.kind == Kind::Similarity ||
           (pane.kind == Kind::SelfAttention && !pane.ofClassToken);
}

std::string textOf(const PaneView& pane) {
    std::string text = pane.method;
    if (pane.kind != Kind::Features) {
        text = std::ranges::find(kindNames, pane.kind, &std::pair<Kind, std::string_view>::first)
                   ->second;
        if (pane.ofClassToken) text += ":cls";
        if (!pane.method.empty()) text += ":" + pane.method;
        if (!pane.other.empty()) text += ":" + pane.other;
    }
    if (asksAboutPixel(pane) && pane.pixel)
        text += fmt::format("@{},{}", pane.pixel->x, pane.pixel->y);
    else if (asksAboutPixel(pane) && pane.pick > 0)
        text += fmt::format("@#{}", pane.pick);

    PaneView usual = paneOf(pane.kind, pane.method);
    if (pane.kind == Kind::Difference && pane.minuend == 0) usual.map = ColorMap::Magma;
    if (!pane.text.empty()) text += ";query=" + escaped(pane.text);
    if (pane.minuend > 0)
        text += fmt::format(";minuend={};subtrahend={}", pane.minuend, pane.subtrahend);
    if (pane.block != usual.block)
        text += pane.block == PaneView::mean ? std::string(";block=mean")
                                             : fmt::format(";block={}", pane.block);
    if (pane.head != usual.head) text += fmt::format(";head={}", pane.head);
    if (pane.components != usual.components) text += ";components=" + listed(pane.components);
    if (pane.component) {
        text += fmt::format(";component={}", *pane.component);
        usual.map = ColorMap::BlueRed;
    }
    if (!pane.flipped.empty()) text += ";flip=" + listed(pane.flipped);
    if (pane.whiten) text += ";whiten";
    if (pane.sigmoid) text += ";sigmoid";
    if (pane.mask)
        text += fmt::format(";mask={}:{}:{}", pane.mask->component,
                            pane.mask->keepAbove ? "above" : "below", pane.mask->threshold);
    if (pane.basis != usual.basis) text += ";basis=" + pane.basis;
    if (pane.lowPercent != usual.lowPercent || pane.highPercent != usual.highPercent)
        text += fmt::format(";percentiles={}+{}", pane.lowPercent, pane.highPercent);
    if (!pane.ranges.empty()) {
        text += ";range=";
        for (std::size_t i = 0; i < pane.ranges.size(); ++i)
            text +=
                fmt::format("{}{}..{}", i == 0 ? "" : "+", pane.ranges[i].low, pane.ranges[i].high);
    }
    if (pane.map != usual.map) text += fmt::format(";map={}", nameOf(pane.map));
    if (pane.reversed) text += ";reversed";
    if (pane.opacity != usual.opacity) text += fmt::format(";opacity={}", pane.opacity);
    if (pane.opacityByValue) text += ";by-value";
    if (pane.smooth) text += ";smooth";
    return text;
}

Result<PaneView> parsePane(std::string_view text) {
    const auto invalid = [&](const std::string& what) {
        return fail(ErrorCode::InvalidArgument, fmt::format("The pane '{}' {}.", text, what));
    };
    const auto parts = split(text, ";");
    const std::size_t at = parts[0].find('@');
    const auto names = split(parts[0].substr(0, at), ":");
    const auto known =
        std::ranges::find(kindNames, names[0], &std::pair<Kind, std::string_view>::second);
    PaneView pane = paneOf(known == kindNames.end() ? Kind::Features : known->first);
    const bool features = pane.kind == Kind::Features;
    if (names[0].empty())
        return invalid("has no name: write image, lowres, a method or attention@x,y");
    if (features) pane.method = names[0];
    const std::size_t most = features || pane.kind == Kind::Image ? 1
                             : pane.kind == Kind::Difference      ? 3
                                                                  : 2;
    if (names.size() > most)
        return invalid(fmt::format("says too much after '{}'", names[most - 1]));
    if (names.size() > 1 && !features) {
        if (pane.kind == Kind::SelfAttention) {
            if (names[1] != "cls")
                return invalid("may only say self-attention:cls or self-attention@x,y");
            pane.ofClassToken = true;
        } else {
            pane.method = names[1];
        }
    }
    if (names.size() > 2) pane.other = names[2];
    if (pane.kind == Kind::Difference && !pane.other.empty()) pane.map = ColorMap::Magma;
    if (at != std::string_view::npos) {
        if (!asksAboutPixel(pane)) return invalid("takes no pixel");
        if (!parsePlace(parts[0].substr(at + 1), pane))
            return invalid(
                fmt::format("has no pixel in '{}': write @x,y, or @#1 for the first pick",
                            parts[0].substr(at)));
    }
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const std::size_t equals = parts[i].find('=');
        const std::string_view value =
            equals == std::string_view::npos ? "" : parts[i].substr(equals + 1);
        if (!takeOption(pane, parts[i].substr(0, equals), value))
            return invalid(fmt::format("has no option '{}': docs/figures.md lists them", parts[i]));
    }
    if (pane.kind == Kind::Difference) {
        const bool ofMethods = !pane.method.empty() && !pane.other.empty();
        const bool ofPanes = pane.minuend > 0 && pane.subtrahend > 0;
        if (ofMethods == ofPanes)
            return invalid("needs two methods, difference:bilinear:loftup, or two panes, "
                           "difference;minuend=3;subtrahend=4");
    }
    const std::size_t spans = features && !pane.component ? 3 : 1;
    if (!pane.ranges.empty() && pane.ranges.size() != spans)
        return invalid(fmt::format("needs {} in its range, as low..high{}", spans,
                                   spans == 3 ? " with + between them" : ""));
    return pane;
}

Result<std::vector<PaneView>> parsePanes(std::string_view list) {
    std::vector<std::string> texts;
    for (const std::string_view piece : split(list, ",")) {
        const std::string_view number = piece.substr(0, piece.find(';'));
        // "attention@10,20": what begins with a number belongs to the piece before.
        if (!texts.empty() && !number.empty() && texts.back().find('@') != std::string::npos &&
            number.find_first_not_of("-0123456789") == std::string_view::npos) {
            texts.back() += fmt::format(",{}", piece);
        } else {
            texts.emplace_back(piece);
        }
    }
    std::vector<PaneView> panes;
    for (const std::string& text : texts) {
        LOFTSCOPE_TRY(const PaneView pane, parsePane(text));
        panes.push_back(pane);
    }
    return panes;
}

} // namespace loftscope
