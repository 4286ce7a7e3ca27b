// SPDX-License-Identifier: Apache-2.0
#include "ui/render/wipe.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

const Box wipedPane{{100, 50}, {401, 300}};

TEST(Wipe, SidesCoverThePaneAndTouch) {
    for (const WipeEdge edge : {WipeEdge::Vertical, WipeEdge::Horizontal}) {
        for (const double position : {-1.0, 0.0, 0.31, 0.5, 1.0, 2.0}) {
            const WipeSides sides = sidesOf({edge, position}, wipedPane);
            const int axis = edge == WipeEdge::Vertical ? 0 : 1;
            EXPECT_EQ(sides.a.origin, wipedPane.origin);
            EXPECT_EQ(sides.b.end(), wipedPane.end());
            EXPECT_EQ(sides.a.end()[axis], sides.b.origin[axis]);
            EXPECT_EQ(sides.a.size[1 - axis], wipedPane.size[1 - axis]);
            EXPECT_GE(sides.a.size[axis], 0);
            EXPECT_GE(sides.b.size[axis], 0);
        }
    }
}

TEST(Wipe, IsGrabbedNearItsEdgeOnly) {
    const Wipe wipe{WipeEdge::Vertical, 0.5};
    const double edge = sidesOf(wipe, wipedPane).b.origin.x;
    EXPECT_TRUE(grabs(wipe, wipedPane, {edge + 5, 60}));
    EXPECT_TRUE(grabs(wipe, wipedPane, {edge - 5, 340}));
    EXPECT_FALSE(grabs(wipe, wipedPane, {edge + 20, 60}));
    EXPECT_FALSE(grabs(wipe, wipedPane, {edge, 20})) << "above the pane";
}

TEST(Wipe, CanBeGrabbedAtEitherEndOfThePane) {
    for (const double position : {0.0, 1.0}) {
        for (const WipeEdge edge : {WipeEdge::Vertical, WipeEdge::Horizontal}) {
            const Wipe wipe{edge, position};
            const glm::dvec2 handle = handleOf(wipe, wipedPane);
            EXPECT_TRUE(wipedPane.contains(handle));
            EXPECT_TRUE(grabs(wipe, wipedPane, handle));
        }
    }
}

TEST(Wipe, FollowsTheHandAndStaysInThePane) {
    const Wipe wipe{WipeEdge::Horizontal, 0.5};
    EXPECT_DOUBLE_EQ(movedTo(wipe, wipedPane, {0, 125}).position, 0.25);
    EXPECT_DOUBLE_EQ(movedTo(wipe, wipedPane, {0, 1e4}).position, 1);
    EXPECT_DOUBLE_EQ(movedTo(wipe, wipedPane, {0, -1e4}).position, 0);
    EXPECT_EQ(movedTo(wipe, {{0, 0}, {0, 0}}, {5, 5}), wipe);
}

} // namespace
} // namespace loftscope
