// SPDX-License-Identifier: Apache-2.0
// PCA against the reference's joint fit, and its own guarantees.
#include "core/analysis/pca.h"
#include "core/analysis/pca_picture.h"
#include "core/upsample/interpolation.h"
#include "tests/support/golden.h"

#include <ATen/Context.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <string>

namespace loftscope {
namespace {

using test::difference;
using test::Golden;

class PublishedPca : public testing::TestWithParam<const char*> {};

TEST_P(PublishedPca, JointFitAndProjectionsEqualTheReference) {
    const Golden golden(std::string("pca.joint_") + GetParam());
    const auto low = makeGridField({golden["input.lr"][0]});
    const auto high = makeGridField({golden["input.hr"][0]});
    const std::array sources{PcaSource{low.get(), "low-res"}, PcaSource{high.get(), "high-res"}};
    const auto basis = fitPcaAsPublished(sources, 3, 9, {});
    ASSERT_TRUE(basis.has_value()) << basis.error().message;
    EXPECT_EQ(basis->fittedOn, "low-res + high-res");
    EXPECT_LE(difference(basis->mean, golden["mean"]).max, 1e-5);
    EXPECT_LE(difference(basis->components, golden["components"]).max, 1e-4);
    for (const auto& [field, key] :
         {std::pair{low.get(), std::string("lr")}, std::pair{high.get(), std::string("hr")}}) {
        const auto scores = projectField(*basis, *field, 7, {});
        ASSERT_TRUE(scores.has_value());
        EXPECT_LE(difference(scores->flatten(1).t(), golden["proj." + key]).max, 1e-4);
        PcaDisplay display;
        display.scaling = PcaScaling::MinMax;
        const auto picture = pcaPicture(*scores, *basis, display);
        ASSERT_TRUE(picture.has_value());
        // The reference divides by the maximum of the shifted scores: the same as min-max.
        const at::Tensor expected = golden["rgb." + key][0].permute({1, 2, 0}).flatten();
        for (std::int64_t i = 0; i < expected.numel(); ++i)
            ASSERT_NEAR(picture->pixels()[static_cast<std::size_t>(i)],
                        expected[i].item<double>() * 255.0, 0.55)
                << key << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Golden, PublishedPca, testing::Values("square", "nonsquare"));

TEST(Pca, RecoversPlantedDirectionsWhateverTheTiles) {
    at::manual_seed(7);
    // Channels 0, 1 and 2 vary with deviations 3, 2 and 1; the others hold a large mean and a
    // little noise.
    at::Tensor values = at::randn({16, 150, 70}) * 0.01 + 100.0;
    for (const std::int64_t i : {0, 1, 2})
        values[i] += at::randn({150, 70}) * (3.0 - static_cast<double>(i));
    const auto field = makeGridField({values});
    const std::array sources{PcaSource{field.get(), "test"}};
    const auto basis = fitPca(sources, 3, 9, {});
    ASSERT_TRUE(basis.has_value());
    for (const std::int64_t i : {0, 1, 2}) {
        const double deviation = 3.0 - static_cast<double>(i);
        EXPECT_NEAR(basis->components[i][i].item<double>(), 1.0, 1e-3)
            << "and the largest loading is positive";
        EXPECT_NEAR(basis->variances[i].item<double>(), deviation * deviation, 0.4);
    }
    EXPECT_LE(difference(basis->mean, values.flatten(1).mean(1)).max, 1e-4);
    const auto whole = fitPca(sources, 3, 4096, {});
    EXPECT_LE(difference(basis->components, whole->components).max, 1e-6);
    const auto scores = projectField(*basis, *field, 31, {});
    EXPECT_LE(difference(*scores, projectBlock(*basis, values)).max, 1e-4);
}

TEST(Pca, FieldsOfDifferentSizeCountAlike) {
    at::manual_seed(3);
    const at::Tensor small = at::randn({4, 2, 2});
    const at::Tensor large = at::randn({4, 40, 40}) + 3.0;
    const auto a = makeGridField({small});
    const auto b = makeGridField({large});
    const std::array sources{PcaSource{a.get(), "a"}, PcaSource{b.get(), "b"}};
    const auto basis = fitPca(sources, 2, 9, {});
    ASSERT_TRUE(basis.has_value());
    EXPECT_LE(
        difference(basis->mean, (small.flatten(1).mean(1) + large.flatten(1).mean(1)) / 2).max,
        1e-5);
}

TEST(Pca, ConstantFeaturesShowAsGreyNotAsNoise) {
    const auto field = makeGridField({at::ones({8, 5, 6}) * 0.3});
    const std::array sources{PcaSource{field.get(), "constant"}};
    const auto basis = fitPca(sources, 3, 9, {});
    ASSERT_TRUE(basis.has_value());
    const auto scores = projectField(*basis, *field, 64, {});
    for (const PcaScaling scaling :
         {PcaScaling::MinMax, PcaScaling::Percentile, PcaScaling::Sigmoid}) {
        PcaDisplay display;
        display.scaling = scaling;
        const auto picture = pcaPicture(*scores, *basis, display);
        ASSERT_TRUE(picture.has_value());
        for (const std::uint8_t value : picture->pixels())
            ASSERT_EQ(value, 128);
    }
}

TEST(Pca, ForegroundMaskBlackensWhatIsBelow) {
    at::Tensor scores = at::zeros({3, 1, 4});
    for (const std::int64_t i : {0, 1, 2, 3})
        scores.select(2, i).fill_(static_cast<double>(i));
    PcaBasis basis;
    basis.components = at::eye(3);
    basis.mean = at::zeros({3});
    basis.variances = at::ones({3});
    PcaDisplay display;
    display.scaling = PcaScaling::MinMax;
    display.foregroundAbove = 1.5;
    const auto picture = pcaPicture(scores, basis, display);
    ASSERT_TRUE(picture.has_value());
    EXPECT_EQ(picture->pixels()[0], 0);
    EXPECT_EQ(picture->pixels()[3], 0);
    EXPECT_EQ(picture->pixels()[6], 0) << "the lowest foreground score";
    EXPECT_EQ(picture->pixels()[9], 255);
}

TEST(Pca, RefusesWhatDoesNotFit) {
    const auto a = makeGridField({at::randn({4, 2, 2})});
    const auto b = makeGridField({at::randn({5, 2, 2})});
    const std::array both{PcaSource{a.get(), "a"}, PcaSource{b.get(), "b"}};
    EXPECT_EQ(fitPca(both, 2, 9, {}).error().code, ErrorCode::Mismatch);
    const std::array one{PcaSource{a.get(), "a"}};
    EXPECT_EQ(fitPca(one, 5, 9, {}).error().code, ErrorCode::InvalidArgument);
    const auto basis = fitPca(one, 2, 9, {});
    EXPECT_EQ(projectField(*basis, *b, 64, {}).error().code, ErrorCode::Mismatch);
}

TEST(Pca, StopsWhenAsked) {
    const auto field = makeGridField({at::randn({4, 200, 200})});
    const std::array sources{PcaSource{field.get(), "a"}};
    std::stop_source stop;
    stop.request_stop();
    const auto basis = fitPca(sources, 2, 9, {stop.get_token(), {}});
    ASSERT_FALSE(basis.has_value());
    EXPECT_EQ(basis.error().code, ErrorCode::Cancelled);
}

} // namespace
} // namespace loftscope
