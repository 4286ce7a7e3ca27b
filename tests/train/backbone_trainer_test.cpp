// SPDX-License-Identifier: Apache-2.0
// Distillation: it learns, it resumes bit for bit, it does not depend on cache or processes.
#include "core/train/backbone_trainer.h"
#include "core/train/training_preview.h"
#include "core/train/training_run.h"
#include "core/weights/mapped_file.h"
#include "core/weights/recognise.h"
#include "core/weights/safetensors.h"
#include "tests/train/processes.h"
#include "tests/train/toy_training.h"

#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

constexpr VitSize toySize{.patch = toyPatch, .width = 64, .depth = 2, .grid = 4, .mlp = 2};

/// Counts what it is shown.
class CountingTeacher final : public Teacher {
public:
    explicit CountingTeacher(std::unique_ptr<Teacher> inner)
        : inner_(std::move(inner)) {}
    std::int64_t channels() const override { return inner_->channels(); }
    TeacherMap map(const at::Tensor& pictures, const Extent& nominal) const override {
        ++shown;
        return inner_->map(pictures, nominal);
    }
    mutable int shown = 0;

private:
    std::unique_ptr<Teacher> inner_;
};

class BackboneTraining : public testing::Test {
protected:
    void SetUp() override {
        at::set_num_threads(1);
        folder_ = fs::path(testing::TempDir()) / ("backbone_training_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    static BackboneRecipe recipe() {
        BackboneRecipe recipe;
        recipe.seed = 5;
        recipe.batch = 2;
        recipe.accumulation = 2;
        recipe.sizes = {{32, 32}, {24, 40}};
        recipe.learningRate = 3e-3;
        recipe.schedule.warmUp = 0;
        recipe.photoSide = 64;
        recipe.fitPhotos = 5;
        return recipe;
    }
    std::vector<DistillationTarget> targets() {
        return {{colors_, "colours", 1, 64}, {fine_, "fine", 0.5, 4}};
    }
    BackboneTrainer trainer(const BackboneRecipe& recipe, int threads = 1, ProcessGroup group = {},
                            TargetCacheOptions cache = {}) {
        return {recipe, targets(), student(), photos_, threads, at::kCPU, group, cache};
    }
    static TrainableVit student() {
        return TrainableVit::create(toySize, *toySize.spec(),
                                    CounterRandom(5, RandomPurpose::Initialisation, 0));
    }
    static void expectSame(const StateDict& wanted, const StateDict& found) {
        ASSERT_EQ(wanted.size(), found.size());
        for (const auto& [key, tensor] : wanted)
            EXPECT_TRUE(tensor.equal(found.at(key))) << key;
    }
    StateDict checkpointOf(const std::string& run) {
        TensorFile file;
        const auto mapped = MappedFile::open(folder_ / run / "checkpoint.safetensors");
        EXPECT_TRUE(mapped && readSafetensors(*mapped, file));
        return file.tensors;
    }

    fs::path folder_;
    Discs photos_{5};
    std::shared_ptr<CountingTeacher> colors_ = std::make_shared<CountingTeacher>(
        teacherFromBackbone(std::make_shared<PatchColors>(), {.path = "a"}));
    std::shared_ptr<CountingTeacher> fine_ = std::make_shared<CountingTeacher>(
        teacherFromBackbone(std::make_shared<PatchColors>(), {.path = "b", .size = 2}));
};

TEST_F(BackboneTraining, LearnsItsTargetsInAFewSteps) {
    for (const TeacherView view : {TeacherView::Photo, TeacherView::Crop}) {
        BackboneRecipe wanted = recipe();
        wanted.view = view;
        wanted.augmentation.colorJitter = 0;
        BackboneTrainer learner = trainer(wanted);
        const LossReport before = meanOf(learner, 1);
        if (view == TeacherView::Photo) { // a fresh student knows nothing: about one of each kind
            EXPECT_NEAR(before.at("squared colours"), 1, 0.5);
            EXPECT_NEAR(before.at("cosine fine"), 1, 0.3);
        }
        EXPECT_NEAR(before.at("total"),
                    before.at("squared colours") + before.at("cosine colours") +
                        0.5 * (before.at("squared fine") + before.at("cosine fine")),
                    1e-5);
        meanOf(learner, 60);
        const LossReport after = meanOf(learner, 5);
        for (const auto& [name, value] : after)
            EXPECT_LT(value, 0.5 * before.at(name)) << name;
    }
}

TEST_F(BackboneTraining, AResumedRunEqualsAnUninterruptedOneBitForBit) {
    BackboneTrainer whole = trainer(recipe(), 2);
    meanOf(whole, 6);
    StateDict saved;
    {
        BackboneTrainer killed = trainer(recipe(), 1);
        meanOf(killed, 3);
        for (const auto& [key, tensor] : killed.state())
            saved[key] = tensor.clone();
        meanOf(killed, 1); // lost
    }
    BackboneTrainer resumed = trainer(recipe(), 2);
    const int fitted = colors_->shown;
    const auto restored = resumed.restore(saved);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(resumed.steps(), 3);
    meanOf(resumed, 3);
    expectSame(whole.state(), resumed.state());
    EXPECT_EQ(colors_->shown - fitted, 3 * 4); // the whitening was not fitted again
}

TEST_F(BackboneTraining, KilledTwiceGivesTheNumbersOfAnUninterruptedRun) {
    const auto run = [&](const std::string& name, const RunContext& context) {
        BackboneTrainer learner =
            trainer(recipe(), 1, {}, {folder_ / name / "targets_0.cache", 1 << 20});
        TrainingRunOptions options;
        options.folder = folder_ / name;
        options.steps = 8;
        options.checkpointEvery = 2;
        const auto report = runTraining(learner, options, context);
        EXPECT_TRUE(report) << report.error().message;
        return report ? report->firstStep : -1;
    };
    run("whole", {});
    for (const std::int64_t lastStep : {3, 5}) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            RunContext context;
            context.onProgress = [&](std::string_view stage, double) {
                if (stage.find("step " + std::to_string(lastStep) + " ") != std::string_view::npos)
                    kill(getpid(), SIGKILL);
            };
            run("killed", context);
            _exit(0);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
    }
    EXPECT_EQ(run("killed", {}), 4);
    expectSame(checkpointOf("whole"), checkpointOf("killed"));
}

