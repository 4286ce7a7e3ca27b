// SPDX-License-Identifier: Apache-2.0
// Where a photo lies on screen. Three spaces: photo pixels (continuous, pixel centres at
// half-integers), widget pixels (logical, as Qt's events give them) and device pixels (of the
// framebuffer: widget pixels times the device pixel ratio). Panes are linked by photo pixels, so
// that all of them show the same photo point whatever the resolution of their own map.
#pragma once

#include "core/base/geometry.h"

#include <glm/vec2.hpp>

namespace loftscope {

/// A rectangle in photo pixels or widget pixels; the far corner is exclusive.
struct Box {
    glm::dvec2 origin{0, 0};
    glm::dvec2 size{0, 0};
    glm::dvec2 end() const { return origin + size; }
    glm::dvec2 center() const { return origin + size * 0.5; }
    bool empty() const { return size.x <= 0 || size.y <= 0; }
    bool contains(glm::dvec2 point) const;
    friend bool operator==(const Box&, const Box&) = default;
};

Box intersectionOf(const Box& a, const Box& b);
/// The whole photo, in photo pixels.
Box boxOf(const Extent& extent);

/// What part of the photo a pane shows.
struct View {
    glm::dvec2 center{0, 0}; ///< photo point in the middle of the pane
    double zoom = 1;         ///< device pixels per photo pixel; 1 is "100 %"
    bool fitted = true;      ///< show the whole photo; the two above follow from the pane's size
    friend bool operator==(const View&, const View&) = default;
};

/// The part of the widget in which one pane draws its picture.
struct PaneFrame {
    Box box; ///< widget pixels
    double devicePixelRatio = 1;
    friend bool operator==(const PaneFrame&, const PaneFrame&) = default;
};

class ViewTransform {
public:
    ViewTransform(const View& view, const PaneFrame& frame);

    glm::dvec2 pixelFromWidget(glm::dvec2 widget) const;
    glm::dvec2 widgetFromPixel(glm::dvec2 pixel) const;
    glm::dvec2 deviceFromPixel(glm::dvec2 pixel) const;
    Box widgetFromPixel(const Box& pixels) const;
    /// The part of the photo's plane that the pane shows; may reach beyond the photo.
    Box visiblePixels() const;
    double widgetPerPixel() const { return zoom_ / frame_.devicePixelRatio; }
    const PaneFrame& frame() const { return frame_; }

private:
    PaneFrame frame_;
    glm::dvec2 center_;
    double zoom_;
    glm::dvec2 anchorDevice_; ///< where `center_` is drawn, a whole device pixel
};

constexpr double maximumZoom = 256;

/// The whole photo, centred, with a margin of `marginWidget` on every side.
View fitView(const Extent& photo, const PaneFrame& frame, double marginWidget = 0);
/// `view`, or the fitted one if it says so.
View resolved(const View& view, const Extent& photo, const PaneFrame& frame);
/// One photo pixel per device pixel, the photo's pixels aligned with the screen's.
View oneToOne(const View& view, const Extent& photo);
/// Zooms by `factor` so that the photo point under `widget` stays there. The zoom stays between
/// a quarter of the fitted one and `maximumZoom`.
View zoomedAt(const View& view, const Extent& photo, const PaneFrame& frame, glm::dvec2 widget,
              double factor);
/// Moves the photo by `widgetDelta`; its middle never leaves the photo.
View panned(const View& view, const Extent& photo, const PaneFrame& frame, glm::dvec2 widgetDelta);
/// The same zoom around `pixel`.
View centeredOn(const View& view, const Extent& photo, glm::dvec2 pixel);

/// The photo pixel that contains the point, clamped to the photo.
Pixel pixelContaining(glm::dvec2 point, const Extent& photo);

} // namespace loftscope
