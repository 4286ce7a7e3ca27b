// SPDX-License-Identifier: Apache-2.0
// Stopping in the middle of one tile, whose evaluation knows nothing of requests.
#pragma once

#include <stop_token>

namespace loftscope {

/// While it lives, `stopPoint` on this thread heeds `stop`; the scope before it is back afterwards.
class StopScope {
public:
    explicit StopScope(const std::stop_token& stop);
    ~StopScope();
    StopScope(const StopScope&) = delete;
    StopScope& operator=(const StopScope&) = delete;

private:
    const std::stop_token* before_;
};

/// Between two steps of a long evaluation: throws Cancelled where the scope's stop was asked for.
void stopPoint();

} // namespace loftscope
