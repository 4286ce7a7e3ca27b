// SPDX-License-Identifier: Apache-2.0
#include "core/eval/label_propagation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

namespace loftscope {
namespace {

constexpr std::int64_t frameSide = 40; // more than one block each way

/// A square of 8 x 8 with its upper left corner at (left, top), h x w.
at::Tensor square(std::int64_t left, std::int64_t top) {
    at::Tensor mask = at::zeros({frameSide, frameSide});
    mask.slice(0, top, top + 8).slice(1, left, left + 8).fill_(1);
    return mask;
}

/// One direction of feature space for the square, another one for the ground; lengths differ, which
/// must not matter.
at::Tensor features(const at::Tensor& mask) {
    return at::stack({mask * 3, 1 - mask, at::zeros_like(mask)});
}

at::Tensor scores(const at::Tensor& mask) {
    return at::stack({1 - mask, mask});
}

TEST(LabelPropagation, FollowsAMovingSquare) {
    LabelPropagation propagation({.lastFrames = 2, .radius = 4}, features(square(4, 10)),
                                 scores(square(4, 10)));
    for (std::int64_t step = 1; step <= 8; ++step) {
        const at::Tensor expected = square(4 + 3 * step, 10 + step);
        const at::Tensor found = propagation.next(features(expected));
        EXPECT_TRUE(found.argmax(0).equal(expected.to(at::kLong))) << "step " << step;
    }
}

TEST(LabelPropagation, LooksNoFartherThanTheRadius) {
    // The square has moved by 13 pixels: none of its pixels sees its old place through a window of
    // radius 4, and every pixel of the old place sees ground.
    LabelPropagation propagation({.lastFrames = 2, .radius = 4}, features(square(4, 10)),
                                 scores(square(4, 10)));
    const at::Tensor found = propagation.next(features(square(17, 10)));
    EXPECT_EQ(found.argmax(0).sum().item<std::int64_t>(), 0);
}

TEST(LabelPropagation, TheMostSimilarVoteWithTheirWeights) {
    // One row of three pixels: cosines to the query 1, 0.6 and 0; top 2 of them vote.
    at::Tensor first = at::zeros({2, 1, 3});
    const float columns[3][2] = {{1.0F, 0.0F}, {0.6F, 0.8F}, {0.0F, 1.0F}};
    for (int x = 0; x < 3; ++x)
        for (int c = 0; c < 2; ++c)
            first[c][0][x] = columns[x][c];
    at::Tensor labels = at::zeros({3, 1, 3});
    for (int x = 0; x < 3; ++x)
        labels[x][0][x] = 1;
    LabelPropagation propagation({.lastFrames = 0, .radius = 2, .topK = 2, .temperature = 0.5},
                                 first, labels);
    at::Tensor query = at::zeros({2, 1, 3});
    query[0].fill_(1);
    const at::Tensor found = propagation.next(query);
    const double weights[2] = {std::exp(1.0 / 0.5), std::exp(0.6 / 0.5)};
    for (int x = 0; x < 3; ++x) {
        EXPECT_NEAR(found[0][0][x].item<double>(), weights[0] / (weights[0] + weights[1]), 1e-5);
        EXPECT_NEAR(found[1][0][x].item<double>(), weights[1] / (weights[0] + weights[1]), 1e-5);
        EXPECT_EQ(found[2][0][x].item<double>(), 0);
    }
}

TEST(LabelPropagation, ForgetsAllButTheFirstAndTheLastFrames) {
    // The second frame relabels nothing by itself: its labels come from the first. With lastFrames
    // 0 a change of place beyond the radius is followed from the first frame alone, so it is lost;
    // with 1 it is followed step by step.
    for (const std::int64_t lastFrames : {0, 1}) {
        LabelPropagation propagation({.lastFrames = lastFrames, .radius = 5},
                                     features(square(2, 2)), scores(square(2, 2)));
        at::Tensor found;
        for (std::int64_t step = 1; step <= 4; ++step)
            found = propagation.next(features(square(2 + 5 * step, 2)));
        EXPECT_EQ(found.argmax(0).equal(square(22, 2).to(at::kLong)), lastFrames == 1);
    }
}

} // namespace
} // namespace loftscope
