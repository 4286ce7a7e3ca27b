// SPDX-License-Identifier: Apache-2.0
// A figure before anything is computed: which panes of which photo, what is marked, cut out and
// enlarged, how large it is printed. `compareMethods` (core/pipeline) makes the FigureSpec with its
// pixels from it.
#pragma once

#include "core/base/geometry.h"
#include "core/figure/figure_spec.h"
#include "core/figure/pane_view.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

/// Colours of picks 1, 2, ... and insets that tell which nobody chose.
std::array<std::uint8_t, 3> colorOfPick(std::size_t index);
std::array<std::uint8_t, 3> colorOfInset(std::size_t index);

struct PlannedPane {
    PaneView view;
    std::optional<std::string> title;    ///< instead of the pane's own; may be empty
    std::optional<std::string> subtitle; ///< the same
    friend bool operator==(const PlannedPane&, const PlannedPane&) = default;
};

struct PlannedPick {
    Pixel at; ///< of the photo as given
    std::string label;
    std::array<std::uint8_t, 3> color{255, 255, 255};
    friend bool operator==(const PlannedPick&, const PlannedPick&) = default;
};

struct PlannedInset {
    Rect part;                    ///< pixels of the photo as given
    std::optional<Corner> corner; ///< nothing: the farthest free one
    double share = Inset().share;
    std::array<std::uint8_t, 3> color{255, 196, 0};
    friend bool operator==(const PlannedInset&, const PlannedInset&) = default;
};

struct FigurePlan {
    /// Row by row; empty: the photo, the low-res features and every method that takes part. Those
    /// of methods that do not take part are an error.
    std::vector<PlannedPane> panes;
    /// Place, counted from 1, of the pane that is shown alone: the others are only computed, as
    /// shared bases and subtractions may need them; 0: all are shown.
    int only = 0;
    int columns = 0; ///< 0: chosen from their number and shape; with a row per photo: all
    /// One figure of all photos, each a row of the panes; else a figure of each photo.
    bool rowPerPhoto = false;
    std::vector<std::string> columnLabels; ///< with a row per photo and none given: the titles
    std::vector<std::string> rowLabels;    ///< with a row per photo and none given: the names
    std::string title;
    bool titles = true;    ///< of panes
    bool subtitles = true; ///< of panes: sizes, bases, precision
    bool bars = true;      ///< colour bars
    bool markers = true;   ///< of picks, in every pane
    bool notes = true;     ///< small print: models, what was cropped, what colours mean
    std::vector<PlannedPick> picks;
    /// What is looked for: with panes left out each gets maps of its own, with panes given the
    /// first is that of panes that name none.
    std::vector<std::string> texts;
    int activePick = 1; ///< number of the pick of panes that name none, counted from 1
    std::vector<PlannedInset> insets;
    std::optional<Rect> crop; ///< only this part of the photo in every pane, pixels as given
    int paneWidth = FigureSpec().paneWidth;
    FigureLook look;
    friend bool operator==(const FigurePlan&, const FigurePlan&) = default;
};

/// Maps of each text among the low-res features and those of every method.
std::vector<PlannedPane> textPanes(const std::vector<std::string>& texts,
                                   const std::vector<std::string>& methods);

/// "comparison", "matrix", "attention", "teaser".
const std::vector<std::string_view>& figurePresets();

/// A preset for these methods (keys in their order):
/// comparison: photo, low-res, every method, as wide as a page;
/// matrix: a row per photo of the same, labelled outside;
/// attention: the photo with its picks, the attention of each, and the heads of the first;
/// teaser: the same as comparison with insets and no small print, as wide as a column per two
/// panes. Errors: InvalidArgument (no such preset).
Result<FigurePlan> figurePreset(std::string_view name, const std::vector<std::string>& methods);

} // namespace loftscope
