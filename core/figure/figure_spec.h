// SPDX-License-Identifier: Apache-2.0
// A figure as data: a grid of labelled panes. One painter (ui/figure) draws it to every format.
#pragma once

#include "core/base/geometry.h"
#include "core/image/color_map.h"
#include "core/image/image.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace loftscope {

/// Explains a scalar map's colours.
struct ColorBar {
    ColorMap map = ColorMap::Viridis;
    double low = 0;
    double high = 1;
    std::string unit; ///< e.g. "cosine similarity", "share of attention"
};

/// A picked pixel, drawn the same in every pane.
struct Marker {
    double x = 0; ///< position as a fraction of the pane's picture, 0..1
    double y = 0;
    std::string label; ///< e.g. "1"; may be empty
    std::array<std::uint8_t, 3> color{255, 255, 255};
};

struct FigurePane {
    Image picture;
    std::string title;    ///< e.g. "LoftUp"
    std::string subtitle; ///< sizes, basis, precision: "224 x 336, own PCA basis"
    bool smooth = false;  ///< smooth resampling for display (photos); nearest for maps of features
    std::optional<ColorBar> bar;
    std::vector<Marker> markers;
};

struct FigureSpec {
    std::vector<FigurePane> panes; ///< row by row
    int columns = 0;               ///< 0: chosen so that the figure is about as wide as a page
    int paneWidth = 420;           ///< pixels at 1x
    double scale = 2.0;            ///< pixels of the file per pixel at 1x
    std::string title;             ///< above everything; may be empty
    std::vector<std::string>
        notes; ///< small print below: models, sizes, what was cropped, what colours mean
};

} // namespace loftscope
