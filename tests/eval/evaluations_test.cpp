// SPDX-License-Identifier: Apache-2.0
#include "core/eval/contour_eval.h"
#include "core/eval/knn_eval.h"
#include "core/eval/segmentation_eval.h"
#include "core/eval/video_eval.h"
#include "core/train/photo_files.h"
#include "tests/eval/toy_street.h"
#include "tests/train/toy_training.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

class ToyEvaluation : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("toy_evaluation_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        backbone_.model = std::make_shared<PatchColors>();
        backbone_.provenance = {"backbone", "patch colours", "toy", "0"};
        options_.inputSize = 64;
        options_.tile = 24; // does not divide 64 or 96
        options_.probe.steps = 200;
        options_.probe.learningRate = 0.05;
        options_.resamples = 50;
    }
    void TearDown() override { fs::remove_all(folder_); }

    Result<SegmentationReport> segment(const std::vector<std::string>& methods) {
        const auto data = openLabelledFolder({folder_ / "images", folder_ / "labels", {}, {}, {}});
        if (!data) return std::unexpected(data.error());
        const auto loaded = evaluatedMethods(methods, c10::kCPU);
        if (!loaded) return std::unexpected(loaded.error());
        return evaluateSegmentation(backbone_, *loaded, *data, options_, c10::kCPU, {});
    }

    fs::path folder_;
    LoadedBackbone backbone_;
    SegmentationOptions options_;
};

TEST_F(ToyEvaluation, ColoursTellTheClassesApart) {
    test::writeToyStreet(folder_, 4, 3);
    const auto report = segment({"lowres", "bilinear", "jbu"});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->trainPictures, 4);
    EXPECT_EQ(report->trainPixels, 4 * 1024);
    // 96 x 60 labelled pixels of every test picture, the same for every method.
    for (const SegmentationResult& result : report->results)
        EXPECT_EQ(result.confusion.sum().item<std::int64_t>(), 3 * 96 * 60);
    // 8-pixel cells cut the car's borders; joint bilateral weights mend them.
    EXPECT_GT(report->results[0].scores.meanIoU, 0.7);
    EXPECT_GT(report->results[2].scores.meanIoU, 0.9);
    EXPECT_FALSE(report->results[0].gain);
    EXPECT_NEAR(*report->results[2].gain,
                report->results[2].scores.meanIoU - report->results[0].scores.meanIoU, 1e-12);
    EXPECT_LE(report->results[1].meanIoU.low, report->results[1].scores.meanIoU);
    EXPECT_GE(report->results[1].meanIoU.high, report->results[1].scores.meanIoU);
}

TEST_F(ToyEvaluation, IsDeterministicWhateverTheTilesAndTheCompany) {
    test::writeToyStreet(folder_, 3, 2);
    const auto one = segment({"bilinear", "jbu"});
    ASSERT_TRUE(one) << one.error().message;
    options_.tile = 1000;
    const auto two = segment({"jbu"});
    ASSERT_TRUE(two) << two.error().message;
    EXPECT_TRUE(one->results[1].confusion.equal(two->results[0].confusion));
}

/// A method with weights takes the long way, over the features instead of the tokens' scores.
TEST_F(ToyEvaluation, ScoresOfTokensAreScoresOfFeatures) {
    test::writeToyStreet(folder_, 3, 2);
    const auto data = openLabelledFolder({folder_ / "images", folder_ / "labels", {}, {}, {}});
    ASSERT_TRUE(data);
    auto methods = evaluatedMethods({"bilinear", "long:bilinear"}, c10::kCPU);
    ASSERT_TRUE(methods);
    (*methods)[1].provenance = ModelProvenance{"upsampler", "as if it had weights", "toy", "0"};
    const auto report = evaluateSegmentation(backbone_, *methods, *data, options_, c10::kCPU, {});
    ASSERT_TRUE(report) << report.error().message;
    const at::Tensor difference =
        (report->results[0].confusion - report->results[1].confusion).abs();
    EXPECT_LE(difference.sum().item<std::int64_t>(), 2) << "but for ties";
}

TEST_F(ToyEvaluation, AShareOfTilesTestsFewerButTheSamePixels) {
    test::writeToyStreet(folder_, 3, 2);
    options_.testShare = 0.5;
    options_.trainShare = 0.5;
    const auto report = segment({"lowres", "bilinear", "nearest"});
    ASSERT_TRUE(report) << report.error().message;
    const auto tested = report->results[0].confusion.sum(1);
    EXPECT_LT(report->testPixels, 2 * 96 * 60 * 3 / 4);
    EXPECT_GT(report->testPixels, 2 * 96 * 60 / 4);
    EXPECT_TRUE(report->results[1].confusion.sum(1).equal(tested));
    EXPECT_TRUE(report->results[2].confusion.sum(1).equal(tested));
}

TEST_F(ToyEvaluation, NamesWhatDoesNotFit) {
    test::writeToyStreet(folder_, 1, 1);
    fs::remove(folder_ / "labels/test/0.png");
    auto report = segment({"bilinear"});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::NotFound);
    cv::imwrite((folder_ / "labels/test/0.png").string(), cv::Mat(96, 64, CV_8UC1, cv::Scalar(0)));
    report = segment({"bilinear"});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::Mismatch);
    EXPECT_NE(report.error().message.find("0.png"), std::string::npos) << report.error().message;
    EXPECT_FALSE(segment({"bilinear", "bilinear"}));
    EXPECT_FALSE(segment({}));
}

