// SPDX-License-Identifier: Apache-2.0
// Both stages end to end on a toy backbone: they learn, and a resumed run gives the numbers of an
// uninterrupted one.
#include "core/train/local_start.h"
#include "core/train/upsampler_trainer.h"
#include "tests/train/toy_training.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>

namespace loftscope {
namespace {

class OneThread {
public:
    OneThread() { at::set_num_threads(1); }
};

/// With windows of maps smaller than the input, whose pixels look around themselves.
UpsamplerRecipe matchingRecipe(int stage) {
    UpsamplerRecipe recipe = toyRecipe(stage);
    recipe.sizes = {64};
    recipe.window = 16;
    recipe.crops = 1;
    recipe.mapShrinks = {1, 2};
    recipe.matchWeight = 2;
    recipe.matchRadius = 4;
    recipe.matchSide = 10;
    recipe.matchTemperature = 0.1;
    return recipe;
}

TEST(UpsamplerTrainer, StageOneLearnsOnePhotoInAFewSteps) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerTrainer trainer(toyRecipe(1), backbone, toyStudent(), photos, 1, at::kCPU);
    const LossReport before = meanOf(trainer, 3);
    meanOf(trainer, 34);
    const LossReport after = meanOf(trainer, 3);
    EXPECT_LT(after.at("mask"), 0.5 * before.at("mask"));
    EXPECT_LT(after.at("reconstruction"), 0.5 * before.at("reconstruction"));
    EXPECT_GT(before.at("tv"), 0);
}

TEST(UpsamplerTrainer, StageZeroTeachesThePlaceOfTokensInAnyOrder) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(4);
    UpsamplerRecipe recipe = toyRecipe(0);
    recipe.frozenNorms = true;
    LoftUpSpec spec = publishedLoftUp(8);
    spec.frequencies = spec.lrFrequencies = localStartFrequencies;
    spec.dim = spec.channels + 4 * spec.lrFrequencies;
    TrainableLoftUp student =
        TrainableLoftUp::create(spec, CounterRandom(5, RandomPurpose::Initialisation, 0));
    ASSERT_TRUE(beginLocal(student.parameters(), spec));
    UpsamplerTrainer trainer(recipe, backbone, std::move(student), photos, 1, at::kCPU);
    const LossReport before = meanOf(trainer, 3);
    meanOf(trainer, 60);
    const LossReport after = meanOf(trainer, 3);
    EXPECT_LT(after.at("place"), 0.5 * before.at("place"));
    EXPECT_LT(after.at("place"), 0.25 * after.at("variance"));
}

TEST(UpsamplerTrainer, WindowsOfThePhotoTrainItToo) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerRecipe recipe = toyRecipe(1);
    recipe.sizes = {64};
    recipe.window = 32;
    // A window that sat elsewhere than the tokens it is compared with could not learn this.
    UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
    const LossReport before = meanOf(trainer, 3);
    meanOf(trainer, 50);
    const LossReport after = meanOf(trainer, 5);
    EXPECT_LT(after.at("mask"), 0.5 * before.at("mask"));
    EXPECT_LT(after.at("reconstruction"), 0.5 * before.at("reconstruction"));
}

TEST(UpsamplerTrainer, MapsSmallerThanTheInputTrainItToo) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerRecipe recipe = toyRecipe(1);
    recipe.sizes = {64};
    recipe.window = 16;
    recipe.mapShrinks = {2};
    // As above: 16 pixels of the map show 32 of the input, whose tokens they are compared with.
    UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
    const LossReport before = meanOf(trainer, 3);
    meanOf(trainer, 50);
    const LossReport after = meanOf(trainer, 5);
    EXPECT_LT(after.at("mask"), 0.5 * before.at("mask"));
    EXPECT_LT(after.at("reconstruction"), 0.5 * before.at("reconstruction"));
}

/// Stage 1 on photos as they are.
UpsamplerRecipe wholePhotosRecipe() {
    UpsamplerRecipe recipe = toyRecipe(1);
    recipe.augmentation.smallestShare = 1;
    recipe.augmentation.largestStretch = 1;
    recipe.augmentation.colorJitter = 0;
    return recipe;
}

