// SPDX-License-Identifier: Apache-2.0
#include "core/base/memory.h"

#include <fstream>
#include <string>
#include <string_view>

namespace loftscope {

namespace {

/// A line such as "VmRSS:     1234 kB" of the process' status.
std::int64_t statusBytes(std::string_view key) {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        std::int64_t kilobytes = 0;
        if (word == key && status >> kilobytes) return kilobytes * 1024;
    }
    return 0;
}

} // namespace

std::int64_t residentBytes() {
    return statusBytes("VmRSS:");
}

std::int64_t peakResidentBytes() {
    return statusBytes("VmHWM:");
}

void resetPeakResidentBytes() {
    std::ofstream("/proc/self/clear_refs") << 5;
}

} // namespace loftscope
