// SPDX-License-Identifier: Apache-2.0
// Cancellation and progress of a long computation.
#pragma once

#include <functional>
#include <stop_token>
#include <string_view>

namespace loftscope {

/// Thrown inside core between blocks and tiles when a stop was asked for; `guarded` turns it into
/// ErrorCode::Cancelled, so that it never leaves core.
struct Cancelled {};

/// Told while a stage runs: its name in the field's terms and the fraction done, 0..1.
/// Called on the computing thread; must be cheap.
using ProgressCallback = std::function<void(std::string_view stage, double fraction)>;

struct RunContext {
    std::stop_token stop;
    ProgressCallback onProgress;

    void throwIfStopped() const {
        if (stop.stop_requested()) throw Cancelled{};
    }
    void progress(std::string_view stage, double fraction) const {
        if (onProgress) onProgress(stage, fraction);
    }
};

} // namespace loftscope