/// What the student makes of a photo, 1 x C x H x W.
at::Tensor featuresOf(const UpsamplerTrainer& trainer, const TrainingPhoto& photo) {
    const c10::NoGradGuard noGrad;
    const at::Tensor picture = photo.pixels.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat) / 255;
    const at::Tensor low = trainer.student().channelNorm(
        trainer.backbone().run(picture, {}, {})->tokens.values.unsqueeze(0));
    return trainer.student().forward(low, picture, {});
}

/// Bright and dark squares half as wide as a patch: every token of the photo as it is sees the
/// same. Dark and bright are classes; the right half of the photo is unlabelled.
class FineSquares final : public PhotoSource {
public:
    std::int64_t size() const override { return 1; }
    std::string name(std::int64_t) const override { return "squares"; }
    std::int64_t classSets() const override { return 1; }
    Result<TrainingPhoto> load(std::int64_t) const override {
        TrainingPhoto photo{at::empty({32, 32, 3}, at::kByte), {}};
        photo.classes = at::full({32, 32}, -1, at::kLong);
        auto* pixels = photo.pixels.mutable_data_ptr<std::uint8_t>();
        auto* classes = photo.classes.mutable_data_ptr<std::int64_t>();
        for (std::int64_t i = 0; i < 32 * 32; ++i) {
            const bool bright = (i % 32 / (toyPatch / 2) + i / 32 / (toyPatch / 2)) % 2 == 0;
            std::fill_n(pixels + i * 3, 3, static_cast<std::uint8_t>(bright ? 200 : 50));
            if (i % 32 < 16) classes[i] = bright ? 1 : 0;
        }
        return photo;
    }
};

/// How far the means of two neighbouring squares lie apart, in lengths of a feature.
double contrastOfSquares(const UpsamplerTrainer& trainer) {
    const at::Tensor features = featuresOf(trainer, *FineSquares().load(0));
    const auto middle = [&features](std::int64_t y, std::int64_t x) {
        return features.slice(2, y, y + 2).slice(3, x, x + 2).mean(at::IntArrayRef{2, 3});
    };
    return (middle(9, 9) - middle(9, 13)).norm().item<double>() /
           features.norm(2, 1).mean().item<double>();
}

TEST(UpsamplerTrainer, AZoomedTargetTeachesDetailThatTheTokensDoNotShow) {
    const OneThread oneThread;
    const PatchColors backbone;
    const FineSquares photos;
    UpsamplerRecipe recipe = wholePhotosRecipe();
    const auto contrastAfter = [&](std::int64_t zoom) {
        recipe.targetZoom = zoom;
        UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
        meanOf(trainer, 60);
        return contrastOfSquares(trainer);
    };
    EXPECT_GT(contrastAfter(2), 4 * contrastAfter(1));
}

/// Dark on the left, bright on the right, with the edge in the middle of a column of patches.
class EdgeInsidePatches final : public PhotoSource {
public:
    static constexpr std::int64_t edge = 2 * toyPatch + toyPatch / 2;
    std::int64_t size() const override { return 1; }
    std::string name(std::int64_t) const override { return "edge"; }
    Result<TrainingPhoto> load(std::int64_t) const override {
        TrainingPhoto photo{at::full({32, 32, 3}, 50, at::kByte), {}};
        photo.pixels.slice(1, edge).fill_(200);
        return photo;
    }
};

TEST(UpsamplerTrainer, AShiftedTargetTeachesSteeperEdgesThanTheTokensShow) {
    const OneThread oneThread;
    const PatchColors backbone;
    const EdgeInsidePatches photos;
    UpsamplerRecipe recipe = wholePhotosRecipe();
    recipe.augmentation.flips = false;
    recipe.augmentation.masks = false;
    recipe.reconstructionWeight = 0;
    const auto stepAfter = [&](std::int64_t shifts) {
        recipe.targetShifts = shifts;
        UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
        meanOf(trainer, 80);
        const at::Tensor row = featuresOf(trainer, *photos.load(0)).select(2, 16);
        const auto between = [&row](std::int64_t left, std::int64_t right) {
            return (row.select(2, left) - row.select(2, right)).norm().item<double>();
        };
        return between(EdgeInsidePatches::edge - 2, EdgeInsidePatches::edge + 1) / between(4, 28);
    };
    EXPECT_GT(stepAfter(2), 1.25 * stepAfter(1));
}

