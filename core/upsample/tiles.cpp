// SPDX-License-Identifier: Apache-2.0
#include "core/upsample/tiles.h"

#include "core/base/stop_scope.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace loftscope {

namespace {

using Sink = std::function<void(const Rect&, const at::Tensor&)>;

at::Tensor evaluated(const FeatureField& field, const Rect& tile, const RunContext& context) {
    const StopScope scope(context.stop);
    return field.evaluate(tile);
}

/// Evaluates tiles on several threads and hands them to the sink one at a time and in order, so
/// that sums do not depend on the number of threads. At most one tile per thread waits.
class TileCrew {
public:
    TileCrew(const FeatureField& field, const std::vector<Rect>& tiles, std::string_view stage,
             const RunContext& context, const Sink& sink)
        : field_(field)
        , tiles_(tiles)
        , stage_(stage)
        , context_(context)
        , sink_(sink) {}

    void run(int threads) {
        const int usual = at::get_num_threads();
        {
            std::vector<std::jthread> crew;
            // One thread per tile: LibTorch's own threads would meet at a barrier after every
            // operation, which stalls badly on cores that others use as well.
            const auto walk = [this] {
                at::set_num_threads(1);
                work();
            };
            try {
                for (int i = 0; i < threads; ++i)
                    crew.emplace_back(walk);
            } catch (const std::system_error&) {
                // No room for more threads: those that there are do it, or this one.
                if (crew.empty()) walk();
            }
        }
        // The setting is also the default of threads that start later.
        at::set_num_threads(usual);
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    void work() {
        for (;;) {
            const std::size_t i = next_.fetch_add(1);
            if (i >= tiles_.size()) return;
            try {
                context_.throwIfStopped();
                const at::Tensor tile = evaluated(field_, tiles_[i], context_);
                std::unique_lock lock(mutex_);
                turn_.wait(lock, [&] { return delivered_ == i || failure_; });
                if (failure_) return;
                context_.throwIfStopped(); // a tile that was ready is not wanted any more either
                context_.progress(stage_,
                                  static_cast<double>(i) / static_cast<double>(tiles_.size()));
                sink_(tiles_[i], tile);
                ++delivered_;
            } catch (...) {
                const std::lock_guard lock(mutex_);
                if (!failure_) failure_ = std::current_exception();
                next_ = tiles_.size();
            }
            turn_.notify_all();
        }
    }

    const FeatureField& field_;
    const std::vector<Rect>& tiles_;
    std::string_view stage_;
    const RunContext& context_;
    const Sink& sink_;
    std::atomic<std::size_t> next_ = 0;
    std::mutex mutex_;
    std::condition_variable turn_;
    std::size_t delivered_ = 0;
    std::exception_ptr failure_;
};

} // namespace

std::int64_t usualTile(c10::Device device) {
    constexpr std::int64_t gpuTile = 256;
    return device.is_cpu() ? defaultTile : gpuTile;
}

std::vector<Rect> tilesOf(const Rect& rect, std::int64_t tile) {
    std::vector<Rect> tiles;
    for (std::int64_t y = rect.y; y < rect.bottom(); y += tile)
        for (std::int64_t x = rect.x; x < rect.right(); x += tile)
            tiles.push_back(
                {x, y, std::min(tile, rect.right() - x), std::min(tile, rect.bottom() - y)});
    return tiles;
}

void forEachTile(const FeatureField& field, const Rect& rect, std::int64_t tile,
                 std::string_view stage, const RunContext& context, const Sink& sink) {
    forEachTile(field, tilesOf(rect, tile), stage, context, sink);
}

void forEachTile(const FeatureField& field, const std::vector<Rect>& tiles, std::string_view stage,
                 const RunContext& context, const Sink& sink) {
    const auto threads = static_cast<int>(
        std::min<std::size_t>(static_cast<std::size_t>(at::get_num_threads()), tiles.size()));
    if (threads > 1) {
        TileCrew(field, tiles, stage, context, sink).run(threads);
    } else {
        for (std::size_t i = 0; i < tiles.size(); ++i) {
            context.throwIfStopped();
            context.progress(stage, static_cast<double>(i) / static_cast<double>(tiles.size()));
            sink(tiles[i], evaluated(field, tiles[i], context));
        }
    }
    context.progress(stage, 1.0);
}

} // namespace loftscope