TEST_F(BackboneTraining, TheCacheChangesNothingButTheWork) {
    BackboneTrainer without = trainer(recipe());
    meanOf(without, 5);
    const int work = colors_->shown;
    BackboneTrainer with = trainer(recipe(), 1, {}, {folder_ / "targets", 1 << 20});
    meanOf(with, 5);
    expectSame(without.state(), with.state());
    EXPECT_EQ(work, 5 + 5 * 4);
    EXPECT_EQ(colors_->shown - work, 5 + 5); // the fit, and every photo once
}

TEST_F(BackboneTraining, TheCacheOfOneRunServesAnotherWithTheSameTargets) {
    const TargetCacheOptions cache{folder_ / "targets", 1 << 20};
    BackboneTrainer first = trainer(recipe(), 1, {}, cache);
    meanOf(first, 5);
    int work = colors_->shown;
    BackboneRecipe other = recipe();
    other.seed = 6;
    other.learningRate = 1e-3;
    BackboneTrainer second = trainer(other, 1, {}, cache);
    meanOf(second, 5);
    EXPECT_EQ(colors_->shown - work, 5); // the fit alone
    other.photoSide = 48;                // here the teachers see something else
    work = colors_->shown;
    BackboneTrainer third = trainer(other, 1, {}, cache);
    meanOf(third, 5);
    EXPECT_EQ(colors_->shown - work, 5 + 5);
}

TEST_F(BackboneTraining, TwoProcessesTrainWhatOneTrains) {
    BackboneRecipe shared = recipe();
    shared.accumulation = 4;
    // Some gradients are zero but for rounding (the keys' bias).
    shared.optimizer.epsilon = 1e-4;
    const auto train = [&](const std::string& name, const ProcessGroup& group) {
        BackboneTrainer learner = trainer(shared, 1, group);
        TrainingRunOptions options;
        options.folder = folder_ / name;
        options.steps = 5;
        return runTraining(learner, options, {}) ? 0 : 1;
    };
    const auto codes =
        inProcesses(2, [&](const ProcessGroup& group) { return train("two", group); });
    ASSERT_EQ(codes, (std::vector<int>{0, 0}));
    ASSERT_EQ(train("one", {}), 0);
    const StateDict wanted = checkpointOf("one");
    const StateDict found = checkpointOf("two");
    ASSERT_EQ(wanted.size(), found.size());
    for (const auto& [key, tensor] : wanted)
        EXPECT_TRUE(at::allclose(found.at(key).to(at::kDouble), tensor.to(at::kDouble), 1e-3, 1e-5))
            << key << " differs by "
            << (found.at(key) - tensor).abs().max().to(at::kDouble).item<double>();
}

