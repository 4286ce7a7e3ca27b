// SPDX-License-Identifier: Apache-2.0
#include "core/train/process_group.h"

#include "core/base/number.h"

#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace loftscope {

namespace {

// Joining waits for people who start processes by hand; later a process may have to wait for
// another that prepares targets or writes a checkpoint.
constexpr std::chrono::minutes joinTimeout{5};
constexpr std::chrono::minutes workTimeout{30};

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view() : std::string_view(value);
}

Result<int> numberFrom(const char* name, int low, int high, std::optional<int> byDefault = {}) {
    const std::string_view text = variable(name);
    if (text.empty() && byDefault) return *byDefault;
    const auto value = parsedNumber<int>(text);
    if (!value || *value < low || *value > high) {
        return fail(ErrorCode::InvalidArgument,
                    fmt::format("To train with several processes, {} must be set to a number from "
                                "{} to {}, as torchrun does.",
                                name, low, high));
    }
    return *value;
}

/// What c10d's exceptions say is for its developers; people need to know what to do.
std::unexpected<Error> othersGone(const std::exception& error) {
    // "[file:line] What happened. Advice."
    std::string detail = error.what();
    if (detail.starts_with('[')) detail.erase(0, detail.find(']') + 1);
    detail.erase(0, detail.find_first_not_of(' '));
    detail = detail.substr(0, std::min(detail.find('\n'), detail.find(". ")));
    return fail(ErrorCode::Internal,
                fmt::format("Another process of this training run has ended or cannot be reached: "
                            "start all of them again, the run resumes from its last checkpoint "
                            "({}).",
                            detail));
}

} // namespace

Result<Launch> launchFromEnvironment() {
    Launch launch;
    if (variable("WORLD_SIZE").empty()) return launch;
    LOFTSCOPE_TRY(launch.size, numberFrom("WORLD_SIZE", 1, 65536));
    if (launch.size == 1) return launch;
    LOFTSCOPE_TRY(launch.rank, numberFrom("RANK", 0, launch.size - 1));
    LOFTSCOPE_TRY(launch.localRank, numberFrom("LOCAL_RANK", 0, 1024, launch.rank));
    LOFTSCOPE_TRY(launch.port, numberFrom("MASTER_PORT", 1, 65535));
    launch.host = variable("MASTER_ADDR");
    if (launch.host.empty()) {
        return fail(ErrorCode::InvalidArgument,
                    "To train with several processes, MASTER_ADDR must name the machine of rank 0, "
                    "as torchrun does.");
    }
    launch.storeIsThere = variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
    return launch;
}

struct ProcessGroup::State {
    int rank = 0;
    int size = 1;
    c10::Device device{c10::kCPU}; ///< where the backend wants tensors
    c10::intrusive_ptr<c10d::Backend> backend;
};

Result<ProcessGroup> ProcessGroup::join(const Launch& launch, const c10::Device& device) {
    ProcessGroup group;
    if (launch.size <= 1) return group;
    // Writing to a peer that died must fail, so that it can be said; by default it ends the
    // process.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        c10d::TCPStoreOptions options;
        options.port = static_cast<std::uint16_t>(launch.port);
        options.isServer = launch.rank == 0 && !launch.storeIsThere;
        options.numWorkers = static_cast<std::size_t>(launch.size);
        options.waitWorkers = !launch.storeIsThere;
        options.timeout = joinTimeout;
        // torchrun keeps its store over restarts of the processes.
        const std::string attempt(variable("TORCHELASTIC_RESTART_COUNT"));
        const auto store = c10::make_intrusive<c10d::PrefixStore>(
            "loftscope/" + attempt, c10::make_intrusive<c10d::TCPStore>(launch.host, options));

        group.state_ = std::make_shared<State>();
        group.state_->rank = launch.rank;
        group.state_->size = launch.size;
#ifdef USE_C10D_NCCL
        if (device.is_cuda()) {
            auto nccl = c10d::ProcessGroupNCCL::Options::create();
            nccl->timeout = workTimeout;
            group.state_->device = device;
            group.state_->backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(
                store, launch.rank, launch.size, std::move(nccl));
            return group;
        }
#endif
        static_cast<void>(device); // without NCCL, sums of a GPU's tensors go over the CPU
        group.state_->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(
            store, launch.rank, launch.size,
            c10d::ProcessGroupGloo::Options::create_default(workTimeout));
        return group;
    } catch (const std::exception& error) {
        return othersGone(error);
    }
}

int ProcessGroup::rank() const {
    return state_ ? state_->rank : 0;
}

int ProcessGroup::size() const {
    return state_ ? state_->size : 1;
}

Result<void> ProcessGroup::sum(const std::vector<at::Tensor>& tensors) const {
    if (!state_ || tensors.empty()) return {};
    const c10::NoGradGuard noGrad;
    try {
        // One message instead of hundreds.
        std::vector<at::Tensor> flat;
        for (const at::Tensor& tensor : tensors)
            flat.push_back(tensor.reshape({-1}));
        std::vector<at::Tensor> message{at::cat(flat).to(state_->device)};
        state_->backend->allreduce(message)->wait();
        std::int64_t begin = 0;
        for (const at::Tensor& tensor : tensors) {
            tensor.copy_(message[0].slice(0, begin, begin + tensor.numel()).view(tensor.sizes()));
            begin += tensor.numel();
        }
        return {};
    } catch (const std::exception& error) {
        return othersGone(error);
    }
}

Result<void> ProcessGroup::takeFromFirst(const std::vector<at::Tensor>& tensors) const {
    if (!state_) return {};
    const c10::NoGradGuard noGrad;
    try {
        for (const at::Tensor& tensor : tensors) {
            std::vector<at::Tensor> message{tensor.reshape({-1}).to(state_->device).contiguous()};
            state_->backend->broadcast(message)->wait();
            tensor.copy_(message[0].view(tensor.sizes()));
        }
        return {};
    } catch (const std::exception& error) {
        return othersGone(error);
    }
}

Result<bool> ProcessGroup::any(bool value) const {
    if (!state_) return value;
    const at::Tensor count = at::full({1}, value ? 1 : 0, at::kInt);
    LOFTSCOPE_CHECK(sum({count}));
    return count.item<int>() > 0;
}

} // namespace loftscope
