// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/html_report.h"

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/guard.h"
#include "core/image/encode.h"

#include <fmt/format.h>

#include <span>
#include <string_view>

namespace loftscope {

namespace {

std::string escaped(std::string_view text) {
    std::string html;
    for (const char letter : text) {
        switch (letter) {
        case '&':
            html += "&amp;";
            break;
        case '<':
            html += "&lt;";
            break;
        case '>':
            html += "&gt;";
            break;
        case '"':
            html += "&quot;";
            break;
        default:
            html.push_back(letter);
        }
    }
    return html;
}

constexpr std::string_view style = R"(
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 1500px; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-top: 1px solid #c9cdd3; padding-top: 1rem; }
.panes { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 18px; }
figure { margin: 0; } figcaption b { display: block; } figcaption span, .small { color: #5b6470; font-size: 13px; }
.view { position: relative; overflow: hidden; border: 1px solid #c9cdd3; background: #f3f4f6; cursor: grab;
        touch-action: none; margin-top: 4px; }
.layer { position: absolute; inset: 0; transform-origin: 0 0; }
.layer img { width: 100%; height: 100%; display: block; user-select: none; -webkit-user-drag: none; }
.crisp { image-rendering: pixelated; }
.pick { position: absolute; width: 0; height: 0; pointer-events: none; }
.pick i { position: absolute; left: -7px; top: -7px; width: 10px; height: 10px; border: 2px solid; border-radius: 50%;
          box-shadow: 0 0 0 2px #111, inset 0 0 0 1px #fff; }
.pick em { position: absolute; left: 11px; top: -10px; font: bold 13px/20px sans-serif; color: #fff;
           text-shadow: 0 0 3px #000, 0 0 3px #000, 0 0 3px #000; }
.bar { height: 8px; border: 1px solid #c9cdd3; margin-top: 8px; }
.ends { display: flex; justify-content: space-between; font-size: 12px; }
table { border-collapse: collapse; margin: .8rem 0; font-size: 14px; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { text-align: left; padding: 2px 14px 2px 0; border-bottom: 1px solid #e3e6ea; vertical-align: top; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #17191c; } .view { background: #222529; }
  figcaption span, .small { color: #9aa3ad; } th, td { border-color: #33373d; } }
@media print { .view { cursor: auto; } }
)";

constexpr std::string_view script = R"(
"use strict";
for (const group of document.querySelectorAll(".panes")) {
  let zoom = 1, x = 0, y = 0; // x, y: fractions of a pane that are scrolled out at the left and top
  const views = [...group.querySelectorAll(".view")];
  const show = () => {
    x = Math.min(Math.max(x, 0), zoom - 1);
    y = Math.min(Math.max(y, 0), zoom - 1);
    for (const view of views) {
      const layer = view.querySelector(".layer");
      layer.style.transform = `translate(${-x * view.clientWidth}px, ${-y * view.clientHeight}px) scale(${zoom})`;
      for (const pick of layer.querySelectorAll(".pick")) pick.style.transform = `scale(${1 / zoom})`;
    }
  };
  const zoomAt = (factor, u, v) => {
    const next = Math.min(Math.max(zoom * factor, 1), 64);
    x = (x + u) / zoom * next - u;
    y = (y + v) / zoom * next - v;
    zoom = next;
    show();
  };
  for (const view of views) {
    const place = event => {
      const box = view.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    view.addEventListener("wheel", event => {
      event.preventDefault();
      zoomAt(Math.exp(-event.deltaY / 400), ...place(event));
    }, { passive: false });
    let held = null;
    view.addEventListener("pointerdown", event => { held = place(event); view.setPointerCapture(event.pointerId); });
    view.addEventListener("pointermove", event => {
      if (!held) return;
      const now = place(event);
      x -= now[0] - held[0];
      y -= now[1] - held[1];
      held = now;
      show();
    });
    for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => { held = null; });
    view.addEventListener("dblclick", event => zoom > 1 ? (zoom = 1, show()) : zoomAt(4, ...place(event)));
  }
  addEventListener("resize", show);
}
)";

Result<std::string> paneHtml(const FigurePane& pane) {
    LOFTSCOPE_TRY(const std::vector<std::uint8_t> png, encodePng(pane.picture));
    std::string html =
        fmt::format("<figure><figcaption><b>{}</b><span>{}</span></figcaption>\n"
                    "<div class=\"view\" style=\"aspect-ratio: {} / {}\"><div class=\"layer\">"
                    "<img alt=\"{}\"{} src=\"data:image/png;base64,{}\">",
                    escaped(pane.title), escaped(pane.subtitle), pane.picture.width(),
                    pane.picture.height(), escaped(pane.title),
                    pane.smooth ? "" : " class=\"crisp\"", base64(std::as_bytes(std::span(png))));
    for (const Marker& marker : pane.markers)
        html += fmt::format("<div class=\"pick\" style=\"left: {:.4f}%; top: {:.4f}%\"><i "
                            "style=\"border-color: rgb({}, {}, {})\"></i><em>{}</em></div>",
                            marker.x * 100, marker.y * 100, marker.color[0], marker.color[1],
                            marker.color[2], escaped(marker.label));
    html += "</div></div>\n";
    if (pane.bar) {
        const ColorBar& bar = *pane.bar;
        std::string stops;
        constexpr int count = 24;
        for (int i = 0; i <= count; ++i) {
            const float t = static_cast<float>(i) / count;
            const auto color = colorAt(bar.map, bar.reversed ? 1 - t : t);
            stops += fmt::format(", rgb({}, {}, {})", color[0], color[1], color[2]);
        }
        html += fmt::format("<div class=\"bar\" style=\"background: linear-gradient(to right{})\">"
                            "</div><div class=\"ends\"><span>{:.4g}</span><span>{}</span>"
                            "<span>{:.4g}</span></div>\n",
                            stops, bar.low, escaped(bar.unit), bar.high);
    }
    return html + "</figure>\n";
}

std::string tableHtml(const ReportTable& table) {
    std::string html = fmt::format("<table><caption>{}</caption>\n<tr>", escaped(table.title));
    for (const std::string& column : table.columns)
        html += fmt::format("<th>{}</th>", escaped(column));
    html += "</tr>\n";
    for (const auto& row : table.rows) {
        html += "<tr>";
        for (const std::string& cell : row)
            html += fmt::format("<td>{}</td>", escaped(cell));
        html += "</tr>\n";
    }
    return html + "</table>\n";
}

} // namespace

Result<void> writeReport(const std::filesystem::path& path, const Report& report) {
    return guarded("writing the report", [&]() -> Result<void> {
        std::string html = fmt::format(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
            "<title>{0}</title><style>{1}</style></head><body>\n<h1>{0}</h1>\n"
            "<p class=\"small\">Panes of a photo zoom together: wheel or double click to enlarge, "
            "drag to move, double click again for the whole.</p>\n",
            escaped(report.title), style);
        for (const ReportPhoto& photo : report.photos) {
            html +=
                fmt::format("<section><h2>{}</h2>\n<div class=\"panes\">\n", escaped(photo.name));
            for (const FigurePane& pane : photo.figure.panes) {
                LOFTSCOPE_TRY(const std::string each, paneHtml(pane));
                html += each;
            }
            html += "</div>\n";
            for (const ReportTable& table : photo.tables)
                html += tableHtml(table);
            for (const std::string& note : photo.figure.notes)
                html += fmt::format("<p class=\"small\">{}</p>\n", escaped(note));
            html += "</section>\n";
        }
        ReportTable made{"How it was made", {"", ""}, {}};
        for (const auto& [name, value] : report.made)
            made.rows.push_back({name, value});
        html += "<h2>Provenance</h2>\n" + tableHtml(made);
        html += fmt::format("<script>{}</script>\n</body></html>\n", script);
        return writeFile(path, std::as_bytes(std::span(html.data(), html.size())));
    });
}

} // namespace loftscope
