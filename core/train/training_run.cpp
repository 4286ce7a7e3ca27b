// SPDX-License-Identifier: Apache-2.0
#include "core/train/training_run.h"

#include "core/base/guard.h"
#include "core/base/part_file.h"
#include "core/train/training_page.h"
#include "core/weights/mapped_file.h"
#include "core/weights/safetensors.h"
#include "core/weights/tensor_sink.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <chrono>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <sstream>

namespace loftscope {

namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr std::size_t reportedSteps = 50;

double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Checkpoint {
    StateDict state;
    std::int64_t step = 0;
    double seconds = 0;
};

Result<Checkpoint> readCheckpoint(const fs::path& path, const std::string& recipe) {
    LOFTSCOPE_TRY(const auto mapped, MappedFile::open(path));
    TensorFile file;
    file.path = path;
    LOFTSCOPE_CHECK(readSafetensors(mapped, file));
    const auto recorded = [&](const char* key) -> std::string {
        const auto found = file.metadata.find(key);
        return found == file.metadata.end() ? std::string() : found->second;
    };
    if (recorded("format") != "loftscope-training") {
        return fail(ErrorCode::Malformed,
                    fmt::format("'{}' is not a checkpoint of a training run.", path.string()));
    }
    if (recorded("recipe") != recipe) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("The run in '{}' was begun with other options ({}): use the same "
                                "ones to resume it, or "
                                "another folder.",
                                path.parent_path().string(), recorded("recipe")));
    }
    Checkpoint checkpoint;
    checkpoint.state = std::move(file.tensors);
    const std::string step = recorded("step");
    const std::string seconds = recorded("seconds");
    std::from_chars(step.data(), step.data() + step.size(), checkpoint.step);
    std::from_chars(seconds.data(), seconds.data() + seconds.size(), checkpoint.seconds);
    return checkpoint;
}

Result<void> writeText(const fs::path& path, const std::string& text) {
    LOFTSCOPE_TRY(PartFile part, PartFile::create(path));
    LOFTSCOPE_CHECK(part.append(std::as_bytes(std::span(text))));
    return part.commit();
}

