// SPDX-License-Identifier: Apache-2.0
#include "core/train/training_page.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <vector>

namespace loftscope {

namespace {

struct Point {
    double step;
    double value;
};

/// At most `limit` points, each the mean of neighbours.
std::vector<Point> thinned(const std::vector<Point>& points, std::size_t limit) {
    const std::size_t group = (points.size() + limit - 1) / limit;
    std::vector<Point> means;
    for (std::size_t i = 0; i < points.size(); i += group) {
        const std::size_t count = std::min(group, points.size() - i);
        Point mean{0, 0};
        for (std::size_t k = i; k < i + count; ++k) {
            mean.step += points[k].step / static_cast<double>(count);
            mean.value += points[k].value / static_cast<double>(count);
        }
        means.push_back(mean);
    }
    return means;
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '&':
            out += "&amp;";
            break;
        default:
            out += c;
        }
    }
    return out;
}

std::string chart(const std::string& name, const std::vector<Point>& all) {
    constexpr double width = 640;
    constexpr double height = 200;
    const std::vector<Point> points = thinned(all, 400);
    const auto byValue = [](const Point& a, const Point& b) { return a.value < b.value; };
    const auto [least, most] = std::minmax_element(points.begin(), points.end(), byValue);
    // Losses fall by factors: a logarithmic axis shows that, where it can.
    const bool logarithmic = least->value > 0 && most->value > 3 * least->value;
    const auto scaled = [&](double value) { return logarithmic ? std::log(value) : value; };
    const double low = scaled(least->value);
    const double range = std::max(scaled(most->value) - low, 1e-12);
    const double first = points.front().step;
    const double span = std::max(points.back().step - first, 1e-12);
    std::string line;
    for (const Point& point : points) {
        line += fmt::format("{:.1f},{:.1f} ", (point.step - first) / span * width,
                            height - (scaled(point.value) - low) / range * height);
    }
    return fmt::format(
        "<figure><figcaption>{}{}: last {:.5g}</figcaption><svg viewBox=\"-70 -12 730 240\">"
        "<rect width=\"{}\" height=\"{}\" class=\"frame\"/><polyline points=\"{}\"/>"
        "<text x=\"-6\" y=\"6\" text-anchor=\"end\">{:.4g}</text><text x=\"-6\" y=\"{}\" "
        "text-anchor=\"end\">{:.4g}</text>"
        "<text x=\"0\" y=\"{}\">step {:.0f}</text><text x=\"{}\" y=\"{}\" "
        "text-anchor=\"end\">{:.0f}</text></svg></figure>\n",
        escaped(name), logarithmic ? " (logarithmic)" : "", points.back().value, width, height,
        line, most->value, height, least->value, height + 18, first, width, height + 18,
        points.back().step);
}

} // namespace

std::string trainingPage(const std::string& log, const std::string& recipe) {
    std::map<std::string, std::vector<Point>> series;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        const auto entry = nlohmann::json::parse(line, nullptr, false);
        if (!entry.is_object() || !entry.contains("step") || !entry["step"].is_number()) continue;
        for (const auto& [name, value] : entry.items()) {
            if (name != "step" && name != "seconds" && value.is_number())
                series[name].push_back({entry["step"].get<double>(), value.get<double>()});
        }
    }
    std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                       "charset=\"utf-8\"><title>Training run</title>\n<style>"
                       "body{font:14px "
                       "sans-serif;margin:2em;max-width:1460px}main{display:flex;flex-wrap:wrap}"
                       "figure{margin:0 1em 1em 0;width:700px}"
                       "svg{width:100%}polyline{fill:none;stroke:#1f5fa8;stroke-width:1.5}.frame{"
                       "fill:none;stroke:#bbb}text{font-size:12px;fill:#555}"
                       "p{overflow-wrap:anywhere;color:#555}</style></head><body>\n";
    page += fmt::format("<h1>Training run</h1><p>{}</p><main>\n", escaped(recipe));
    for (const auto& [name, points] : series)
        page += chart(name, points);
    return page + "</main></body></html>\n";
}

} // namespace loftscope
