// SPDX-License-Identifier: Apache-2.0
// What the user has chosen to see, as plain values that can be compared, kept for undo and saved.
#pragma once

#include "ui/panes/compute_settings.h"
#include "ui/render/display_style.h"
#include "ui/render/view_transform.h"
#include "ui/render/wipe.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace loftscope {

/// A block beyond those of any model: the last one.
constexpr int lastBlock = 999;

/// What to show in a pane and how. Block, head, components count from 0.
struct PaneState {
    int id = 0;                   ///< given by the model; never used twice
    std::string kind = "photo";   ///< key in the table of kinds (ui/window/content_kinds.h)
    std::string method;           ///< upsampler: "loftup", "bilinear"; empty: the low-res grid
    int block = -1;               ///< of attention; -1: mean over all
    int head = -1;                ///< of attention; -1: mean over all
    bool ofClassToken = false;    ///< self-attention: of CLS instead of the picked patch
    std::string text;             ///< that features are compared with: "a dog"
    int pick = 0;                 ///< number of the pick that the pane follows; 0: the active one
    bool singleComponent = false; ///< PCA: one component as a scalar map instead of false colours
    ScoreStyle scores;       ///< PCA as false colours; flips and whitening follow the two below
    std::uint32_t flips = 0; ///< bit c: component c with its sign turned (it is arbitrary)
    bool whiten = false;     ///< divide each component by its standard deviation
    ScalarStyle scalar;      ///< everything that is one number per pixel
    bool autoRange = true;   ///< ranges follow the percentiles below
    double lowPercent = 1;
    double highPercent = 99;
    float opacity = 1;         ///< of the map over the photo; 1 hides the photo
    bool smooth = false;       ///< smooth display of magnified maps
    std::string basis = "own"; ///< PCA basis: "own", "shared", "locked" or "file:PATH"
    int minuend = 0;           ///< Difference: pane that is subtracted from
    int subtrahend = 0;        ///< Difference: pane that is subtracted
    View view;                 ///< while views are not linked
    friend bool operator==(const PaneState&, const PaneState&) = default;
};

/// A pixel of the photo that stays picked; the same mark in every pane and figure.
struct Pick {
    int number = 1;
    glm::dvec2 at{0, 0}; ///< photo pixels
    std::array<std::uint8_t, 3> color{255, 255, 255};
    bool pinned = false; ///< the next click places another one instead of moving this
    friend bool operator==(const Pick&, const Pick&) = default;
};

enum class CompareMode {
    Off,
    Wipe,      ///< the selected pane shows the reference on one side of an edge
    Difference ///< the selected pane shows itself minus the reference
};

/// Everything about the panes that undo restores and a session file keeps.
struct WorkspaceState {
    std::vector<PaneState> panes; ///< 1 to 12, row by row
    int selected = 0;             ///< pane id; keys and panels act on it
    int reference = 0;            ///< pane id; the A of wipe, flip and difference
    int maximised = 0;            ///< pane id; 0: none
    int columns = 0;              ///< 0: as many as make the pictures largest
    bool linked = true;           ///< one view for all panes
    bool colorsTogether = true;   ///< choices about PCA colours are for all feature panes
    View view;                    ///< while views are linked
    CompareMode compare = CompareMode::Off;
    Wipe wipe;
    std::vector<Pick> picks;
    int activePick = -1; ///< index into picks; -1: none
    ComputeSettings compute;
    friend bool operator==(const WorkspaceState&, const WorkspaceState&) = default;
};

constexpr int maximumPanes = 12;

/// Colours of picks 1, 2, ...: the colour-blind-safe set of Okabe and Ito, repeated after seven.
std::array<std::uint8_t, 3> pickColor(int number);

} // namespace loftscope
