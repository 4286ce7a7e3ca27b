// SPDX-License-Identifier: Apache-2.0
#include "core/pipeline/locked_basis.h"

#include <fmt/format.h>

namespace loftscope {

Result<void> checkLockedBasis(const PcaBasis& basis, std::int64_t channels,
                              const std::string& method) {
    if (basis.channels() == channels) return {};
    return fail(ErrorCode::Mismatch,
                fmt::format("The locked basis of {} was fitted on features of {} channels, but "
                            "these have {}: choose another basis.",
                            method, basis.channels(), channels));
}

} // namespace loftscope
