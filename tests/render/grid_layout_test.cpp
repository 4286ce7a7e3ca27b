// SPDX-License-Identifier: Apache-2.0
#include "ui/panes/grid_layout.h"

#include <gtest/gtest.h>

namespace loftscope {
namespace {

const Box area{{0, 0}, {1280, 800}};

TEST(GridLayout, CellsAreEqualDoNotOverlapAndStayInside) {
    for (int count = 1; count <= 12; ++count) {
        const auto cells = layoutGrid(count, area, 1.5);
        ASSERT_EQ(cells.size(), static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < cells.size(); ++i) {
            EXPECT_EQ(cells[i].picture.size, cells[0].picture.size);
            EXPECT_EQ(cells[i].header.end().y, cells[i].picture.origin.y);
            EXPECT_LE(cells[i].picture.end().x, 1280);
            EXPECT_LE(cells[i].picture.end().y, 800);
            for (std::size_t j = 0; j < i; ++j) {
                const Box a{cells[i].header.origin,
                            cells[i].picture.end() - cells[i].header.origin};
                const Box b{cells[j].header.origin,
                            cells[j].picture.end() - cells[j].header.origin};
                EXPECT_TRUE(intersectionOf(a, b).empty());
            }
        }
    }
}

TEST(GridLayout, FollowsTheShapeOfThePhoto) {
    EXPECT_EQ(bestColumns(6, area, 1.5), 3);
    EXPECT_EQ(bestColumns(2, area, 0.6), 2) << "tall photos side by side";
    EXPECT_EQ(bestColumns(2, area, 8), 1) << "strips above each other";
    EXPECT_EQ(bestColumns(4, area, 1.5), 2);
    EXPECT_EQ(bestColumns(1, area, 1.5), 1);
}

TEST(GridLayout, TakesTheColumnsAskedFor) {
    const auto cells = layoutGrid(6, area, 1.5, 2);
    EXPECT_EQ(cells[2].header.origin.x, 0);
    EXPECT_GT(cells[2].header.origin.y, cells[0].header.origin.y);
    EXPECT_EQ(layoutGrid(2, area, 1.5, 12)[1].header.origin.y, 0);
}

TEST(GridLayout, SurvivesAWindowTooSmall) {
    for (const PaneCell& cell : layoutGrid(12, {{0, 0}, {10, 10}}, 1.5)) {
        EXPECT_GT(cell.picture.size.x, 0);
        EXPECT_GT(cell.picture.size.y, 0);
    }
    EXPECT_TRUE(layoutGrid(0, area, 1).empty());
}

} // namespace
} // namespace loftscope
