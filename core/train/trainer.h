// SPDX-License-Identifier: Apache-2.0
// What a training run needs to know of that which is trained.
#pragma once

#include "core/base/error.h"
#include "core/base/run_context.h"
#include "core/train/process_group.h"
#include "core/train/sample_stream.h"
#include "core/weights/state_dict.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace loftscope {

/// Losses of a step by name, before their weights; "total" is after them.
using LossReport = std::map<std::string, double>;

struct StepReport {
    std::int64_t step = 0; ///< how many are done now
    LossReport losses;     ///< means over the step's batches, of all processes
    double gradientNorm = 0;
    double learningRate = 0;
};

/// A model as a run hands it out.
struct ExportedModel {
    std::string file; ///< name in the run's folder
    StateDict tensors;
    std::map<std::string, std::string> metadata;
};

class Trainer {
public:
    virtual ~Trainer() = default;

    /// Everything that the numbers of a run depend on, as one line.
    virtual std::string describe() const = 0;
    /// For the progress line: "stage 1".
    virtual std::string title() const = 0;
    /// Over all processes.
    virtual std::int64_t photosPerStep() const = 0;
    virtual const ProcessGroup& group() const = 0;

    /// What has to be found out before the first step of a new run and then belongs to its state.
    virtual Result<void> prepare(const RunContext& context) = 0;
    /// One optimiser step. Errors: Malformed (data), Internal (the loss is not finite; another
    /// process is gone), OutOfMemory, Cancelled.
    virtual Result<StepReport> step(const RunContext& context) = 0;
    virtual std::int64_t steps() const = 0;
    virtual SampleStream::Broken brokenPhotos() const = 0;

    /// All that a run consists of besides its recipe. May share memory.
    virtual StateDict state() const = 0;
    /// Continues as if the run had never stopped. Errors: Mismatch; the trainer is then as it was.
    virtual Result<void> restore(const StateDict& state) = 0;
    virtual std::vector<ExportedModel> exports() const = 0;
};

} // namespace loftscope
