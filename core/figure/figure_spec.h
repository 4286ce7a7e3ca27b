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

/// Explains a scalar map's colours. With low == high it says "constant" and has the one colour of
/// t = 0.5, in which such a map should be drawn.
struct ColorBar {
    ColorMap map = ColorMap::Viridis;
    double low = 0; ///< value of the map's first colour; finite, <= high
    double high = 1;
    std::string unit;      ///< e.g. "cosine similarity", "share of attention"
    bool reversed = false; ///< the map's last colour belongs to `low`
};

/// A picked pixel, drawn the same in every pane.
struct Marker {
    double x = 0; ///< position as a fraction of the pane's picture, 0..1
    double y = 0;
    std::string label; ///< e.g. "1"; may be empty
    std::array<std::uint8_t, 3> color{255, 255, 255};
};

enum class Corner { TopLeft, TopRight, BottomLeft, BottomRight };

/// A part of a pane's picture, enlarged in one of its corners; both are framed in the inset's
/// colour and joined by lines.
struct Inset {
    double x = 0; ///< the part, as fractions of the pane's picture, 0..1
    double y = 0;
    double width = 0;
    double height = 0;
    Corner corner = Corner::BottomRight;
    double share = 0.42; ///< of the picture's width (or height, if that is less) that it takes
    std::array<std::uint8_t, 3> color{255, 196, 0};
};

/// The corner that is farthest from the part, among those that no other inset of `taken` has.
Corner cornerFor(const Inset& inset, const std::vector<Inset>& taken);

struct FigurePane {
    Image picture;
    std::string title;    ///< e.g. "LoftUp"
    std::string subtitle; ///< sizes, basis, precision: "224 x 336, own PCA basis"
    /// How the picture is resampled to the size of its pane. True for photos: smooth. False for
    /// maps: enlarged cells stay crisp and keep their exact colours; a map that is larger than its
    /// pane is averaged.
    bool smooth = false;
    std::optional<ColorBar> bar;
    std::vector<Marker> markers;
    std::vector<Inset> insets;
};

/// How large a figure is printed and how its text is set.
struct FigureLook {
    /// Of the whole figure, with text of `fontPoints` and hardly any margin, for a paper: e.g.
    /// `columnWidthMm`. 0: the width follows from FigureSpec::paneWidth.
    double widthMm = 0;
    double fontPoints = 7;    ///< of the panes' titles; the other text in proportion
    double dotsPerInch = 300; ///< of pictures, where widthMm is given
    bool textAsPaths = false; ///< in PDF and SVG: outlines instead of letters
    friend bool operator==(const FigureLook&, const FigureLook&) = default;
};

/// Usual widths of one and two columns of a conference's page.
inline constexpr double columnWidthMm = 82.5;
inline constexpr double pageWidthMm = 174.6;

struct FigureSpec {
    std::vector<FigurePane> panes;         ///< row by row
    int columns = 0;                       ///< 0: chosen from the number of panes and their shape
    std::vector<std::string> columnLabels; ///< above the first row, as many as columns, or none
    std::vector<std::string> rowLabels;    ///< left of the rows, read upwards, as many, or none
    FigureLook look;
    /// Pixels at 1x, where a pane's title is 13 pixels high: four panes of 300 in a row and fonts
    /// are legible when printed as wide as a page.
    int paneWidth = 300;
    double scale = 3.0; ///< pixels of the file per pixel at 1x, where look.widthMm is 0
    std::string title;  ///< above everything; may be empty
    std::vector<std::string>
        notes; ///< small print below: models, sizes, what was cropped, what colours mean
};

} // namespace loftscope
