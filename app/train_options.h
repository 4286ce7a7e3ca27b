// SPDX-License-Identifier: Apache-2.0
// What the kinds of training have in common on the command line.
#pragma once

#include "app/command.h"
#include "core/pipeline/models.h"
#include "core/train/photo_source.h"
#include "core/train/process_group.h"
#include "core/train/trainer.h"
#include "core/train/training_run.h"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace loftscope::app {

/// Where the photos come from.
struct DataOptions {
    std::vector<std::string> data;
    std::string labels;
    std::string labelMeaning = "segments-but-zero";
    std::vector<std::string> skip;
    std::vector<std::string> classData; ///< PHOTOS:LABELS[:KEY=VALUE,...]
};

/// Declares --data, --skip and, where they are used, --labels, --label-meaning and --class-data.
void declareData(CLI::App& command, DataOptions& options, bool withLabels);
/// Errors: those of the sources, InvalidArgument (no photo at all).
Result<std::unique_ptr<PhotoSource>> openData(const DataOptions& options);

/// How long and in which steps.
struct ScheduleOptions {
    std::string out;
    std::int64_t steps = 1000;
    std::string budget;
    std::uint64_t seed = 1;
    std::int64_t batch = 1;
    std::int64_t accumulation = 1;
    std::int64_t warmUp = 0;
    std::int64_t checkpointEvery = 100;
    std::int64_t previewEvery = 0;
    int decodingThreads = 1;
};

void declareSchedule(CLI::App& command, ScheduleOptions& options);

/// One of several processes, or the only one, and its device.
struct TrainingPlace {
    ProcessGroup group;
    c10::Device device{c10::kCPU};
    at::ScalarType arithmetic = at::kFloat;
};

/// Joins the processes that torchrun's variables speak of; with several processes and --device auto
/// or cuda, each takes the GPU of its local rank. `batches`: those of a step, to be shared out.
/// Errors: InvalidArgument (tf32, fp16, variables, batches), those of deviceNamed and
/// ProcessGroup::join.
Result<TrainingPlace> trainingPlace(const CommandContext& context, const ScheduleOptions& schedule);

/// What previews show: some photos of the data as they are, cut to one size, and how the row of
/// panes of one is drawn (3 x H x W, 0..1).
struct PreviewRows {
    const PhotoSource* photos = nullptr;
    Extent extent;
    std::function<at::Tensor(const at::Tensor& picture)> draw;
};

/// Runs the trainer in its folder and reports as every training command does.
Result<void> runAndReport(Trainer& trainer, const ScheduleOptions& schedule,
                          const std::map<std::string, std::string>& exportMetadata,
                          const PreviewRows& preview, CommandContext& context);

/// Every step allocates the same large blocks again: kept in the heap instead of handed back to the
/// system each time, they save a fifth of a step on the CPU (measured: page faults).
void keepFreedMemory();

/// Each adds its sub-command to `train` and returns what it does.
CommandBody addTrainUpsampler(CLI::App& train);
CommandBody addTrainBackbone(CLI::App& train);
CommandBody addTrainPack(CLI::App& train);

} // namespace loftscope::app
