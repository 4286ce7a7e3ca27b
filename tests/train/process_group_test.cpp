// SPDX-License-Identifier: Apache-2.0
// Several processes: sums, agreement, and that they train what one process trains.
#include "core/train/batch_share.h"
#include "core/train/process_group.h"
#include "core/train/training_run.h"
#include "core/weights/mapped_file.h"
#include "core/weights/safetensors.h"
#include "tests/train/processes.h"
#include "tests/train/toy_training.h"

#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

class ProcessGroups : public testing::Test {
protected:
    void SetUp() override {
        at::set_num_threads(1);
        folder_ = fs::path(testing::TempDir()) / ("process_group_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    StateDict tensorsOf(const fs::path& path) {
        TensorFile file;
        const auto mapped = MappedFile::open(path);
        EXPECT_TRUE(mapped && readSafetensors(*mapped, file)) << path;
        return file.tensors;
    }
    fs::path folder_;
};

TEST_F(ProcessGroups, OneProcessAloneNeedsNobody) {
    const ProcessGroup alone;
    EXPECT_EQ(alone.rank(), 0);
    EXPECT_EQ(alone.size(), 1);
    const at::Tensor value = at::full({2}, 3.0F);
    EXPECT_TRUE(alone.sum({value}));
    EXPECT_EQ(value[0].item<float>(), 3);
    EXPECT_TRUE(*alone.any(true));
    EXPECT_FALSE(*alone.any(false));
}

TEST_F(ProcessGroups, SumsTakesFromTheFirstAndAgrees) {
    const auto codes = inProcesses(3, [](const ProcessGroup& group) {
        const auto own = static_cast<float>(group.rank() + 1);
        const at::Tensor matrix = at::full({2, 3}, own);
        const at::Tensor scalar = at::full({}, 10 * own);
        if (group.size() != 3 || !group.sum({matrix, scalar})) return 1;
        if (!matrix.eq(6).all().item<bool>() || scalar.item<float>() != 60) return 2;
        const at::Tensor count = at::full({2}, group.rank() + 7, at::kLong);
        const at::Tensor half = at::full({1}, own, at::kHalf);
        if (!group.takeFromFirst({count, half})) return 3;
        if (count[1].item<std::int64_t>() != 7 || half.item<float>() != 1) return 4;
        const auto one = group.any(group.rank() == 2);
        const auto none = group.any(false);
        return one && *one && none && !*none ? 0 : 5;
    });
    EXPECT_EQ(codes, (std::vector<int>{0, 0, 0}));
}

TEST_F(ProcessGroups, ADeadPeerEndsWithASentence) {
    const fs::path message = folder_ / "message";
    const auto codes = inProcesses(2, [&](const ProcessGroup& group) {
        if (!group.any(true)) return 3; // all are there
        if (group.rank() == 1) kill(getpid(), SIGKILL);
        const auto sum = group.sum({at::full({4}, 1.0F)});
        if (sum) return 1;
        std::ofstream(message) << sum.error().message;
        return sum.error().code == ErrorCode::Internal ? 0 : 2;
    });
    EXPECT_EQ(codes, (std::vector<int>{0, 128 + SIGKILL}));
    std::ifstream in(message);
    std::string text;
    std::getline(in, text);
    EXPECT_NE(text.find("start all of them again"), std::string::npos) << text;
}

TEST(BatchShare, EveryBatchAndSampleOfAStepIsExactlyOnesOwn) {
    std::multiset<std::int64_t> batches;
    std::multiset<std::int64_t> samples;
    for (int rank = 0; rank < 2; ++rank) {
        const BatchShare share{3, 4, rank, 2};
        ASSERT_TRUE(share.check());
        for (std::int64_t own = 0; own < 2 * share.batches(); ++own)
            batches.insert(share.batchIndex(own));
        for (std::int64_t own = 0; own < 2 * share.batches() * 3; ++own)
            samples.insert(share.sampleIndex(own));
        EXPECT_EQ(share.batchIndex(0), rank);
        EXPECT_EQ(share.batchIndex(2), 4 + rank); // the next step
        EXPECT_EQ(share.sampleIndex(4), 3 * share.batchIndex(1) + 1);
    }
    std::multiset<std::int64_t> all;
    for (std::int64_t i = 0; i < 24; ++i) {
        all.insert(i);
        if (i == 7) {
            EXPECT_EQ(batches, all);
        }
    }
    EXPECT_EQ(samples, all);
    EXPECT_FALSE((BatchShare{1, 3, 0, 2}.check()));
}

TEST_F(ProcessGroups, TwoProcessesTrainTheUpsamplerThatOneProcessTrains) {
    for (const int stage : {1, 2}) {
        const PatchColors backbone;
        const Discs photos(5);
        UpsamplerRecipe recipe = toyRecipe(stage);
        recipe.accumulation = 4;
        recipe.classWeight = 1; // not every batch has classes
        // Some gradients are zero but for rounding (a bias before BatchNorm, the keys' bias): this
        // keeps the optimiser from blowing them up to steps of full size.
        recipe.optimizer.epsilon = 1e-2;
        const auto train = [&](const std::string& name, const ProcessGroup& group) {
            UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU, group);
            TrainingRunOptions options;
            options.folder = folder_ / name;
            options.steps = 4;
            return runTraining(trainer, options, {}) ? 0 : 1;
        };
        const std::string one = "one" + std::to_string(stage);
        const std::string two = "two" + std::to_string(stage);
        const auto codes =
            inProcesses(2, [&](const ProcessGroup& group) { return train(two, group); });
        ASSERT_EQ(codes, (std::vector<int>{0, 0}));
        ASSERT_EQ(train(one, {}), 0);
        const StateDict wanted = tensorsOf(folder_ / one / "checkpoint.safetensors");
        const StateDict found = tensorsOf(folder_ / two / "checkpoint.safetensors");
        ASSERT_EQ(wanted.size(), found.size());
        for (const auto& [key, tensor] : wanted) {
            EXPECT_TRUE(
                at::allclose(found.at(key).to(at::kDouble), tensor.to(at::kDouble), 1e-4, 1e-6))
                << key << " differs by "
                << (found.at(key) - tensor).abs().max().to(at::kDouble).item<double>();
        }
    }
}

