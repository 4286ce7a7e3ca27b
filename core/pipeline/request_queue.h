// SPDX-License-Identifier: Apache-2.0
// One worker thread and the requests that wait for it. The newest request of a kind wins.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace loftscope {

class RequestQueue {
public:
    /// Runs on the worker thread; must not throw. Long ones look at `stop` often.
    using Job = std::function<void(std::uint64_t id, std::stop_token stop)>;
    /// Told on the worker thread whenever nothing is left to do: every request up to `lastId` has
    /// been run or dropped.
    using IdleCallback = std::function<void(std::uint64_t lastId)>;

    explicit RequestQueue(IdleCallback onIdle = {});
    /// Drops what waits, stops what runs and waits for that to end.
    ~RequestQueue();
    RequestQueue(const RequestQueue&) = delete;
    RequestQueue& operator=(const RequestQueue&) = delete;

    /// Drops waiting requests of the kind and stops the running one. More urgent requests run
    /// first. Ids rise from 1.
    std::uint64_t submit(std::string kind, int urgency, Job job);
    /// Drops waiting requests of the kind and stops the running one.
    void drop(std::string_view kind);
    /// The same for every request older than `id`.
    void dropBefore(std::uint64_t id);
    void dropAll();

    /// For a running job of that urgency, between two steps: runs what is more urgent and waiting,
    /// so that a click is answered in the middle of a long map.
    void serveMoreUrgent(int urgency);

private:
    struct Request {
        std::uint64_t id = 0;
        std::string kind;
        int urgency = 0;
        Job job;
        std::stop_source stop;
    };

    void work(const std::stop_token& stop);
    /// Runs the most urgent waiting request above `urgency`; false if there is none.
    bool runNext(int urgency);

    std::mutex mutex_;
    std::condition_variable_any changed_;
    IdleCallback onIdle_;
    std::vector<Request> waiting_;
    std::vector<Request> running_; ///< more than one while a job serves more urgent ones
    std::uint64_t lastId_ = 0;
    std::uint64_t announcedId_ = 0;
    std::jthread worker_; ///< last: ends before the rest goes
};

} // namespace loftscope
