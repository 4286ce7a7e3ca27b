// SPDX-License-Identifier: Apache-2.0
#include "ui/render/view_transform.h"

#include <glm/common.hpp>

#include <algorithm>
#include <cmath>

namespace loftscope {
namespace {

glm::dvec2 sizeOf(const Extent& extent) {
    return {static_cast<double>(extent.width), static_cast<double>(extent.height)};
}

View kept(View view, const Extent& photo) {
    view.center = glm::clamp(view.center, glm::dvec2(0), sizeOf(photo));
    return view;
}

double fittedZoom(const Extent& photo, const PaneFrame& frame, double marginWidget) {
    const glm::dvec2 room =
        glm::max(frame.box.size - 2 * marginWidget, glm::dvec2(1)) * frame.devicePixelRatio;
    const glm::dvec2 size = glm::max(sizeOf(photo), glm::dvec2(1));
    return std::min({room.x / size.x, room.y / size.y, maximumZoom});
}

} // namespace

bool Box::contains(glm::dvec2 point) const {
    return point.x >= origin.x && point.y >= origin.y && point.x < end().x && point.y < end().y;
}

Box intersectionOf(const Box& a, const Box& b) {
    const glm::dvec2 origin = glm::max(a.origin, b.origin);
    const glm::dvec2 end = glm::min(a.end(), b.end());
    return {origin, glm::max(end - origin, glm::dvec2(0))};
}

Box boxOf(const Extent& extent) {
    return {{0, 0}, sizeOf(extent)};
}

ViewTransform::ViewTransform(const View& view, const PaneFrame& frame)
    : frame_(frame)
    , center_(view.center)
    , zoom_(view.zoom)
    , anchorDevice_(glm::floor(frame.box.center() * frame.devicePixelRatio)) {}

glm::dvec2 ViewTransform::deviceFromPixel(glm::dvec2 pixel) const {
    return anchorDevice_ + (pixel - center_) * zoom_;
}

glm::dvec2 ViewTransform::widgetFromPixel(glm::dvec2 pixel) const {
    return deviceFromPixel(pixel) / frame_.devicePixelRatio;
}

glm::dvec2 ViewTransform::pixelFromWidget(glm::dvec2 widget) const {
    return center_ + (widget * frame_.devicePixelRatio - anchorDevice_) / zoom_;
}

Box ViewTransform::widgetFromPixel(const Box& pixels) const {
    const glm::dvec2 origin = widgetFromPixel(pixels.origin);
    return {origin, widgetFromPixel(pixels.end()) - origin};
}

Box ViewTransform::visiblePixels() const {
    const glm::dvec2 origin = pixelFromWidget(frame_.box.origin);
    return {origin, pixelFromWidget(frame_.box.end()) - origin};
}

View fitView(const Extent& photo, const PaneFrame& frame, double marginWidget) {
    return {sizeOf(photo) * 0.5, fittedZoom(photo, frame, marginWidget), true};
}

View resolved(const View& view, const Extent& photo, const PaneFrame& frame) {
    return view.fitted ? fitView(photo, frame) : view;
}

View oneToOne(const View& view, const Extent& photo) {
    return kept({glm::round(view.center), 1, false}, photo);
}

View zoomedAt(const View& view, const Extent& photo, const PaneFrame& frame, glm::dvec2 widget,
              double factor) {
    const glm::dvec2 pixel = ViewTransform(view, frame).pixelFromWidget(widget);
    const double smallest = std::min(fittedZoom(photo, frame, 0), 1.0) / 4;
    View zoomed{view.center, std::clamp(view.zoom * factor, smallest, maximumZoom), false};
    // Rounding would otherwise make "100 %" unreachable by whole steps of the wheel.
    if (std::abs(zoomed.zoom - 1) < 1e-3) zoomed.zoom = 1;
    const glm::dvec2 moved = ViewTransform(zoomed, frame).pixelFromWidget(widget);
    zoomed.center += pixel - moved;
    return kept(zoomed, photo);
}

View panned(const View& view, const Extent& photo, const PaneFrame& frame, glm::dvec2 widgetDelta) {
    return kept({view.center - widgetDelta * frame.devicePixelRatio / view.zoom, view.zoom, false},
                photo);
}

View centeredOn(const View& view, const Extent& photo, glm::dvec2 pixel) {
    return kept({pixel, view.zoom, false}, photo);
}

Pixel pixelContaining(glm::dvec2 point, const Extent& photo) {
    const auto clamped = [](double value, std::int64_t size) {
        const auto last = static_cast<double>(std::max<std::int64_t>(size - 1, 0));
        return static_cast<std::int64_t>(std::clamp(std::floor(value), 0.0, last));
    };
    return {clamped(point.x, photo.width), clamped(point.y, photo.height)};
}

} // namespace loftscope