TEST(UpsamplerTrainer, FrozenNormsKeepTheirStatistics) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(2);
    UpsamplerTrainer first(toyRecipe(1), backbone, toyStudent(), photos, 1, at::kCPU);
    meanOf(first, 2);
    UpsamplerRecipe recipe = toyRecipe(1);
    recipe.frozenNorms = true;
    UpsamplerTrainer second(recipe, backbone, first.student().clone(), photos, 1, at::kCPU);
    meanOf(second, 2);
    const StateDict before = first.student().state();
    const StateDict after = second.student().state();
    const std::string norm = "upsampler.first_conv.2.";
    EXPECT_GT(before.at(norm + "running_mean").abs().max().item<double>(), 0);
    EXPECT_TRUE(after.at(norm + "running_mean").equal(before.at(norm + "running_mean")));
    EXPECT_TRUE(after.at(norm + "running_var").equal(before.at(norm + "running_var")));
    EXPECT_FALSE(after.at(norm + "weight").equal(before.at(norm + "weight")));
}

TEST(UpsamplerTrainer, StageTwoBringsTheStudentsAffinitiesToTheTeachers) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerTrainer first(toyRecipe(1), backbone, toyStudent(), photos, 1, at::kCPU);
    meanOf(first, 20);
    UpsamplerTrainer second(toyRecipe(2), backbone, first.student().clone(), photos, 1, at::kCPU);
    const LossReport before = meanOf(second, 3);
    meanOf(second, 30);
    const LossReport after = meanOf(second, 3);
    EXPECT_LT(after.at("affinity"), before.at("affinity"));
    EXPECT_LT(after.at("total"), before.at("total"));
}

TEST(UpsamplerTrainer, StageTwoComparesStudentAndTeacherAtTheSamePlaceOfAWindow) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(6);
    UpsamplerTrainer first(toyRecipe(1), backbone, toyStudent(), photos, 1, at::kCPU);
    meanOf(first, 30);
    // A crop of the large photo at the input's own size is the input: without masks, student and
    // teacher are the same network and see the same, so that their affinities differ only where
    // they are computed at different places.
    UpsamplerRecipe recipe = toyRecipe(2);
    recipe.hrSize = recipe.sizes[0];
    recipe.window = 16;
    recipe.crops = 1;
    recipe.frozenNorms = true;
    recipe.augmentation.masks = false;
    recipe.learningRate = 1e-12;
    ASSERT_TRUE(recipe.check(toyPatch));
    UpsamplerTrainer same(recipe, backbone, first.student().clone(), photos, 1, at::kCPU);
    EXPECT_LT(meanOf(same, 4).at("affinity"), 1e-9);

    recipe.sizes = {64};
    recipe.hrSize = 64;
    recipe.mapShrinks = {2, 4};
    ASSERT_TRUE(recipe.check(toyPatch));
    UpsamplerTrainer shrunk(recipe, backbone, first.student().clone(), photos, 1, at::kCPU);
    EXPECT_LT(meanOf(shrunk, 6).at("affinity"), 1e-9);

    // A larger photo shows more detail; the student comes closer to it.
    recipe = toyRecipe(2);
    recipe.window = 16;
    recipe.crops = 1;
    UpsamplerTrainer finer(recipe, backbone, first.student().clone(), photos, 1, at::kCPU);
    const double before = meanOf(finer, 6).at("affinity");
    meanOf(finer, 40);
    EXPECT_LT(meanOf(finer, 6).at("affinity"), before);
}

TEST(UpsamplerTrainer, TheTeacherFollowsOnlyAtItsInterval) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(2);
    UpsamplerTrainer trainer(toyRecipe(2), backbone, toyStudent(), photos, 1, at::kCPU);
    const std::string key = "teacher.upsampler.final_conv.0.weight";
    const at::Tensor start = trainer.state().at(key).clone();
    meanOf(trainer, 1);
    EXPECT_TRUE(trainer.state().at(key).equal(start));
    meanOf(trainer, 1);
    EXPECT_FALSE(trainer.state().at(key).equal(start));
}

