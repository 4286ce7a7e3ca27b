// SPDX-License-Identifier: Apache-2.0
#include "core/base/stop_scope.h"

#include "core/base/run_context.h"

#include <utility>

namespace loftscope {

namespace {

thread_local const std::stop_token* heeded = nullptr;

} // namespace

StopScope::StopScope(const std::stop_token& stop)
    : before_(std::exchange(heeded, &stop)) {}

StopScope::~StopScope() {
    heeded = before_;
}

void stopPoint() {
    if (heeded != nullptr && heeded->stop_requested()) throw Cancelled{};
}

} // namespace loftscope
