// SPDX-License-Identifier: Apache-2.0
// A training run in a folder: checkpoints that survive a kill, a log, exports, a time budget.
//
//     checkpoint.safetensors   everything the run consists of; written beside and renamed
//     log.jsonl                one line per step
//     curves.html              the log as charts
//     *.safetensors            what the trainer exports
//
// With several processes, the first one writes everything.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/train/trainer.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

namespace loftscope {

struct TrainingRunOptions {
    std::filesystem::path folder; ///< made if it is not there
    std::int64_t steps = 1000;    ///< of the whole run, over all resumptions
    double budgetSeconds = 0;     ///< of this call; 0: none. Ends with a checkpoint.
    std::int64_t checkpointEvery = 100;
    std::int64_t previewEvery = 0;                          ///< 0: none
    std::map<std::string, std::string> exportMetadata = {}; ///< added to the exported files'
    /// Called every `previewEvery` steps and at the end.
    std::function<Result<void>(std::int64_t step)> preview = {};
};

struct TrainingRunReport {
    std::int64_t firstStep = 0; ///< where this call began
    std::int64_t lastStep = 0;
    double seconds = 0;      ///< of this call
    double totalSeconds = 0; ///< of all calls
    LossReport losses;       ///< means over the last 50 steps of this call, at most
    bool finished = false;   ///< all steps are done
};

/// Resumes from the folder's checkpoint if there is one, trains until the steps are done, the
/// budget is spent or a stop is asked for (in any process), and writes checkpoint and exports. A
/// stop is no error: the report says how far it came. Errors: Mismatch (the folder's run was begun
/// with another recipe; the processes have different recipes), WriteFailed, those of a step.
Result<TrainingRunReport> runTraining(Trainer& trainer, const TrainingRunOptions& options,
                                      const RunContext& context);

} // namespace loftscope
