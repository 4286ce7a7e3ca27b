// SPDX-License-Identifier: Apache-2.0
// Which samples of a training step are whose, when several processes share the work.
#pragma once

#include "core/base/error.h"

#include <cstdint>

namespace loftscope {

/// A step consists of `accumulation` batches of `batch` samples, whatever the number of processes;
/// each process computes an equal share of the batches. So the numbers of a run do not depend on
/// how many processes it has.
struct BatchShare {
    std::int64_t batch = 1;
    std::int64_t accumulation = 1;
    int rank = 0;
    int size = 1;

    /// Errors: InvalidArgument (the batches cannot be shared out evenly).
    Result<void> check() const;
    /// Batches per step of this process.
    std::int64_t batches() const { return accumulation / size; }
    /// Batch `own` (0, 1, ...) of this process, counted over all processes from the run's start.
    std::int64_t batchIndex(std::int64_t own) const {
        return own / batches() * accumulation + own % batches() * size + rank;
    }
    /// The same for its samples.
    std::int64_t sampleIndex(std::int64_t own) const {
        return batchIndex(own / batch) * batch + own % batch;
    }
};

} // namespace loftscope
