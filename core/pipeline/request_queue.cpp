// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/request_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace loftscope {

RequestQueue::RequestQueue(IdleCallback onIdle)
    : onIdle_(std::move(onIdle))
    , worker_([this](const std::stop_token& stop) { work(stop); }) {}

RequestQueue::~RequestQueue() {
    worker_.request_stop();
    dropAll();
}

std::uint64_t RequestQueue::submit(std::string kind, int urgency, Job job) {
    drop(kind);
    std::uint64_t id = 0;
    {
        const std::lock_guard lock(mutex_);
        id = ++lastId_;
        waiting_.push_back({id, std::move(kind), urgency, std::move(job), {}});
    }
    changed_.notify_one();
    return id;
}

void RequestQueue::drop(std::string_view kind) {
    const std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](const Request& request) { return request.kind == kind; });
    for (Request& request : running_)
        if (request.kind == kind) request.stop.request_stop();
}

void RequestQueue::dropBefore(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    std::erase_if(waiting_, [&](const Request& request) { return request.id < id; });
    for (Request& request : running_)
        if (request.id < id) request.stop.request_stop();
}

void RequestQueue::dropAll() {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
    for (Request& request : running_)
        request.stop.request_stop();
}

void RequestQueue::serveMoreUrgent(int urgency) {
    while (runNext(urgency)) {
    }
}

bool RequestQueue::runNext(int urgency) {
    Job job;
    std::uint64_t id = 0;
    std::stop_token stop;
    {
        const std::lock_guard lock(mutex_);
        const auto next = std::ranges::max_element(waiting_, {}, &Request::urgency);
        if (next == waiting_.end() || next->urgency <= urgency) return false;
        running_.push_back(std::move(*next));
        waiting_.erase(next);
        job = std::move(running_.back().job);
        id = running_.back().id;
        stop = running_.back().stop.get_token();
    }
    job(id, stop);
    const std::lock_guard lock(mutex_);
    running_.pop_back();
    return true;
}

void RequestQueue::work(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        if (runNext(std::numeric_limits<int>::min())) continue;
        std::uint64_t idleId = 0;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, stop, [&] { return !waiting_.empty() || announcedId_ != lastId_; });
            if (waiting_.empty() && announcedId_ != lastId_) idleId = announcedId_ = lastId_;
        }
        if (idleId != 0 && onIdle_) onIdle_(idleId);
    }
}

} // namespace loftscope
