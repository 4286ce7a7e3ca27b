// SPDX-License-Identifier: Apache-2.0
#include "core/base/guard.h"

#include "core/base/run_context.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <new>

namespace loftscope {

namespace {

std::string firstLine(std::string_view text) {
    return std::string(text.substr(0, text.find('\n')));
}

} // namespace

Error errorFromCurrentException(std::string_view stage) {
    const auto outOfMemory = [&] {
        return Error{
            ErrorCode::OutOfMemory,
            fmt::format("Not enough memory while {}: use a smaller size or smaller tiles.", stage)};
    };
    try {
        throw;
    } catch (const Cancelled&) {
        return {ErrorCode::Cancelled, fmt::format("Cancelled while {}.", stage)};
    } catch (const std::bad_alloc&) {
        return outOfMemory();
    } catch (const c10::OutOfMemoryError&) {
        return outOfMemory();
    } catch (const c10::Error& error) {
        const std::string message = error.what_without_backtrace();
        // LibTorch's CPU allocator reports a failed allocation as a plain error.
        if (message.find("DefaultCPUAllocator") != std::string::npos) return outOfMemory();
        return {ErrorCode::Internal,
                fmt::format("LibTorch failed while {}: {}", stage, firstLine(message))};
    } catch (const std::exception& error) {
        return {ErrorCode::Internal,
                fmt::format("Failed while {}: {}", stage, firstLine(error.what()))};
    } catch (...) {
        return {ErrorCode::Internal, fmt::format("Failed while {}.", stage)};
    }
}

} // namespace loftscope
