// SPDX-License-Identifier: Apache-2.0
// Running a piece of a test in several processes that form a group.
#pragma once

#include "core/train/process_group.h"

#include <functional>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace loftscope {

/// A port that nobody listens on at the moment.
inline int freePort() {
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    bind(descriptor, reinterpret_cast<sockaddr*>(&address), length);
    getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
    close(descriptor);
    return ntohs(address.sin_port);
}

/// Calls `body` in `count` processes of their own; the exit code of each. The test's own process
/// must not have threads of LibTorch's by then.
inline std::vector<int> inProcesses(int count,
                                    const std::function<int(const ProcessGroup& group)>& body) {
    const int port = freePort();
    std::vector<pid_t> children;
    for (int rank = 0; rank < count; ++rank) {
        const pid_t child = fork();
        if (child == 0) {
            const Launch launch{rank, count, rank, "127.0.0.1", port, false};
            const auto group = ProcessGroup::join(launch, at::kCPU);
            _exit(group ? body(*group) : 99);
        }
        children.push_back(child);
    }
    std::vector<int> codes;
    for (const pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    return codes;
}

} // namespace loftscope