TEST(UpsamplerTrainer, MatchingTeachesPixelsToFindTheirMaskInAMovedView) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(3);
    for (const int stage : {1, 2}) {
        // The same photos, windows and views for every student.
        const auto match = [&](const TrainableLoftUp& student) {
            UpsamplerRecipe recipe = matchingRecipe(stage);
            recipe.seed = 77;
            recipe.learningRate = 1e-12;
            UpsamplerTrainer trainer(recipe, backbone, student.clone(), photos, 1, at::kCPU);
            return meanOf(trainer, 8).at("match");
        };
        const auto trainedWith = [&](double weight) {
            UpsamplerRecipe recipe = matchingRecipe(stage);
            recipe.matchWeight = weight;
            recipe.hrWeight = 0.1; // the teacher has learned nothing and would hold it back
            UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
            meanOf(trainer, 60);
            return match(trainer.student());
        };
        const double after = trainedWith(2);
        EXPECT_LT(after, 0.5 * match(toyStudent())) << stage;
        // The other parts alone do not teach it as well.
        EXPECT_LT(after, 0.8 * trainedWith(0)) << stage;
    }
}

TEST(UpsamplerTrainer, MasksThatMoveOnTheirOwnChangeWhatIsToBeFoundAgainAlone) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(3);
    const auto firstStep = [&](double share) {
        UpsamplerRecipe recipe = matchingRecipe(1);
        recipe.movingMasks = share;
        UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
        return meanOf(trainer, 1);
    };
    LossReport still = firstStep(0);
    LossReport moving = firstStep(1);
    EXPECT_GT(std::abs(moving.at("match") - still.at("match")), 1e-3);
    for (const char* part : {"mask", "reconstruction", "tv"})
        EXPECT_EQ(moving.at(part), still.at(part)) << part;
}

TEST(UpsamplerTrainer, WithoutMasksThereIsNothingToMatch) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerRecipe recipe = matchingRecipe(1);
    recipe.movingMasks = 1;
    recipe.augmentation.masks = false;
    UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
    EXPECT_EQ(meanOf(trainer, 2).at("match"), 0);
}

TEST(UpsamplerTrainer, AClassLossTeachesFeaturesWhatTokensDoNotShow) {
    const OneThread oneThread;
    const PatchColors backbone;
    const FineSquares photos;
    for (const int stage : {1, 2}) {
        const auto trainedWith = [&](double weight) {
            UpsamplerRecipe recipe = wholePhotosRecipe();
            recipe.stage = stage;
            recipe.hrSize = 32;
            recipe.hrWeight = 0;
            recipe.classWeight = weight;
            UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
            const double first = meanOf(trainer, 1)["class"];
            const double last = meanOf(trainer, 60)["class"];
            // Scores begin at 0: each of 256 classes is as likely.
            EXPECT_NEAR(first, weight * std::log(256), 1e-4) << stage;
            EXPECT_LE(last, 0.5 * first) << stage;
            return contrastOfSquares(trainer);
        };
        EXPECT_GT(trainedWith(1), 4 * trainedWith(0)) << stage;
    }
}

TEST(UpsamplerTrainer, ClassesAreReadWhereTheWindowIs) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(2);
    UpsamplerRecipe recipe = matchingRecipe(1);
    recipe.matchWeight = 0;
    recipe.classWeight = 1;
    UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
    meanOf(trainer, 60);
    // Were maps and windows cut out elsewhere, the disc's border could not be told to the pixel.
    EXPECT_LT(meanOf(trainer, 8)["class"], 0.15);
}

TEST(UpsamplerTrainer, HeadsAreNotPartOfTheModel) {
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerRecipe recipe = toyRecipe(1);
    EXPECT_FALSE(UpsamplerTrainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU)
                     .state()
                     .contains("class_heads.weight"));
    recipe.classWeight = 1;
    const UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
    EXPECT_TRUE(trainer.state().contains("class_heads.weight"));
    const std::vector<ExportedModel> models = trainer.exports();
    ASSERT_EQ(models.size(), 1U);
    for (const auto& [key, tensor] : models[0].tensors)
        EXPECT_FALSE(key.starts_with("class")) << key;
}

void expectResumedEqualsUninterrupted(const UpsamplerRecipe& recipe) {
    const OneThread oneThread;
    const PatchColors backbone;
    const Discs photos(5);
    UpsamplerTrainer whole(recipe, backbone, toyStudent(), photos, 2, at::kCPU);
    meanOf(whole, 6);

    StateDict saved;
    {
        UpsamplerTrainer killed(recipe, backbone, toyStudent(), photos, 1, at::kCPU);
        meanOf(killed, 3);
        for (const auto& [key, tensor] : killed.state())
            saved[key] = tensor.clone();
        meanOf(killed, 1); // lost
    }
    UpsamplerTrainer resumed(recipe, backbone, toyStudent(), photos, 2, at::kCPU);
    const auto restored = resumed.restore(saved);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(resumed.steps(), 3);
    meanOf(resumed, 3);
    for (const auto& [key, tensor] : whole.state())
        EXPECT_TRUE(tensor.equal(resumed.state().at(key))) << key;
}

