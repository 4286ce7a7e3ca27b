// SPDX-License-Identifier: Apache-2.0
// A view that is moved, turned and lit otherwise: picture and masks stay together.
#include "core/train/moved_view.h"
#include "tests/support/tensors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <numbers>

namespace loftscope {
namespace {

using test::largest;

CounterRandom noise() {
    return {3, RandomPurpose::MovedView, 1};
}

TEST(MovedView, ThatDoesNotMoveIsThePictureItself) {
    const at::Tensor picture = at::rand({3, 12, 20});
    EXPECT_LT(largest(movedPicture(picture, {}, noise()) - picture), 1e-5);
    const at::Tensor labels = at::arange(12 * 20, at::kLong).view({12, 20}) - 1;
    EXPECT_TRUE(movedLabels(labels, {}).equal(labels));
}

TEST(MovedView, AShiftShowsWhatLiesToTheRightAndBelow) {
    const at::Tensor labels = at::arange(12 * 20, at::kLong).view({12, 20});
    MovedView view;
    view.motion.shiftX = 4 / 10.0; // of half the width: 4 pixels
    view.motion.shiftY = 3 / 6.0;  // 3 pixels
    const at::Tensor moved = movedLabels(labels, view);
    EXPECT_TRUE(moved.slice(0, 0, 9).slice(1, 0, 16).equal(labels.slice(0, 3).slice(1, 4)));
}

TEST(MovedView, AQuarterTurnOfAWidePictureKeepsPixelsSquare) {
    // A cross through the middle turns into itself, with its arms exchanged.
    at::Tensor labels = at::zeros({21, 41}, at::kLong);
    labels.slice(0, 10, 11).slice(1, 14, 27).fill_(1); // 6 to either side
    labels.slice(0, 7, 14).slice(1, 20, 21).fill_(2);  // 3 to either side
    MovedView view;
    view.motion.angle = std::numbers::pi / 2;
    const at::Tensor moved = movedLabels(labels, view);
    EXPECT_EQ(moved.eq(1).sum().item<std::int64_t>(), 12);
    EXPECT_EQ(moved.select(1, 20).eq(1).sum().item<std::int64_t>(), 12);
    // Beyond the border, to the far left and right, it is mirrored.
    const at::Tensor middle = moved.select(0, 10).slice(0, 10, 31);
    EXPECT_EQ(middle.eq(2).sum().item<std::int64_t>(), 7);
}

TEST(MovedView, AZoomShowsThingsLarger) {
    at::Tensor labels = at::zeros({40, 40}, at::kLong);
    labels.slice(0, 15, 25).slice(1, 15, 25).fill_(1);
    MovedView view;
    view.motion.zoom = 2;
    EXPECT_EQ(movedLabels(labels, view).sum().item<std::int64_t>(), 4 * 100);
}

TEST(MovedView, MovesPictureAndMasksAlike) {
    at::Tensor labels = at::zeros({48, 64}, at::kLong);
    labels.slice(0, 10, 30).slice(1, 20, 50).fill_(1);
    const at::Tensor picture = at::stack({labels, labels, labels}).to(at::kFloat) * 0.8 + 0.1;
    for (std::uint64_t i = 0; i < 8; ++i) {
        CounterRandom random(9, RandomPurpose::MovedView, i);
        MovedViewRange range;
        range.noise = 0;
        const MovedView view = sampleMovedView(range, random);
        const at::Tensor seen = movedPicture(picture, view, random).mean(0);
        const at::Tensor inside = movedLabels(labels, view).eq(1);
        // All but the pixels that the border runs through.
        const at::Tensor bright = seen.gt(seen.min() + (seen.max() - seen.min()) / 2);
        EXPECT_LT(bright.ne(inside).to(at::kFloat).mean().item<double>(), 0.01) << i;
    }
}

TEST(MovedView, AMaskThatMovesOnItsOwnCoversWhatIsBehindIt) {
    at::Tensor labels = at::zeros({20, 40}, at::kLong);
    labels.slice(1, 24).fill_(2);
    labels.slice(0, 5, 10).slice(1, 10, 20).fill_(1);
    MovedView view;
    view.mask = labels.eq(1);
    view.maskMotion.shiftX = -8 / 20.0; // shows what lies 8 pixels to the left: moves right
    at::Tensor expected = labels.clone();
    expected.slice(0, 5, 10).slice(1, 18, 28).fill_(1);
    EXPECT_TRUE(movedLabels(labels, view).equal(expected));

    const at::Tensor picture = at::stack({labels, labels, labels}).to(at::kFloat) * 0.4;
    EXPECT_LT(largest(movedPicture(picture, view, noise())[1] - expected * 0.4), 1e-5);
}

TEST(MovedView, AnObjectMovesOnItsOwnButNeitherItsBackgroundNorASpeck) {
    at::Tensor labels = at::zeros({40, 40}, at::kLong);
    labels.slice(0, 10, 20).slice(1, 10, 30).fill_(1);
    labels.slice(0, 0, 2).slice(1, 0, 2).fill_(2);
    labels.slice(0, 30).fill_(-1);
    int moving = 0;
    for (std::uint64_t i = 0; i < 50; ++i) {
        CounterRandom random(4, RandomPurpose::MovedView, i);
        MovedView view;
        sampleMovingMask(view, labels, {}, random);
        if (!view.mask.defined()) continue;
        ++moving;
        EXPECT_TRUE(view.mask.equal(labels.eq(1)));
        EXPECT_NE(view.maskMotion.angle, 0);
    }
    EXPECT_GT(moving, 25); // one pixel in eight is the object's, eight are drawn

    CounterRandom random = noise();
    MovedView still;
    sampleMovingMask(still, at::zeros({8, 8}, at::kLong), {}, random);
    EXPECT_FALSE(still.mask.defined());
}

TEST(MovedView, LightAndNoiseFollowTheirNumbers) {
    const at::Tensor picture = at::full({3, 64, 64}, 0.5);
    MovedView view;
    view.brightness = 1.1;
    view.contrast = 0.5; // nothing to flatten
    EXPECT_LT(largest(movedPicture(picture, view, noise()) - 0.55), 1e-5);
    view = {};
    view.noise = 0.02;
    const at::Tensor noisy = movedPicture(picture, view, noise());
    EXPECT_NEAR(noisy.std().item<double>(), 0.02, 0.001);
    EXPECT_TRUE(noisy.equal(movedPicture(picture, view, noise())));

    at::Tensor red = picture.clone();
    red[0].fill_(0.8);
    view = {};
    view.saturation = 0;
    const at::Tensor grey = movedPicture(red, view, noise());
    EXPECT_LT(largest(grey - 0.6), 1e-5);
}

} // namespace
} // namespace loftscope
