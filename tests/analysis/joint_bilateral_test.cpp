// SPDX-License-Identifier: Apache-2.0
// Joint bilateral upsampling: follows edges of the picture, averages, and does not depend on tiles.
#include "core/upsample/joint_bilateral.h"
#include "tests/support/fields.h"
#include "tests/support/golden.h"

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

namespace loftscope {
namespace {

using test::difference;
using test::evaluateInTiles;

std::unique_ptr<FeatureField> fieldOf(const at::Tensor& low, const at::Tensor& picture) {
    auto field = makeJointBilateral()->bind({low}, {{picture.size(1), picture.size(2)}, picture});
    if (!field) throw std::runtime_error(field.error().message);
    return *std::move(field);
}

TEST(JointBilateral, KeepsTheEdgeWhereThePictureHasOne) {
    // Left half black, right half white; the edge lies inside a cell. Features differ between the
    // halves.
    at::Tensor picture = at::zeros({3, 32, 64});
    picture.slice(2, 36).fill_(1.0);
    at::Tensor low = at::zeros({1, 4, 8});
    low.slice(2, 4).fill_(1.0);
    low.slice(2, 4, 5).fill_(0.5); // the mixed cell
    const auto field = fieldOf(low, picture);
    const at::Tensor row = field->evaluate({0, 16, 64, 1}).flatten();
    EXPECT_LT(row[34].item<double>(), 0.3) << "two pixels left of the edge: black's feature";
    EXPECT_GT(row[38].item<double>(), 0.7) << "two pixels right of it: white's";
}

TEST(JointBilateral, IsAnAverageWithTheWeightsItTells) {
    at::manual_seed(11);
    const at::Tensor low = at::randn({7, 5, 6});
    const at::Tensor picture = at::rand({3, 40, 48});
    const auto field = fieldOf(low, picture);
    for (const Pixel& pixel : {Pixel{0, 0}, Pixel{47, 39}, Pixel{20, 13}}) {
        const at::Tensor weights = field->attend(pixel).value();
        EXPECT_NEAR(weights.sum().item<double>(), 1.0, 1e-5);
        EXPECT_GE(weights.min().item<double>(), 0.0);
        const at::Tensor expected = field->evaluate({pixel.x, pixel.y, 1, 1}).flatten();
        EXPECT_LE(difference(at::matmul(low.flatten(1), weights.flatten()), expected).max, 1e-5);
    }
    const auto constant = fieldOf(at::full({2, 5, 6}, 3.5), picture);
    EXPECT_LE(difference(constant->evaluate({0, 0, 48, 40}), at::full({2, 40, 48}, 3.5)).max, 1e-5);
}

TEST(JointBilateral, DoesNotDependOnTiles) {
    at::manual_seed(12);
    const auto field = fieldOf(at::randn({4, 5, 6}), at::rand({3, 37, 41}));
    const at::Tensor whole = field->evaluate({0, 0, 41, 37});
    EXPECT_LE(difference(evaluateInTiles(*field, 8), whole).max, 1e-5);
}

} // namespace
} // namespace loftscope
