// SPDX-License-Identifier: Apache-2.0
// The processes that train one model together, over torch's c10d: gloo on the CPU, NCCL on GPUs
// where LibTorch and its headers allow it. Started with torchrun's variables.
#pragma once

#include "core/base/error.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace loftscope {

/// How this process was started.
struct Launch {
    int rank = 0;      ///< of this process, 0..size-1
    int size = 1;      ///< processes
    int localRank = 0; ///< of this process on its machine: the number of its GPU
    std::string host;  ///< where rank 0 listens
    int port = 0;
    /// Somebody else (torchrun's agent) already listens there.
    bool storeIsThere = false;
};

/// From RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; one process alone where
/// WORLD_SIZE is not set. Errors: InvalidArgument, naming the variable.
Result<Launch> launchFromEnvironment();

/// A handle; copies speak for the same process. All processes must call the same functions in the
/// same order. An error (Internal: another process is gone) leaves the group unusable.
class ProcessGroup {
public:
    /// One process alone: everything below does nothing.
    ProcessGroup() = default;
    /// Waits until all processes are there. `device` is where the tensors will be. Errors:
    /// Internal (the others cannot be reached), Unsupported.
    static Result<ProcessGroup> join(const Launch& launch, const c10::Device& device);

    int rank() const;
    int size() const;
    /// True for the one process that writes files.
    bool first() const { return rank() == 0; }

    /// Every tensor becomes its sum over the processes, in place. All of one type; contiguous.
    Result<void> sum(const std::vector<at::Tensor>& tensors) const;
    /// Every tensor becomes that of rank 0, in place; any types.
    Result<void> takeFromFirst(const std::vector<at::Tensor>& tensors) const;
    /// True if it is true anywhere.
    Result<bool> any(bool value) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace loftscope
