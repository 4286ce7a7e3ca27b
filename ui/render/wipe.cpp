// SPDX-License-Identifier: Apache-2.0
#include "ui/render/wipe.h"

#include <glm/common.hpp>
#include <glm/geometric.hpp>

#include <algorithm>
#include <cmath>

namespace loftscope {
namespace {

int axisOf(const Wipe& wipe) {
    return wipe.edge == WipeEdge::Vertical ? 0 : 1;
}

double edgeAt(const Wipe& wipe, const Box& pane) {
    const int axis = axisOf(wipe);
    return std::round(pane.origin[axis] + pane.size[axis] * std::clamp(wipe.position, 0.0, 1.0));
}

} // namespace

WipeSides sidesOf(const Wipe& wipe, const Box& pane) {
    const int axis = axisOf(wipe);
    const double edge = std::clamp(edgeAt(wipe, pane), pane.origin[axis], pane.end()[axis]);
    WipeSides sides{pane, pane};
    sides.a.size[axis] = edge - pane.origin[axis];
    sides.b.origin[axis] = edge;
    sides.b.size[axis] = pane.end()[axis] - edge;
    return sides;
}

glm::dvec2 handleOf(const Wipe& wipe, const Box& pane) {
    glm::dvec2 handle = pane.center();
    handle[axisOf(wipe)] = edgeAt(wipe, pane);
    const glm::dvec2 inset = glm::min(glm::dvec2(wipeHandleRadius), pane.size * 0.5);
    return glm::clamp(handle, pane.origin + inset, pane.end() - inset);
}

bool grabs(const Wipe& wipe, const Box& pane, glm::dvec2 widget, double reach) {
    if (!pane.contains(widget)) return false;
    const bool onEdge = std::abs(widget[axisOf(wipe)] - edgeAt(wipe, pane)) <= reach;
    return onEdge || glm::distance(widget, handleOf(wipe, pane)) <= wipeHandleRadius;
}

Wipe movedTo(const Wipe& wipe, const Box& pane, glm::dvec2 widget) {
    const int axis = axisOf(wipe);
    if (pane.size[axis] <= 0) return wipe;
    return {wipe.edge, std::clamp((widget[axis] - pane.origin[axis]) / pane.size[axis], 0.0, 1.0)};
}

} // namespace loftscope
