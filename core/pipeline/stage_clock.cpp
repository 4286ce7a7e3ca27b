// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/stage_clock.h"

#include "core/base/memory.h"

#include <algorithm>

namespace loftscope {

StageClock::StageClock(std::string_view first)
    : current_(first) {
    resetPeakResidentBytes();
}

void StageClock::enter(std::string_view stage) {
    if (stage == current_) return;
    close();
    current_ = stage;
}

void StageClock::close() {
    const auto now = Clock::now();
    const double elapsedMs =
        std::chrono::duration<double, std::milli>(now - stageStart_ - excluded_).count();
    const std::int64_t peak = peakResidentBytes();
    const auto known = std::ranges::find(stages_, current_, &StageTime::stage);
    if (known == stages_.end()) {
        stages_.push_back({current_, elapsedMs, peak});
    } else {
        known->elapsedMs += elapsedMs;
        known->peakBytes = std::max(known->peakBytes, peak);
    }
    stageStart_ = now;
    excluded_ = {};
    resetPeakResidentBytes();
}

std::vector<StageTime> StageClock::finish() {
    close();
    std::erase_if(stages_, [](const StageTime& time) { return time.elapsedMs < 0.5; });
    return std::move(stages_);
}

} // namespace loftscope
