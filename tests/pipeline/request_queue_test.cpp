// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/request_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace loftscope {
namespace {

/// What has run, in order; written on the worker thread.
class Diary {
public:
    void write(const std::string& line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(line);
    }
    std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

/// A job that runs until it is let go or stopped.
struct Gate {
    std::promise<void> entered;
    std::promise<void> released;
    std::shared_future<void> release = released.get_future().share();
    RequestQueue::Job job(Diary& diary, const std::string& name) {
        return [this, &diary, name](std::uint64_t, const std::stop_token& stop) {
            entered.set_value();
            while (!stop.stop_requested() &&
                   release.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
            }
            diary.write(name + (stop.stop_requested() ? " stopped" : " done"));
        };
    }
};

RequestQueue::Job note(Diary& diary, const std::string& line) {
    return [&diary, line](std::uint64_t, const std::stop_token&) { diary.write(line); };
}

TEST(RequestQueue, NewestOfAKindReplacesWhatWaitsAndStopsWhatRuns) {
    Diary diary;
    std::promise<void> idle;
    Gate gate;
    RequestQueue queue([&](std::uint64_t id) {
        if (id == 4) idle.set_value();
    });
    queue.submit("blocker", 0, gate.job(diary, "blocker"));
    gate.entered.get_future().wait();
    queue.submit("pick", 0, note(diary, "first"));
    queue.submit("pick", 0, note(diary, "second"));
    queue.submit("blocker", 0, note(diary, "new blocker"));
    idle.get_future().wait();
    EXPECT_EQ(diary.lines(),
              (std::vector<std::string>{"blocker stopped", "second", "new blocker"}));
}

TEST(RequestQueue, DroppedRequestsNeverRunAndIdleIsStillTold) {
    Diary diary;
    std::promise<std::uint64_t> idle;
    Gate gate;
    RequestQueue queue([&](std::uint64_t id) { idle.set_value(id); });
    queue.submit("a", 0, gate.job(diary, "a"));
    gate.entered.get_future().wait();
    queue.submit("b", 0, note(diary, "b"));
    queue.submit("c", 0, note(diary, "c"));
    queue.drop("b");
    queue.drop("c");
    gate.released.set_value();
    EXPECT_EQ(idle.get_future().get(), 3U);
    EXPECT_EQ(diary.lines(), std::vector<std::string>{"a done"});
}

TEST(RequestQueue, UrgentOnesAreServedInTheMiddleOfALongOne) {
    Diary diary;
    std::promise<void> idle;
    std::promise<void> entered;
    std::promise<void> submitted;
    RequestQueue queue([&](std::uint64_t id) {
        if (id == 3) idle.set_value();
    });
    queue.submit("map", 0, [&](std::uint64_t, const std::stop_token&) {
        diary.write("tile 1");
        entered.set_value();
        submitted.get_future().wait();
        queue.serveMoreUrgent(0);
        diary.write("tile 2");
    });
    entered.get_future().wait();
    queue.submit("other map", 0, note(diary, "other map"));
    queue.submit("pick", 1, note(diary, "pick"));
    submitted.set_value();
    idle.get_future().wait();
    EXPECT_EQ(diary.lines(), (std::vector<std::string>{"tile 1", "pick", "tile 2", "other map"}));
}

TEST(RequestQueue, ClosingStopsTheRunningAndForgetsTheWaiting) {
    Diary diary;
    Gate gate;
    {
        RequestQueue queue;
        queue.submit("long", 0, gate.job(diary, "long"));
        gate.entered.get_future().wait();
        queue.submit("next", 0, note(diary, "next"));
    }
    EXPECT_EQ(diary.lines(), std::vector<std::string>{"long stopped"});
}

TEST(RequestQueue, ManyThreadsMaySubmit) {
    std::mutex mutex;
    std::vector<std::uint64_t> ran;
    std::promise<void> idle;
    constexpr int threads = 4;
    constexpr int each = 200;
    {
        RequestQueue queue([&](std::uint64_t id) {
            if (id == threads * each + 1) idle.set_value();
        });
        {
            std::vector<std::jthread> submitters;
            for (int t = 0; t < threads; ++t) {
                submitters.emplace_back([&, t] {
                    for (int i = 0; i < each; ++i)
                        queue.submit("kind " + std::to_string(t), t % 2,
                                     [&](std::uint64_t id, const std::stop_token&) {
                                         const std::lock_guard lock(mutex);
                                         ran.push_back(id);
                                     });
                });
            }
        }
        queue.submit("last", -1, [](std::uint64_t, const std::stop_token&) {});
        idle.get_future().wait();
    }
    // The newest of each kind has run, and none twice.
    EXPECT_GE(ran.size(), static_cast<std::size_t>(threads));
    std::ranges::sort(ran);
    EXPECT_EQ(std::ranges::adjacent_find(ran), ran.end());
}

} // namespace
} // namespace loftscope