std::string readText(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The log without lines of steps after `step`: they were lost with the run that was killed.
Result<void> trimLog(const fs::path& path, std::int64_t step) {
    std::istringstream in(readText(path));
    std::string kept;
    for (std::string line; std::getline(in, line);) {
        const auto entry = nlohmann::json::parse(line, nullptr, false);
        if (entry.is_object() && entry.value("step", std::int64_t{0}) <= step) kept += line + "\n";
    }
    return writeText(path, kept);
}

std::string logLine(const StepReport& report, double seconds, double photosPerSecond) {
    nlohmann::ordered_json entry{{"step", report.step},
                                 {"seconds", std::round(seconds * 1000) / 1000}};
    for (const auto& [name, value] : report.losses)
        entry[name] = value;
    entry["gradient_norm"] = report.gradientNorm;
    entry["learning_rate"] = report.learningRate;
    entry["photos_per_second"] = std::round(photosPerSecond * 1000) / 1000;
    return entry.dump() + "\n";
}

std::string durationText(double seconds) {
    const auto whole = static_cast<std::int64_t>(seconds);
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

/// Gives every process the state of the first, which alone has read or prepared it.
Result<void> agree(Trainer& trainer) {
    const ProcessGroup& group = trainer.group();
    if (group.size() == 1) return {};
    const auto own = static_cast<std::int64_t>(std::hash<std::string>{}(trainer.describe()));
    const at::Tensor recipe = at::full({1}, own, at::kLong);
    LOFTSCOPE_CHECK(group.takeFromFirst({recipe}));
    if (recipe.item<std::int64_t>() != own) {
        return fail(ErrorCode::Mismatch,
                    fmt::format("The processes of this run were started with different options: "
                                "give rank {} those of rank 0.",
                                group.rank()));
    }
    const StateDict state = trainer.state();
    std::vector<at::Tensor> tensors;
    for (const auto& [key, tensor] : state)
        tensors.push_back(tensor);
    LOFTSCOPE_CHECK(group.takeFromFirst(tensors));
    return trainer.restore(state);
}

} // namespace

Result<TrainingRunReport> runTraining(Trainer& trainer, const TrainingRunOptions& options,
                                      const RunContext& context) {
    const ProcessGroup& group = trainer.group();
    const fs::path checkpointPath = options.folder / "checkpoint.safetensors";
    const fs::path logPath = options.folder / "log.jsonl";
    double earlier = 0;
    std::ofstream log;
    if (group.first()) {
        std::error_code code;
        fs::create_directories(options.folder, code);
        if (code)
            return fail(ErrorCode::WriteFailed,
                        fmt::format("The folder '{}' cannot be made: {}.", options.folder.string(),
                                    code.message()));
        if (fs::exists(checkpointPath, code)) {
            LOFTSCOPE_TRY(const Checkpoint checkpoint,
                          readCheckpoint(checkpointPath, trainer.describe()));
            LOFTSCOPE_CHECK(trainer.restore(checkpoint.state));
            earlier = checkpoint.seconds;
        } else {
            LOFTSCOPE_CHECK(trainer.prepare(context));
        }
        LOFTSCOPE_CHECK(trimLog(logPath, trainer.steps()));
        log.open(logPath, std::ios::app);
        if (!log)
            return fail(ErrorCode::WriteFailed,
                        fmt::format("The log '{}' cannot be written.", logPath.string()));
    }
    LOFTSCOPE_CHECK(agree(trainer));

    TrainingRunReport report;
    report.firstStep = trainer.steps();
    const Clock::time_point start = Clock::now();
    std::deque<LossReport> recent;

    const auto save = [&]() -> Result<void> {
        if (!group.first()) return {};
        const double seconds = earlier + secondsSince(start);
        StateDict state;
        for (const auto& [key, tensor] : trainer.state())
            state[key] = tensor.to(at::kCPU);
        LOFTSCOPE_CHECK(writeSafetensors(checkpointPath, {state.begin(), state.end()},
                                         {{"format", "loftscope-training"},
                                          {"recipe", trainer.describe()},
                                          {"step", fmt::format("{}", trainer.steps())},
                                          {"seconds", fmt::format("{}", seconds)}}));
        LOFTSCOPE_CHECK(writeText(options.folder / "curves.html",
                                  trainingPage(readText(logPath), trainer.describe())));
        for (const ExportedModel& model : trainer.exports()) {
            std::map<std::string, std::string> metadata = options.exportMetadata;
            metadata.insert(model.metadata.begin(), model.metadata.end());
            metadata["steps"] = fmt::format("{}", trainer.steps());
            metadata["samples"] = fmt::format("{}", trainer.steps() * trainer.photosPerStep());
            metadata["training_seconds"] = fmt::format("{:.0f}", seconds);
            metadata["recipe"] = trainer.describe();
            LOFTSCOPE_CHECK(writeSafetensors(options.folder / model.file,
                                             {model.tensors.begin(), model.tensors.end()},
                                             metadata));
        }
        return {};
    };
    const auto preview = [&]() -> Result<void> {
        return options.preview && group.first() ? options.preview(trainer.steps()) : Result<void>{};
    };

    // A process that stopped within a step would leave the others waiting: they stop together,
    // after it.
    RunContext stepContext = context;
    if (group.size() > 1) stepContext.stop = {};
    std::int64_t saved = -1;
    const auto photosPerStep = static_cast<double>(trainer.photosPerStep());
    bool budgetSpent = false;
    for (;;) {
        LOFTSCOPE_TRY(const bool over, group.any(trainer.steps() >= options.steps || budgetSpent ||
                                                 context.stop.stop_requested()));
        if (over) break;
        const Clock::time_point began = Clock::now();
        const auto step = trainer.step(stepContext);
        if (!step) {
            // A step that was interrupted has changed nothing but gradients.
            if (step.error().code == ErrorCode::Cancelled) break;
            return std::unexpected(step.error());
        }
        const double elapsed = secondsSince(start);
        if (group.first()) {
            log << logLine(*step, earlier + elapsed, photosPerStep / secondsSince(began))
                << std::flush;
            if (!log)
                return fail(ErrorCode::WriteFailed,
                            fmt::format("The log '{}' cannot be written: is the disk full?",
                                        logPath.string()));
        }
        recent.push_back(step->losses);
        if (recent.size() > reportedSteps) recent.pop_front();

        const std::int64_t done = step->step;
        const double perStep = elapsed / static_cast<double>(done - report.firstStep);
        double left = perStep * static_cast<double>(options.steps - done);
        if (options.budgetSeconds > 0) left = std::min(left, options.budgetSeconds - elapsed);
        context.progress(fmt::format("{}, step {} of {}, loss {:.4f}, {:.2f} photos/s, {} left,",
                                     trainer.title(), done, options.steps, step->losses.at("total"),
                                     photosPerStep / perStep, durationText(std::max(0.0, left))),
                         static_cast<double>(done) / static_cast<double>(options.steps));
        if (options.checkpointEvery > 0 && done % options.checkpointEvery == 0) {
            LOFTSCOPE_CHECK(save());
            saved = done;
        }
        if (options.previewEvery > 0 && done % options.previewEvery == 0)
            LOFTSCOPE_CHECK(preview());
        budgetSpent = options.budgetSeconds > 0 && elapsed + perStep > options.budgetSeconds;
    }
    if (saved != trainer.steps()) LOFTSCOPE_CHECK(save());
    if (options.previewEvery > 0) LOFTSCOPE_CHECK(preview());

    report.lastStep = trainer.steps();
    report.seconds = secondsSince(start);
    report.totalSeconds = earlier + report.seconds;
    report.finished = trainer.steps() >= options.steps;
    for (const LossReport& losses : recent) {
        for (const auto& [name, value] : losses)
            report.losses[name] += value / static_cast<double>(recent.size());
    }
    return report;
}

} // namespace loftscope
