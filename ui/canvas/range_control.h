// SPDX-License-Identifier: Apache-2.0
// The floating control for a pane's colour range: histogram with two draggable ends.
#pragma once

#include "ui/canvas/pane_chrome.h"
#include "ui/panes/pane_model.h"

#include <optional>

namespace loftscope {

struct RangeEdit {
    int index = 0; ///< of the pane's ranges: 0, or 0..2 for red, green, blue
    ValueRange range;
    bool automatic = false; ///< "Auto" was clicked
};

/// Where the control lies in a pane; empty if the pane has no ranges or is too small.
Box rangeControlBox(const Box& picture, int rangeCount);

class RangeControl {
public:
    /// Draws the control with Dear ImGui; returns what the user changed in this frame.
    std::optional<RangeEdit> draw(const ChromePen& pen, const Box& box, const PaneModel& model,
                                  int pane);
    int index() const { return index_; }

private:
    int index_ = 0;
    int dragged_ = -1; ///< 0: low end, 1: high end
    /// The axis while an end is dragged: it must not move under the hand.
    ValueRange axis_;
};

} // namespace loftscope
