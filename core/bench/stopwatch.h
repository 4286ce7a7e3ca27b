// SPDX-License-Identifier: Apache-2.0
// Wall-clock and processor time of a piece of work.
#pragma once

#include <chrono>
#include <ctime>

namespace loftscope {

struct Spent {
    double wallSeconds = 0;
    double processorSeconds = 0; ///< of all threads of the process
};

class Stopwatch {
public:
    Spent elapsed() const {
        const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - wall_;
        return {wall.count(), static_cast<double>(std::clock() - processor_) /
                                  static_cast<double>(CLOCKS_PER_SEC)};
    }

private:
    std::chrono::steady_clock::time_point wall_ = std::chrono::steady_clock::now();
    std::clock_t processor_ = std::clock();
};

} // namespace loftscope
