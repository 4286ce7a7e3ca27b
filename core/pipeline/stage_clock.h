// SPDX-License-Identifier: Apache-2.0
// What each stage of a request took, from the names under which it reports progress.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

struct StageTime {
    std::string stage;
    double elapsedMs = 0;
    std::int64_t peakBytes = 0; ///< most memory of the process during it; 0: unknown
};

class StageClock {
public:
    using Clock = std::chrono::steady_clock;

    /// `first`: what runs until a stage is named.
    explicit StageClock(std::string_view first);
    /// The stage that runs from now on. Stages of the same name are one.
    void enter(std::string_view stage);
    /// Time that passed, but that belongs to another request.
    void exclude(Clock::duration time) { excluded_ += time; }
    /// Ends the running stage. Stages below half a millisecond are left out.
    std::vector<StageTime> finish();
    Clock::duration sinceStart() const { return Clock::now() - start_; }

private:
    void close();

    Clock::time_point start_ = Clock::now();
    Clock::time_point stageStart_ = start_;
    Clock::duration excluded_{0};
    std::string current_;
    std::vector<StageTime> stages_;
};

} // namespace loftscope
