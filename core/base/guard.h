// SPDX-License-Identifier: Apache-2.0
// The one place where exceptions of LibTorch, OpenCV and the standard library become errors.
#pragma once

#include "core/base/error.h"

#include <string_view>
#include <type_traits>

namespace loftscope {

/// Describes the exception being handled; call only inside a catch block. `stage` is what was being
/// done, e.g. "upsampling with LoftUp".
Error errorFromCurrentException(std::string_view stage);

/// Runs `body` (returning T or Result<T>) and converts whatever it throws into an error that names
/// `stage`.
template <typename Body>
auto guarded(std::string_view stage, Body&& body) {
    using Returned = std::invoke_result_t<Body>;
    constexpr bool returnsResult = requires(Returned value) {
        value.error();
    };
    using Wrapped = typename std::conditional_t<returnsResult, std::type_identity<Returned>,
                                                std::type_identity<Result<Returned>>>::type;
    try {
        if constexpr (std::is_void_v<Returned>) {
            body();
            return Wrapped{};
        } else {
            return Wrapped{body()};
        }
    } catch (...) {
        return Wrapped{std::unexpected(errorFromCurrentException(stage))};
    }
}

} // namespace loftscope
