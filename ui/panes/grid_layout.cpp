// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/grid_layout.h"

#include <glm/common.hpp>

#include <algorithm>

namespace loftscope {
namespace {

int rowsOf(int count, int columns) {
    return (count + columns - 1) / columns;
}

glm::dvec2 cellSize(int count, int columns, const Box& area, const GridSpacing& spacing) {
    const glm::dvec2 cells(columns, rowsOf(count, columns));
    const glm::dvec2 size = (area.size - spacing.gap * (cells - 1.0)) / cells;
    return glm::max(glm::floor(size), glm::dvec2(1, spacing.header + 1));
}

} // namespace

int bestColumns(int count, const Box& area, double aspect, const GridSpacing& spacing) {
    int best = 1;
    double bestWidth = 0;
    int bestEmpty = 0;
    for (int columns = 1; columns <= count; ++columns) {
        const glm::dvec2 cell = cellSize(count, columns, area, spacing);
        const double width = std::min(cell.x, (cell.y - spacing.header) * aspect);
        const int empty = columns * rowsOf(count, columns) - count;
        const bool larger = width > bestWidth * 1.001;
        const bool fuller = width > bestWidth * 0.999 && empty < bestEmpty;
        if (columns == 1 || larger || fuller) {
            best = columns;
            bestWidth = width;
            bestEmpty = empty;
        }
    }
    return best;
}

std::vector<PaneCell> layoutGrid(int count, const Box& area, double aspect, int columns,
                                 const GridSpacing& spacing) {
    std::vector<PaneCell> cells;
    if (count <= 0) return cells;
    if (columns <= 0) columns = bestColumns(count, area, aspect, spacing);
    columns = std::min(columns, count);
    const glm::dvec2 size = cellSize(count, columns, area, spacing);
    for (int i = 0; i < count; ++i) {
        const glm::dvec2 place(i % columns, i / columns);
        const glm::dvec2 origin = area.origin + place * (size + spacing.gap);
        cells.push_back(
            {{origin, {size.x, spacing.header}},
             {origin + glm::dvec2(0, spacing.header), {size.x, size.y - spacing.header}}});
    }
    return cells;
}

} // namespace loftscope