TEST_F(BackboneTraining, ExportsTheAverageAsABackboneThatIsRecognised) {
    BackboneTrainer learner = trainer(recipe());
    meanOf(learner, 4);
    const auto models = learner.exports();
    ASSERT_EQ(models.size(), 1U);
    EXPECT_EQ(models[0].file, "backbone.safetensors");
    EXPECT_EQ(models[0].metadata.at("teachers"), "colours + fine");
    const auto spec = recogniseVit(models[0].tensors);
    ASSERT_TRUE(spec) << spec.error().message;
    EXPECT_EQ(spec->layout, VitLayout::Hub);
    EXPECT_EQ(spec->width, 64);
    const std::string key = "blocks.0.mlp.fc1.weight";
    EXPECT_EQ(models[0].tensors.at(key).scalar_type(), at::kHalf);
    const at::Tensor average = learner.average().parameters().at(key);
    EXPECT_TRUE(models[0].tensors.at(key).equal(average.to(at::kHalf)));
    EXPECT_FALSE(average.equal(learner.student().parameters().at(key)));
}

TEST_F(BackboneTraining, TheAverageFollowsTheStudentFasterInTheBeginning) {
    BackboneRecipe slow = recipe();
    slow.emaDecay = 0.999;
    BackboneTrainer learner = trainer(slow);
    const at::Tensor start = learner.student().parameters().at("norm.weight").detach().clone();
    meanOf(learner, 1);
    const at::Tensor student = learner.student().parameters().at("norm.weight").detach();
    const at::Tensor average = learner.average().parameters().at("norm.weight").detach();
    EXPECT_TRUE(at::allclose(average, start * 0.1 + student * 0.9, 1e-5, 1e-7));
}

TEST_F(BackboneTraining, DecaysMatricesAlone) {
    BackboneRecipe decaying = recipe();
    decaying.learningRate = 1e-3;
    decaying.optimizer.weightDecay = 500; // halves a matrix per step
    BackboneTrainer learner = trainer(decaying);
    const StateDict& parameters = learner.student().parameters();
    const double matrix = parameters.at("blocks.0.mlp.fc1.weight").norm().item<double>();
    const double table = parameters.at("pos_embed").norm().item<double>();
    meanOf(learner, 2);
    EXPECT_LT(parameters.at("blocks.0.mlp.fc1.weight").norm().item<double>(), 0.5 * matrix);
    EXPECT_GT(parameters.at("pos_embed").norm().item<double>(), 0.8 * table);
    EXPECT_NEAR(parameters.at("norm.weight").mean().item<double>(), 1, 0.05);
}

TEST_F(BackboneTraining, PreviewsShowStudentAndTargets) {
    BackboneTrainer learner = trainer(recipe());
    meanOf(learner, 1);
    const at::Tensor picture = photos_.load(0)->pixels.permute({2, 0, 1}).to(at::kFloat) / 255;
    const at::Tensor row = previewRow(learner, picture, at::kCPU);
    EXPECT_EQ(row.sizes(), at::IntArrayRef({3, 64, 5 * 64}));
    EXPECT_GE(row.min().item<double>(), 0);
    EXPECT_LE(row.max().item<double>(), 1);
    EXPECT_TRUE(row.slice(2, 0, 64).equal(picture));
}

TEST_F(BackboneTraining, SaysWhatIsWrong) {
    BackboneRecipe wrong = recipe();
    EXPECT_TRUE(wrong.check(8));
    wrong.sizes = {{32, 33}};
    ASSERT_FALSE(wrong.check(8));
    EXPECT_NE(wrong.check(8).error().message.find("32 x 33"), std::string::npos);
    for (const std::int64_t patch : {8, 14, 16})
        EXPECT_TRUE(BackboneRecipe::forPatch(patch).check(patch));

    BackboneTrainer learner = trainer(recipe());
    meanOf(learner, 1);
    StateDict torn = learner.state();
    torn.erase("targets.0.mean");
    EXPECT_EQ(learner.restore(torn).error().code, ErrorCode::Mismatch);
    // Targets of the same name are told apart.
    const BackboneTrainer twins(recipe(), {{colors_, "same"}, {fine_, "same"}}, student(), photos_,
                                1, at::kCPU);
    EXPECT_EQ(twins.targets()[1].label, "same (2)");
}

} // namespace
} // namespace loftscope