TEST_F(ProcessGroups, TheSecondProcessHasTheSameNumbersAndWritesNothing) {
    const PatchColors backbone;
    const Discs photos(5);
    UpsamplerRecipe recipe = toyRecipe(2);
    const auto codes = inProcesses(2, [&](const ProcessGroup& group) {
        // Other initial weights: the first one's count.
        TrainableLoftUp student = TrainableLoftUp::create(
            publishedLoftUp(8), CounterRandom(static_cast<std::uint64_t>(group.rank()),
                                              RandomPurpose::Initialisation, 0));
        UpsamplerTrainer trainer(recipe, backbone, std::move(student), photos, 1, at::kCPU, group);
        TrainingRunOptions options;
        options.folder = folder_ / std::to_string(group.rank());
        options.steps = 3;
        if (!runTraining(trainer, options, {})) return 1;
        // Running statistics and the exponential average too.
        for (const auto& [key, tensor] : trainer.state()) {
            const at::Tensor firsts = tensor.clone();
            if (!group.takeFromFirst({firsts}) || !firsts.equal(tensor)) return 2;
        }
        return 0;
    });
    EXPECT_EQ(codes, (std::vector<int>{0, 0}));
    EXPECT_TRUE(fs::exists(folder_ / "0" / "loftup_ema.safetensors"));
    EXPECT_FALSE(fs::exists(folder_ / "1"));
}

TEST_F(ProcessGroups, DifferentOptionsAreNoticed) {
    const PatchColors backbone;
    const Discs photos(5);
    const auto codes = inProcesses(2, [&](const ProcessGroup& group) {
        UpsamplerRecipe recipe = toyRecipe(1);
        recipe.seed += static_cast<std::uint64_t>(group.rank());
        UpsamplerTrainer trainer(recipe, backbone, toyStudent(), photos, 1, at::kCPU, group);
        const auto report = runTraining(trainer, {.folder = folder_ / "run", .steps = 1}, {});
        return report ? 1 : static_cast<int>(report.error().code == ErrorCode::Mismatch) + 10;
    });
    EXPECT_EQ(codes[1], 11);
    EXPECT_EQ(codes[0], 10); // it is left alone
}

TEST(LaunchFromEnvironment, ReadsWhatTorchrunSets) {
    EXPECT_EQ(launchFromEnvironment()->size, 1);
    setenv("WORLD_SIZE", "4", 1);
    setenv("RANK", "3", 1);
    setenv("MASTER_ADDR", "localhost", 1);
    const auto missing = launchFromEnvironment();
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("MASTER_PORT"), std::string::npos);
    setenv("MASTER_PORT", "29500", 1);
    setenv("LOCAL_RANK", "1", 1);
    const auto launch = launchFromEnvironment();
    ASSERT_TRUE(launch) << launch.error().message;
    EXPECT_EQ(launch->rank, 3);
    EXPECT_EQ(launch->size, 4);
    EXPECT_EQ(launch->localRank, 1);
    EXPECT_EQ(launch->host, "localhost");
    EXPECT_EQ(launch->port, 29500);
    setenv("RANK", "4", 1);
    EXPECT_FALSE(launchFromEnvironment());
    for (const char* name : {"WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"})
        unsetenv(name);
}

} // namespace
} // namespace loftscope