TEST(UpsamplerTrainer, AResumedStageOneEqualsAnUninterruptedOneBitForBit) {
    expectResumedEqualsUninterrupted(toyRecipe(1));
}

TEST(UpsamplerTrainer, AResumedStageTwoEqualsAnUninterruptedOneBitForBit) {
    expectResumedEqualsUninterrupted(toyRecipe(2));
}

TEST(UpsamplerTrainer, AResumedRunThatMatchesEqualsAnUninterruptedOneBitForBit) {
    for (const int stage : {1, 2})
        expectResumedEqualsUninterrupted(matchingRecipe(stage));
}

TEST(UpsamplerTrainer, AResumedRunThatReadsClassesEqualsAnUninterruptedOneBitForBit) {
    for (const int stage : {1, 2}) {
        UpsamplerRecipe recipe = matchingRecipe(stage);
        recipe.classWeight = 1;
        expectResumedEqualsUninterrupted(recipe);
    }
}

TEST(UpsamplerTrainer, RefusesACheckpointOfAnotherModelAndStaysAsItWas) {
    const PatchColors backbone;
    const Discs photos(1);
    UpsamplerTrainer trainer(toyRecipe(1), backbone, toyStudent(), photos, 1, at::kCPU);
    StateDict state;
    for (const auto& [key, tensor] : trainer.state())
        state[key] = tensor + 1;
    state.erase("student.upsampler.final_conv.0.weight");
    const at::Tensor before = trainer.state().at("student.upsampler.final_conv.0.bias").clone();
    const auto restored = trainer.restore(state);
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, ErrorCode::Mismatch);
    EXPECT_TRUE(trainer.state().at("student.upsampler.final_conv.0.bias").equal(before));
}

TEST(UpsamplerRecipe, ChecksSizesAgainstThePatch) {
    UpsamplerRecipe recipe = UpsamplerRecipe::published(2, 14);
    EXPECT_TRUE(recipe.check(14));
    EXPECT_EQ(recipe.sizes.back(), 518);
    recipe.sizes = {225};
    ASSERT_FALSE(recipe.check(14));
    EXPECT_NE(recipe.check(14).error().message.find("225"), std::string::npos);
    recipe = UpsamplerRecipe::published(2, 16);
    recipe.hrSize = 448;
    EXPECT_FALSE(recipe.check(16));
    recipe = UpsamplerRecipe::published(2, 16);
    recipe.window = 64;
    EXPECT_FALSE(recipe.check(16)); // of two crops
    recipe.crops = 1;
    EXPECT_TRUE(recipe.check(16));
    recipe = UpsamplerRecipe::published(1, 16);
    recipe.targetZoom = 3;
    EXPECT_TRUE(recipe.check(16));
    recipe.targetZoom = 0;
    EXPECT_FALSE(recipe.check(16));
    recipe = UpsamplerRecipe::published(1, 16);
    recipe.targetShifts = 2;
    EXPECT_TRUE(recipe.check(16));
    EXPECT_FALSE(recipe.check(14));
    recipe = UpsamplerRecipe::published(1, 16);
    recipe.mapShrinks = {1, 2, 4};
    EXPECT_TRUE(recipe.check(16));
    recipe.mapShrinks = {3};
    EXPECT_FALSE(recipe.check(16));
    recipe.mapShrinks = {};
    EXPECT_FALSE(recipe.check(16));
    recipe = UpsamplerRecipe::published(1, 16);
    EXPECT_EQ(recipe.matchWeight, 0);
    recipe.matchWeight = 1;
    EXPECT_TRUE(recipe.check(16));
    recipe.matchTemperature = 0;
    EXPECT_FALSE(recipe.check(16));
    recipe = UpsamplerRecipe::published(1, 16);
    EXPECT_EQ(recipe.classWeight, 0);
    recipe.classWeight = -1;
    EXPECT_FALSE(recipe.check(16));
}

} // namespace
} // namespace loftscope
