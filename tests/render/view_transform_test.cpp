// SPDX-License-Identifier: Apache-2.0
#include "ui/render/view_transform.h"

#include <gtest/gtest.h>

#include <cmath>

namespace loftscope {
namespace {

constexpr double tolerance = 1e-9;

void expectNear(glm::dvec2 actual, glm::dvec2 expected, double within = tolerance) {
    EXPECT_NEAR(actual.x, expected.x, within);
    EXPECT_NEAR(actual.y, expected.y, within);
}

PaneFrame frameAt(double x, double y, double width, double height, double ratio = 1) {
    return {{{x, y}, {width, height}}, ratio};
}

TEST(ViewTransform, WidgetToPixelAndBackIsTheIdentityAtAnyRatio) {
    for (const double ratio : {1.0, 1.25, 1.5, 2.0}) {
        const ViewTransform view({{210.25, 90.5}, 3.7, false}, frameAt(31, 57, 401, 283, ratio));
        const glm::dvec2 pixel(187.3, 101.9);
        expectNear(view.pixelFromWidget(view.widgetFromPixel(pixel)), pixel);
        expectNear(view.deviceFromPixel(pixel), view.widgetFromPixel(pixel) * ratio);
    }
}

TEST(ViewTransform, OnePixelTakesZoomDevicePixels) {
    const ViewTransform view({{50, 50}, 3, false}, frameAt(0, 0, 100, 100, 2));
    expectNear(view.deviceFromPixel({51, 50}) - view.deviceFromPixel({50, 50}), {3, 0});
    EXPECT_NEAR(view.widgetPerPixel(), 1.5, tolerance);
}

TEST(ViewTransform, LinkedPanesOfEqualSizeShowTheSamePhotoPointAtTheSamePlace) {
    const View shared{{100, 60}, 2.5, false};
    const ViewTransform first(shared, frameAt(0, 24, 300, 200));
    const ViewTransform second(shared, frameAt(302, 250, 300, 200));
    const glm::dvec2 pixel(140, 33);
    expectNear(first.widgetFromPixel(pixel) - glm::dvec2(0, 24),
               second.widgetFromPixel(pixel) - glm::dvec2(302, 250));
}

TEST(FitView, ShowsTheWholePhotoAndTouchesOnTwoSides) {
    for (const Extent photo :
         {Extent{512, 768}, Extent{768, 512}, Extent{1, 1}, Extent{384, 3072}}) {
        const PaneFrame frame = frameAt(10, 20, 400, 300, 2);
        const Box shown = ViewTransform(fitView(photo, frame), frame).widgetFromPixel(boxOf(photo));
        EXPECT_LE(shown.size.x, 400 + tolerance);
        EXPECT_LE(shown.size.y, 300 + tolerance);
        const bool touches = std::abs(shown.size.x - 400) < 1e-6 ||
                             std::abs(shown.size.y - 300) < 1e-6 || photo.area() == 1;
        EXPECT_TRUE(touches) << photo.width << " x " << photo.height;
        expectNear(shown.center(), frame.box.center(), 0.51);
    }
}

TEST(FitView, StaysFittedWhenThePaneIsResized) {
    const Extent photo{500, 1000};
    const View fitted = fitView(photo, frameAt(0, 0, 500, 500));
    EXPECT_NEAR(resolved(fitted, photo, frameAt(0, 0, 250, 500)).zoom, 0.25, tolerance);
    const View free{{1, 2}, 3, false};
    EXPECT_EQ(resolved(free, photo, frameAt(0, 0, 250, 500)), free);
}

TEST(ZoomedAt, KeepsThePointUnderTheCursor) {
    const Extent photo{512, 768};
    const PaneFrame frame = frameAt(100, 50, 403, 301, 1.5);
    View view = fitView(photo, frame);
    const glm::dvec2 cursor(260, 170);
    const glm::dvec2 pixel = ViewTransform(view, frame).pixelFromWidget(cursor);
    for (const double factor : {1.3, 2.0, 1.7, 0.8}) {
        view = zoomedAt(view, photo, frame, cursor, factor);
        EXPECT_FALSE(view.fitted);
        expectNear(ViewTransform(view, frame).pixelFromWidget(cursor), pixel, 1e-6);
    }
}

TEST(ZoomedAt, HasLimitsAtBothEnds) {
    const Extent photo{512, 768};
    const PaneFrame frame = frameAt(0, 0, 400, 300);
    const double fitted = fitView(photo, frame).zoom;
    const View far = zoomedAt(fitView(photo, frame), photo, frame, {200, 150}, 1e9);
    const View near = zoomedAt(fitView(photo, frame), photo, frame, {200, 150}, 1e-9);
    EXPECT_EQ(far.zoom, maximumZoom);
    EXPECT_NEAR(near.zoom, fitted / 4, tolerance);
}

TEST(OneToOne, PutsPhotoPixelsOnDevicePixels) {
    for (const double ratio : {1.0, 1.5, 2.0}) {
        const PaneFrame frame = frameAt(33, 21, 405, 307, ratio);
        const View view = oneToOne({{100.4, 77.7}, 0.3, true}, {512, 768});
        const glm::dvec2 device = ViewTransform(view, frame).deviceFromPixel({3, 5});
        expectNear(device, {std::round(device.x), std::round(device.y)});
        EXPECT_EQ(view.zoom, 1);
    }
}

TEST(Panned, FollowsTheHandAndKeepsThePhotoInSight) {
    const Extent photo{512, 768};
    const PaneFrame frame = frameAt(0, 0, 400, 300, 2);
    const View view{{300, 200}, 4, false};
    const glm::dvec2 hand(100, 100);
    const glm::dvec2 held = ViewTransform(view, frame).pixelFromWidget(hand);
    const View moved = panned(view, photo, frame, {30, -12});
    expectNear(ViewTransform(moved, frame).pixelFromWidget(hand + glm::dvec2(30, -12)), held);
    expectNear(panned(view, photo, frame, {1e6, -1e6}).center, {0, 512});
}

TEST(PixelContaining, IsClampedToThePhoto) {
    const Extent photo{10, 20};
    EXPECT_EQ(pixelContaining({3.99, 4.0}, photo), (Pixel{3, 4}));
    EXPECT_EQ(pixelContaining({-5, 400}, photo), (Pixel{0, 9}));
    EXPECT_EQ(pixelContaining({20, 10}, photo), (Pixel{19, 9}));
}

} // namespace
} // namespace loftscope
