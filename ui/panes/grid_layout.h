// SPDX-License-Identifier: Apache-2.0
// Where the panes of a grid lie.
#pragma once

#include "ui/render/view_transform.h"

#include <vector>

namespace loftscope {

struct GridSpacing {
    double gap = 2;     ///< between panes, widget pixels
    double header = 24; ///< above each picture, widget pixels
};

struct PaneCell {
    Box header;
    Box picture;
};

/// Number of columns that makes pictures of `aspect` (width / height) largest; fewer empty cells
/// win where that is equal.
int bestColumns(int count, const Box& area, double aspect, const GridSpacing& spacing = {});

/// `count` cells of equal size (linked panes then show the same part of the photo), row by row, on
/// whole widget pixels. `columns` 0: the best.
std::vector<PaneCell> layoutGrid(int count, const Box& area, double aspect, int columns = 0,
                                 const GridSpacing& spacing = {});

} // namespace loftscope
