// SPDX-License-Identifier: Apache-2.0
#include "core/train/training_run.h"

#include "core/base/guard.h"
#include "core/base/part_file.h"
#include "core/train/training_page.h"
#include "core/weights/mapped_file.h"
#include "core/weights/safetensors.h"
#include "core/weights/tensor_sink.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <chrono>
#include <deque>
#include <fstream>
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

Result<Checkpoint> readCheckpoint(const fs::path& path, const UpsamplerRecipe& recipe) {
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
    if (recorded("recipe") != recipe.describe()) {
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

} // namespace

StateDict exportedState(const TrainableLoftUp& model) {
    StateDict state = model.state();
    for (auto& [key, tensor] : state) {
        const bool exact = key.ends_with(".biases") || key.ends_with("running_mean") ||
                           key.ends_with("running_var") || !tensor.is_floating_point();
        tensor = tensor.to(at::kCPU);
        if (!exact) tensor = tensor.to(at::kHalf);
    }
    return state;
}

Result<TrainingRunReport> runTraining(UpsamplerTrainer& trainer, const TrainingRunOptions& options,
                                      const RunContext& context) {
    std::error_code code;
    fs::create_directories(options.folder, code);
    if (code)
        return fail(ErrorCode::WriteFailed, fmt::format("The folder '{}' cannot be made: {}.",
                                                        options.folder.string(), code.message()));
    const fs::path checkpointPath = options.folder / "checkpoint.safetensors";
    const fs::path logPath = options.folder / "log.jsonl";

    double earlier = 0;
    if (fs::exists(checkpointPath, code)) {
        LOFTSCOPE_TRY(const Checkpoint checkpoint,
                      readCheckpoint(checkpointPath, trainer.recipe()));
        LOFTSCOPE_CHECK(trainer.restore(checkpoint.state));
        earlier = checkpoint.seconds;
    }
    LOFTSCOPE_CHECK(trimLog(logPath, trainer.steps()));
    std::ofstream log(logPath, std::ios::app);
    if (!log)
        return fail(ErrorCode::WriteFailed,
                    fmt::format("The log '{}' cannot be written.", logPath.string()));

    TrainingRunReport report;
    report.firstStep = trainer.steps();
    const Clock::time_point start = Clock::now();
    std::deque<LossReport> recent;

    const auto save = [&]() -> Result<void> {
        const double seconds = earlier + secondsSince(start);
        StateDict state;
        for (const auto& [key, tensor] : trainer.state())
            state[key] = tensor.to(at::kCPU);
        LOFTSCOPE_CHECK(writeSafetensors(checkpointPath, {state.begin(), state.end()},
                                         {{"format", "loftscope-training"},
                                          {"recipe", trainer.recipe().describe()},
                                          {"step", fmt::format("{}", trainer.steps())},
                                          {"seconds", fmt::format("{}", seconds)}}));
        const auto write = [&](const char* name, const TrainableLoftUp& model) -> Result<void> {
            std::map<std::string, std::string> metadata = options.exportMetadata;
            metadata["layout"] = "loftup";
            metadata["channels"] = fmt::format("{}", model.spec().channels);
            metadata["steps"] = fmt::format("{}", trainer.steps());
            metadata["samples"] = fmt::format("{}", trainer.steps() * trainer.recipe().batch *
                                                        trainer.recipe().accumulation);
            metadata["training_seconds"] = fmt::format("{:.0f}", seconds);
            metadata["recipe"] = trainer.recipe().describe();
            const StateDict exported = exportedState(model);
            return writeSafetensors(options.folder / name, {exported.begin(), exported.end()},
                                    metadata);
        };
        LOFTSCOPE_CHECK(writeText(options.folder / "curves.html",
                                  trainingPage(readText(logPath), trainer.recipe().describe())));
        LOFTSCOPE_CHECK(write("loftup.safetensors", trainer.student()));
        if (const TrainableLoftUp* teacher = trainer.teacher())
            LOFTSCOPE_CHECK(write("loftup_ema.safetensors", *teacher));
        return {};
    };
    const auto preview = [&]() -> Result<void> {
        return options.preview ? options.preview(trainer, trainer.steps()) : Result<void>{};
    };

    std::int64_t saved = -1;
    const auto photosPerStep =
        static_cast<double>(trainer.recipe().batch * trainer.recipe().accumulation);
    while (trainer.steps() < options.steps && !context.stop.stop_requested()) {
        const Clock::time_point began = Clock::now();
        const auto step = trainer.step(context);
        if (!step) {
            // A step that was interrupted has changed nothing but gradients.
            if (step.error().code == ErrorCode::Cancelled) break;
            return std::unexpected(step.error());
        }
        const double elapsed = secondsSince(start);
        log << logLine(*step, earlier + elapsed, photosPerStep / secondsSince(began)) << std::flush;
        if (!log)
            return fail(
                ErrorCode::WriteFailed,
                fmt::format("The log '{}' cannot be written: is the disk full?", logPath.string()));
        recent.push_back(step->losses);
        if (recent.size() > reportedSteps) recent.pop_front();

        const std::int64_t done = step->step;
        const double perStep = elapsed / static_cast<double>(done - report.firstStep);
        double left = perStep * static_cast<double>(options.steps - done);
        if (options.budgetSeconds > 0) left = std::min(left, options.budgetSeconds - elapsed);
        context.progress(
            fmt::format("stage {}, step {} of {}, loss {:.4f}, {:.2f} photos/s, {} left,",
                        trainer.recipe().stage, done, options.steps, step->losses.at("total"),
                        photosPerStep / perStep, durationText(std::max(0.0, left))),
            static_cast<double>(done) / static_cast<double>(options.steps));
        if (options.checkpointEvery > 0 && done % options.checkpointEvery == 0) {
            LOFTSCOPE_CHECK(save());
            saved = done;
        }
        if (options.previewEvery > 0 && done % options.previewEvery == 0)
            LOFTSCOPE_CHECK(preview());
        if (options.budgetSeconds > 0 && elapsed + perStep > options.budgetSeconds) break;
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
