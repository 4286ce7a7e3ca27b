// SPDX-License-Identifier: Apache-2.0
// Running the program as a user does: arguments in, exit code, standard output and standard error
// out.
#pragma once

#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <iterator>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace loftscope::test {

struct ProgramRun {
    int exitCode = -1; ///< 128 + signal if a signal ended it
    std::string out;
    std::string err;
};

/// Runs LOFTSCOPE_PROGRAM with `arguments` and waits for it; `whileRunning`, if given, is called
/// once with the process id in the meantime.
inline ProgramRun runProgram(const std::vector<std::string>& arguments,
                             const std::function<void(pid_t)>& whileRunning = {}) {
    const auto temporary = [] {
        std::string name = "/tmp/loftscope_run_XXXXXX";
        const int descriptor = mkstemp(name.data());
        if (descriptor < 0) throw std::runtime_error("no temporary file");
        close(descriptor);
        return name;
    };
    const auto takeAway = [](const std::string& name) {
        std::ifstream file(name, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        unlink(name.c_str());
        return text;
    };
    const std::string out = temporary();
    const std::string err = temporary();
    std::vector<std::string> words{LOFTSCOPE_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY, 0);
    pid_t child = 0;
    const int failed =
        posix_spawn(&child, LOFTSCOPE_PROGRAM, &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ProgramRun run;
    if (failed == 0) {
        if (whileRunning) whileRunning(child);
        int status = 0;
        waitpid(child, &status, 0);
        run.exitCode = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    run.out = takeAway(out);
    run.err = takeAway(err);
    return run;
}

} // namespace loftscope::test
