// SPDX-License-Identifier: Apache-2.0
// Runs the loftscope program as a user would and collects what it says.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace loftscope::test {

struct ProgramOutcome {
    int exitCode = -1; ///< -1 if it was ended by a signal
    int signal = 0;    ///< that ended it; 0 if none
    std::string output;
    std::string errors;
};

/// Runs `loftscope ARGUMENTS...` with both streams captured and no terminal. `whileRunning`, if
/// given, is called once with the process id.
ProgramOutcome runProgram(const std::vector<std::string>& arguments,
                          const std::function<void(pid_t)>& whileRunning = {});

} // namespace loftscope::test
