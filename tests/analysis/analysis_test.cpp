// SPDX-License-Identifier: Apache-2.0
// Similarity, attention statistics and metrics: what they mean, on maps where the answer is known.
#include "core/analysis/attention_statistics.h"
#include "core/analysis/field_metrics.h"
#include "core/analysis/pca_file.h"
#include "core/analysis/similarity.h"
#include "core/upsample/cached_field.h"
#include "core/upsample/interpolation.h"
#include "core/upsample/tiles.h"
#include "tests/support/golden.h"

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <unistd.h>

namespace loftscope {
namespace {

using test::difference;

std::unique_ptr<FeatureField> upsampled(Interpolation kind, const at::Tensor& values,
                                        Extent extent) {
    return *makeInterpolation(kind)->bind({values}, {extent, {}});
}

TEST(Similarity, IsTheCosineAndDoesNotDependOnTiles) {
    at::manual_seed(1);
    const at::Tensor values = at::randn({12, 9, 14});
    const auto field = makeGridField({values});
    const at::Tensor unit = (values / values.norm(2, 0, true)).flatten(1);
    const at::Tensor expected = at::matmul(unit.select(1, 5 * 14 + 8), unit).view({9, 14});
    for (const std::int64_t tile : {3, 64}) {
        const auto map = similarityMap(*field, {8, 5}, tile, {});
        ASSERT_TRUE(map.has_value());
        EXPECT_LE(difference(*map, expected).max, 1e-6);
        EXPECT_NEAR((*map)[5][8].item<double>(), 1.0, 1e-6);
    }
    EXPECT_EQ(similarityMap(*field, {14, 0}, 64, {}).error().code, ErrorCode::InvalidArgument);
}

TEST(Similarity, OfAZeroFeatureIsZeroNotNaN) {
    at::Tensor values = at::ones({4, 1, 2});
    values.select(2, 1).zero_();
    const auto map = similarityMap(*makeGridField({values}), {0, 0}, 64, {});
    EXPECT_EQ((*map)[0][1].item<double>(), 0.0);
}

TEST(AttentionStatistics, OfUniformAndPeakedMaps) {
    const AttentionStatistics uniform = attentionStatistics(at::full({4, 8}, 1.0 / 32));
    EXPECT_NEAR(uniform.entropyBits, 5.0, 1e-6);
    EXPECT_NEAR(uniform.effectiveTokens, 32.0, 1e-4);
    at::Tensor peaked = at::zeros({4, 8});
    peaked[2][5] = 1.0;
    const AttentionStatistics peak = attentionStatistics(peaked);
    EXPECT_NEAR(peak.entropyBits, 0.0, 1e-9);
    EXPECT_EQ(peak.peakToken, (Pixel{5, 2}));
    EXPECT_EQ(peak.peak, 1.0);
}

TEST(FieldMetrics, NearestIsPerfectlyConsistentAndBicubicIsNot) {
    at::manual_seed(2);
    const FeatureGrid low{at::randn({6, 4, 5})};
    const at::Tensor photo = at::rand({3, 32, 40});
    const auto nearest =
        measureField(*upsampled(Interpolation::Nearest, low.values, {32, 40}), low, photo, 64, {});
    ASSERT_TRUE(nearest.has_value()) << nearest.error().message;
    EXPECT_NEAR(nearest->consistencyCosine, 1.0, 1e-6);
    EXPECT_NEAR(nearest->consistencyError, 0.0, 1e-5);
    EXPECT_NEAR(nearest->meanNorm, low.values.norm(2, 0).mean().item<double>(), 1e-4);
    const auto bilinear =
        measureField(*upsampled(Interpolation::Bilinear, low.values, {32, 40}), low, photo, 64, {});
    EXPECT_LT(bilinear->consistencyCosine, 0.999);
    EXPECT_GT(bilinear->consistencyError, 0.05);
}

TEST(FieldMetrics, FeaturesThatAreThePhotoAlignWithItsEdges) {
    at::manual_seed(3);
    const at::Tensor photo = at::rand({3, 30, 44});
    const FeatureGrid low{at::randn({3, 3, 4})};
    const auto itself = measureField(*makeGridField({photo}), low, photo, 64, {});
    EXPECT_NEAR(itself->edgeAlignment, 1.0, 1e-5);
    const auto other = measureField(*makeGridField({at::rand({3, 30, 44})}), low, photo, 64, {});
    EXPECT_LT(std::abs(other->edgeAlignment), 0.2);
    const auto constant = measureField(*makeGridField({at::ones({3, 30, 44})}), low, photo, 64, {});
    EXPECT_EQ(constant->edgeAlignment, 0.0);
    EXPECT_EQ(constant->totalVariation, 0.0);
}

TEST(FieldMetrics, DoNotDependOnTiles) {
    at::manual_seed(4);
    const FeatureGrid low{at::randn({5, 6, 7})};
    const at::Tensor photo = at::rand({3, 50, 61});
    const auto field = upsampled(Interpolation::Bicubic, low.values, {50, 61});
    const auto whole = measureField(*field, low, photo, 64, {});
    const auto tiled = measureField(*field, low, photo, 11, {});
    EXPECT_NEAR(whole->consistencyCosine, tiled->consistencyCosine, 1e-5);
    EXPECT_NEAR(whole->edgeAlignment, tiled->edgeAlignment, 1e-5);
    EXPECT_NEAR(whole->totalVariation, tiled->totalVariation, 1e-5);
    EXPECT_NEAR(whole->meanNorm, tiled->meanNorm, 1e-5);
    EXPECT_EQ(measureField(*field, low, at::rand({3, 10, 10}), 64, {}).error().code,
              ErrorCode::Mismatch);
}

TEST(PcaFile, BasisSurvivesTheDiskAndOtherFilesAreRefused) {
    namespace fs = std::filesystem;
    const fs::path folder =
        fs::temp_directory_path() / ("loftscope-basis-" + std::to_string(getpid()));
    fs::create_directories(folder);
    at::manual_seed(5);
    const auto field = makeGridField({at::randn({8, 10, 12})});
    const PcaSource source{field.get(), "test 12 x 10"};
    const auto basis = fitPca({&source, 1}, 3, 64, {});
    ASSERT_TRUE(writePcaBasis(folder / "b.safetensors", *basis).has_value());
    const auto read = readPcaBasis(folder / "b.safetensors");
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(difference(read->components, basis->components).max, 0);
    EXPECT_EQ(difference(read->mean, basis->mean).max, 0);
    EXPECT_EQ(read->fittedOn, "test 12 x 10");
    EXPECT_NEAR(read->totalVariance, basis->totalVariance, 1e-9);
    const auto other =
        readPcaBasis(std::string(LOFTSCOPE_TEST_DATA) + "/golden/fourier.constants.safetensors");
    ASSERT_FALSE(other.has_value());
    EXPECT_NE(other.error().message.find("not a PCA basis"), std::string::npos);
    fs::remove_all(folder);
}

/// Counts how often each rectangle is really computed.
class CountingField final : public FeatureField {
public:
    explicit CountingField(int& count)
        : count_(count) {}
    Extent extent() const override { return {20, 20}; }
    std::int64_t channels() const override { return 2; }
    Extent gridExtent() const override { return {2, 2}; }
    at::Tensor evaluate(const Rect& rect) const override {
        ++count_;
        return at::full({2, rect.height, rect.width}, static_cast<double>(rect.x));
    }
    std::optional<at::Tensor> attend(const Pixel&) const override { return std::nullopt; }

private:
    int& count_;
};

TEST(CachedField, ComputesATileOnceWithinItsBudget) {
    int count = 0;
    const auto field =
        makeCachedField(std::make_unique<CountingField>(count), 2 * 2 * 10 * 10 * sizeof(float));
    const auto walk = [&] {
        forEachTile(*field, wholeOf(field->extent()), 10, "", {},
                    [](const Rect& rect, const at::Tensor& tile) {
                        EXPECT_EQ(tile[0][0][0].item<double>(), static_cast<double>(rect.x));
                    });
    };
    walk();
    EXPECT_EQ(count, 4);
    walk();
    EXPECT_EQ(count, 6) << "two of the four tiles fit";
}

} // namespace
} // namespace loftscope
