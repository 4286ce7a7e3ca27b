// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/run_program.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace loftscope::test {

namespace {

/// A file without a name that takes one stream; pipes would fill up.
class Capture {
public:
    Capture()
        : file_(std::tmpfile()) {
        if (file_ == nullptr) throw std::runtime_error("no temporary file");
    }
    ~Capture() { std::fclose(file_); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    int descriptor() const { return fileno(file_); }
    std::string text() const {
        std::rewind(file_);
        std::string all;
        for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_))
            all += static_cast<char>(c);
        return all;
    }

private:
    std::FILE* file_;
};

} // namespace

ProgramOutcome runProgram(const std::vector<std::string>& arguments,
                          const std::function<void(pid_t)>& whileRunning) {
    const Capture output;
    const Capture errors;
    std::vector<std::string> words{LOFTSCOPE_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);

    const pid_t child = fork();
    if (child == 0) {
        const int nothing = open("/dev/null", O_RDONLY);
        dup2(nothing, STDIN_FILENO);
        dup2(output.descriptor(), STDOUT_FILENO);
        dup2(errors.descriptor(), STDERR_FILENO);
        unsetenv("DISPLAY");
        execv(pointers[0], pointers.data());
        _exit(127);
    }
    if (child < 0) throw std::runtime_error(std::strerror(errno));
    if (whileRunning) whileRunning(child);
    int status = 0;
    waitpid(child, &status, 0);

    ProgramOutcome outcome;
    if (WIFEXITED(status)) outcome.exitCode = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.output = output.text();
    outcome.errors = errors.text();
    return outcome;
}

} // namespace loftscope::test
