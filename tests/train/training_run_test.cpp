// SPDX-License-Identifier: Apache-2.0
// A run in a folder: killed anywhere, it continues to the same numbers; its log and exports are
// whole.
#include "core/train/training_run.h"
#include "core/upsample/loftup.h"
#include "core/weights/mapped_file.h"
#include "core/weights/recognise.h"
#include "core/weights/safetensors.h"
#include "tests/train/toy_training.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace loftscope {
namespace {

namespace fs = std::filesystem;

class TrainingRun : public testing::Test {
protected:
    void SetUp() override {
        at::set_num_threads(1);
        folder_ = fs::path(testing::TempDir()) / ("training_run_" + std::to_string(getpid()));
        fs::remove_all(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    TrainingRunReport run(const std::string& name, std::int64_t steps,
                          const UpsamplerRecipe& recipe = toyRecipe(2),
                          const RunContext& context = {}) {
        UpsamplerTrainer trainer(recipe, backbone_, toyStudent(), photos_, 1, at::kCPU);
        TrainingRunOptions options;
        options.folder = folder_ / name;
        options.steps = steps;
        options.checkpointEvery = 2;
        auto report = runTraining(trainer, options, context);
        if (!report) {
            ADD_FAILURE() << report.error().message;
            return {};
        }
        return *report;
    }
    StateDict tensorsOf(const fs::path& path) {
        TensorFile file;
        const auto mapped = MappedFile::open(path);
        EXPECT_TRUE(mapped && readSafetensors(*mapped, file));
        return file.tensors;
    }
    std::vector<nlohmann::json> logOf(const std::string& name) {
        std::vector<nlohmann::json> entries;
        std::ifstream in(folder_ / name / "log.jsonl");
        for (std::string line; std::getline(in, line);)
            entries.push_back(nlohmann::json::parse(line));
        return entries;
    }
    void expectSameNumbers(const std::string& first, const std::string& second) {
        const StateDict wanted = tensorsOf(folder_ / first / "checkpoint.safetensors");
        const StateDict found = tensorsOf(folder_ / second / "checkpoint.safetensors");
        ASSERT_EQ(wanted.size(), found.size());
        for (const auto& [key, tensor] : wanted)
            EXPECT_TRUE(tensor.equal(found.at(key))) << key;
        const auto wantedLog = logOf(first);
        const auto foundLog = logOf(second);
        ASSERT_EQ(wantedLog.size(), foundLog.size());
        for (std::size_t i = 0; i < wantedLog.size(); ++i) {
            EXPECT_EQ(foundLog[i].at("step"), static_cast<std::int64_t>(i + 1));
            EXPECT_EQ(wantedLog[i].at("total"), foundLog[i].at("total")) << "step " << i + 1;
        }
    }

    fs::path folder_;
    PatchColors backbone_;
    Discs photos_{5};
};

TEST_F(TrainingRun, KilledTwiceGivesTheNumbersOfAnUninterruptedOne) {
    run("whole", 9);
    // The killed run is a process of its own that ends without any farewell, as by kill -9, between
    // two checkpoints.
    for (const std::int64_t lastStep : {3, 7}) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            RunContext context;
            context.onProgress = [&](std::string_view stage, double) {
                if (stage.find("step " + std::to_string(lastStep) + " ") != std::string_view::npos)
                    kill(getpid(), SIGKILL);
            };
            run("killed", 9, toyRecipe(2), context);
            _exit(0);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
    }
    const TrainingRunReport report = run("killed", 9);
    EXPECT_EQ(report.firstStep, 6);
    EXPECT_TRUE(report.finished);
    expectSameNumbers("whole", "killed");
}

TEST_F(TrainingRun, AStopIsSavedAndResumed) {
    run("whole", 6, toyRecipe(1));
    std::stop_source stop;
    RunContext context;
    context.stop = stop.get_token();
    context.onProgress = [&](std::string_view, double fraction) {
        if (fraction >= 0.5) stop.request_stop();
    };
    const TrainingRunReport stopped = run("stopped", 6, toyRecipe(1), context);
    EXPECT_FALSE(stopped.finished);
    EXPECT_EQ(stopped.lastStep, 3);
    EXPECT_EQ(run("stopped", 6, toyRecipe(1)).firstStep, 3);
    expectSameNumbers("whole", "stopped");
}

TEST_F(TrainingRun, ResumingWithOtherOptionsIsRefused) {
    run("run", 2);
    UpsamplerRecipe other = toyRecipe(2);
    other.learningRate *= 2;
    UpsamplerTrainer trainer(other, backbone_, toyStudent(), photos_, 1, at::kCPU);
    const auto report = runTraining(trainer, {.folder = folder_ / "run", .steps = 4}, {});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::Mismatch);
}

TEST_F(TrainingRun, ExportsWeightsThatTheProgramLoads) {
    run("run", 2);
    for (const char* name : {"loftup.safetensors", "loftup_ema.safetensors"}) {
        const StateDict state = tensorsOf(folder_ / "run" / name);
        EXPECT_EQ(state.at("upsampler.final_conv.0.weight").scalar_type(), at::kHalf);
        EXPECT_EQ(state.at("upsampler.fourier_feat.1.biases").scalar_type(), at::kFloat);
        const auto spec = recogniseLoftUp(state);
        ASSERT_TRUE(spec) << spec.error().message;
        EXPECT_EQ(spec->channels, 8);
        EXPECT_TRUE(makeLoftUp(canonicalLoftUpState(state, *spec), *spec));
    }
}

TEST_F(TrainingRun, ATimeBudgetEndsWithACheckpoint) {
    UpsamplerTrainer trainer(toyRecipe(1), backbone_, toyStudent(), photos_, 1, at::kCPU);
    TrainingRunOptions options;
    options.folder = folder_ / "run";
    options.steps = 1'000'000;
    options.checkpointEvery = 1'000'000;
    options.budgetSeconds = 0.3;
    const auto report = runTraining(trainer, options, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_FALSE(report->finished);
    EXPECT_GE(report->lastStep, 1);
    UpsamplerTrainer again(toyRecipe(1), backbone_, toyStudent(), photos_, 1, at::kCPU);
    options.steps = report->lastStep;
    EXPECT_EQ(runTraining(again, options, {})->firstStep, report->lastStep);
}

} // namespace
} // namespace loftscope
