// SPDX-License-Identifier: Apache-2.0
#include "ui/render/wipe.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

const Box pane{{100, 50}, {401, 300}};

TEST(Wipe, SidesCoverThePaneAndTouch) {
    for (const WipeEdge edge : {WipeEdge::Vertical, WipeEdge::Horizontal}) {
        for (const double position : {-1.0, 0.0, 0.31, 0.5, 1.0, 2.0}) {
            const WipeSides sides = sidesOf({edge, position}, pane);
            const int axis = edge == WipeEdge::Vertical ? 0 : 1;
            EXPECT_EQ(sides.a.origin, pane.origin);
            EXPECT_EQ(sides.b.end(), pane.end());
            EXPECT_EQ(sides.a.end()[axis], sides.b.origin[axis]);
            EXPECT_EQ(sides.a.size[1 - axis], pane.size[1 - axis]);
            EXPECT_GE(sides.a.size[axis], 0);
            EXPECT_GE(sides.b.size[axis], 0);
        }
    }
}

TEST(Wipe, IsGrabbedNearItsEdgeOnly) {
    const Wipe wipe{WipeEdge::Vertical, 0.5};
    const double edge = sidesOf(wipe, pane).b.origin.x;
    EXPECT_TRUE(grabs(wipe, pane, {edge + 5, 60}));
    EXPECT_TRUE(grabs(wipe, pane, {edge - 5, 340}));
    EXPECT_FALSE(grabs(wipe, pane, {edge + 20, 60}));
    EXPECT_FALSE(grabs(wipe, pane, {edge, 20})) << "above the pane";
}

TEST(Wipe, CanBeGrabbedAtEitherEndOfThePane) {
    for (const double position : {0.0, 1.0}) {
        for (const WipeEdge edge : {WipeEdge::Vertical, WipeEdge::Horizontal}) {
            const Wipe wipe{edge, position};
            const glm::dvec2 handle = handleOf(wipe, pane);
            EXPECT_TRUE(pane.contains(handle));
            EXPECT_TRUE(grabs(wipe, pane, handle));
        }
    }
}

TEST(Wipe, FollowsTheHandAndStaysInThePane) {
    const Wipe wipe{WipeEdge::Horizontal, 0.5};
    EXPECT_DOUBLE_EQ(movedTo(wipe, pane, {0, 125}).position, 0.25);
    EXPECT_DOUBLE_EQ(movedTo(wipe, pane, {0, 1e4}).position, 1);
    EXPECT_DOUBLE_EQ(movedTo(wipe, pane, {0, -1e4}).position, 0);
    EXPECT_EQ(movedTo(wipe, {{0, 0}, {0, 0}}, {5, 5}), wipe);
}

} // namespace
} // namespace loftscope
