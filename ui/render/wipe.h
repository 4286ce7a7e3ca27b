// SPDX-License-Identifier: Apache-2.0
// A wipe: one pane shows A on one side of an edge and B on the other; the edge can be grabbed.
#pragma once

#include "ui/render/view_transform.h"

namespace loftscope {

enum class WipeEdge {
    Vertical,  ///< A left, B right
    Horizontal ///< A above, B below
};

struct Wipe {
    WipeEdge edge = WipeEdge::Vertical;
    double position = 0.5; ///< fraction of the pane, 0..1: the edge never scrolls out of sight
    friend bool operator==(const Wipe&, const Wipe&) = default;
};

struct WipeSides {
    Box a;
    Box b;
};

/// The two parts of `pane`, in widget pixels; they touch and cover it.
WipeSides sidesOf(const Wipe& wipe, const Box& pane);
/// The middle of the handle, kept inside the pane so that it can be grabbed at either end.
glm::dvec2 handleOf(const Wipe& wipe, const Box& pane);
/// True within `reach` widget pixels of the edge or its handle.
bool grabs(const Wipe& wipe, const Box& pane, glm::dvec2 widget, double reach = 6);
/// The wipe with its edge under `widget`.
Wipe movedTo(const Wipe& wipe, const Box& pane, glm::dvec2 widget);

constexpr double wipeHandleRadius = 9; ///< widget pixels

} // namespace loftscope
