// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/processor.h"

#include <cstdlib>
#include <string_view>

namespace loftscope {

bool hasBf16Products() {
#if LOFTSCOPE_BF16_KERNELS
    static const bool found = [] {
        const char* plain = std::getenv("LOFTSCOPE_PLAIN");
        if (plain != nullptr && std::string_view(plain) == "1") return false;
        return !emulatesBf16() && __builtin_cpu_supports("avx512f") != 0 &&
               __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
               __builtin_cpu_supports("avx512dq") != 0;
    }();
    return found;
#else
    return false;
#endif
}

bool emulatesBf16() {
#if LOFTSCOPE_BF16_KERNELS
    return __builtin_cpu_supports("avx512bf16") == 0;
#else
    return false;
#endif
}

} // namespace loftscope
