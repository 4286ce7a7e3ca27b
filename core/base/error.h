// SPDX-License-Identifier: Apache-2.0
// What can go wrong, as a value: one sentence for the user (what, where, what to do) and a code for
// programs.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace loftscope {

enum class ErrorCode {
    InvalidArgument, ///< a request that makes no sense (zero size, pixel outside, unknown method)
    NotFound,        ///< a file, key or component that is not there
    Malformed,       ///< a file that is truncated, damaged or hostile
    Unsupported,     ///< a file or model that is whole but of a kind that is not known here
    Mismatch, ///< two things that do not fit each other (channels, sizes, missing parameters)
    OutOfMemory,
    WriteFailed,
    Cancelled, ///< asked for by the user: a result, not a fault
    Internal,
};

struct Error {
    ErrorCode code = ErrorCode::Internal;
    std::string message; ///< one sentence, no trailing newline
};

template <typename T>
using Result = std::expected<T, Error>;

/// Shorthand for returning an error from a function whose result is a `Result`.
inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
    return std::unexpected(Error{code, std::move(message)});
}

} // namespace loftscope

#define LOFTSCOPE_CONCAT_(a, b) a##b
#define LOFTSCOPE_CONCAT(a, b) LOFTSCOPE_CONCAT_(a, b)
#define LOFTSCOPE_TRY_(temporary, declaration, expression)                                         \
    auto temporary = (expression);                                                                 \
    if (!temporary) return std::unexpected(std::move(temporary).error());                          \
    declaration = *std::move(temporary)

/// `LOFTSCOPE_TRY(const Image photo, decodeImage(path));` declares `photo` or returns the error.
#define LOFTSCOPE_TRY(declaration, expression)                                                     \
    LOFTSCOPE_TRY_(LOFTSCOPE_CONCAT(loftscope_result_, __LINE__), declaration, expression)
/// The same for `Result<void>`.
#define LOFTSCOPE_CHECK(expression)                                                                \
    if (auto loftscope_checked = (expression); !loftscope_checked)                                 \
    return std::unexpected(std::move(loftscope_checked).error())