TEST_F(ToyEvaluation, FollowsASquareThroughAClip) {
    test::writeToyClip(folder_, "square", 6);
    test::writeToyClip(folder_, "short", 4);
    const auto clips = openClips(folder_, {});
    ASSERT_TRUE(clips) << clips.error().message;
    const auto methods = evaluatedMethods({"nearest", "jbu"}, c10::kCPU);
    ASSERT_TRUE(methods);
    VideoOptions options;
    options.inputSize = 64;
    options.featureSize = 32;
    const auto report = evaluateVideo(backbone_, *methods, *clips, options, c10::kCPU, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->frames, 4 + 2);
    ASSERT_EQ(report->results[1].objects.size(), 2U);
    EXPECT_EQ(report->results[1].objects[0].clip, "short");
    EXPECT_EQ(report->results[1].objects[1].regionPerFrame.size(), 4U);
    EXPECT_GT(report->results[1].region.mean, 0.85);
    EXPECT_GT(report->results[1].both, report->results[0].both);
    EXPECT_NEAR(report->results[1].both,
                (report->results[1].region.mean + report->results[1].boundary.mean) / 2, 1e-12);
}

TEST_F(ToyEvaluation, ClipsNeedMasks) {
    test::writeToyClip(folder_, "square", 3);
    EXPECT_FALSE(openClips(folder_, {.names = {"circle"}}));
    EXPECT_FALSE(openClips(folder_, {.names = {}, .frames = 2}));
    fs::remove(folder_ / "masks/square/00001.png");
    const auto clips = openClips(folder_, {});
    ASSERT_FALSE(clips);
    EXPECT_NE(clips.error().message.find("00001.png"), std::string::npos);
}

/// The square's border lies on the borders of cells: nearest has it to the pixel, bilinear blurs it
/// over two cells.
TEST_F(ToyEvaluation, ContoursLieWherePeopleDrewThem) {
    test::writeToySegments(folder_, 3);
    const auto pictures = openSegmentedPhotos(folder_, "test", 0);
    ASSERT_TRUE(pictures) << pictures.error().message;
    ASSERT_EQ(pictures->size(), 3U);
    EXPECT_EQ((*pictures)[0].segmentations.size(), 2U);
    const auto methods = evaluatedMethods({"bilinear", "nearest", "lowres"}, c10::kCPU);
    ASSERT_TRUE(methods);
    ContourOptions options;
    options.inputSize = 64;
    options.components = 3;
    options.thresholds = 10;
    options.resamples = 20;
    // 1.7 of the toy's pixels: a step between two pixels may be found on either side.
    options.tolerance = 0.015;
    const auto report = evaluateContours(backbone_, *methods, *pictures, options, c10::kCPU, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_GT(report->results[1].scores.ods, 0.95);
    EXPECT_GE(report->results[1].scores.ois, report->results[1].scores.ods);
    EXPECT_NEAR(*report->results[1].gain,
                report->results[1].scores.ods - report->results[0].scores.ods, 1e-12);
    EXPECT_EQ(report->results[0].bestPerPicture.size(), 3U);
    // The tokens at the picture's size by bilinear interpolation are what bilinear upsampling is.
    EXPECT_NEAR(report->results[2].scores.ods, report->results[0].scores.ods, 0.05);
    fs::remove(folder_ / "segs/test/1_a.png");
    fs::remove(folder_ / "segs/test/1_b.png");
    EXPECT_FALSE(openSegmentedPhotos(folder_, "test", 0));
}

TEST_F(ToyEvaluation, NeighboursShareColours) {
    test::writeToyClasses(folder_, 4);
    const auto photos = openPhotoFolder(folder_);
    ASSERT_TRUE(photos) << photos.error().message;
    const auto methods = evaluatedMethods({"lowres", "bilinear"}, c10::kCPU);
    ASSERT_TRUE(methods);
    KnnOptions options;
    options.inputSize = 48;
    options.featureSize = 12;
    options.trainPerClass = 2;
    options.testPerClass = 2;
    options.neighbours = 1;
    const auto report = evaluateKnn(backbone_, *methods, **photos, options, c10::kCPU, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->classes, 2);
    EXPECT_EQ(report->testPhotos, 4);
    EXPECT_DOUBLE_EQ(report->results[1].accuracy, 1);
    EXPECT_DOUBLE_EQ(report->results[1].perClass.at("red"), 1);
    options.trainPerClass = 4;
    EXPECT_FALSE(evaluateKnn(backbone_, *methods, **photos, options, c10::kCPU, {}));
    options.trainPerClass = 2;
    options.skip = {"red"};
    EXPECT_FALSE(evaluateKnn(backbone_, *methods, **photos, options, c10::kCPU, {}));
}

TEST(NearestClasses, VotesWeighMoreTheNearerTheyAre) {
    // One reference of class 1 at cosine 1, two of class 0 at cosine 0.6: e^(0.4 / 0.07) outweighs
    // two.
    const at::Tensor references = at::tensor({1.0F, 0.0F, 0.6F, 0.8F, 3.0F, 4.0F}).view({3, 2});
    const at::Tensor labels = at::tensor({1, 0, 0}, at::kLong);
    const at::Tensor query = at::tensor({2.0F, 0.0F}).view({1, 2});
    EXPECT_EQ(nearestClasses(references, labels, query, 2, 3).item<std::int64_t>(), 1);
    // At right angles to the first, the others win.
    const at::Tensor other = at::tensor({0.0F, 2.0F}).view({1, 2});
    EXPECT_EQ(nearestClasses(references, labels, other, 2, 3).item<std::int64_t>(), 0);
}

} // namespace
} // namespace loftscope
