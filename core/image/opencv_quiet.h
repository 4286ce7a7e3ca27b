// SPDX-License-Identifier: Apache-2.0
// OpenCV's own log lines are for its developers; our errors say what the user needs.
#pragma once

#include <opencv2/core/utils/logger.hpp>

namespace loftscope {

/// Silences OpenCV's log in this process; call before using it.
inline void quietOpenCv() {
    static const auto previous =
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    static_cast<void>(previous);
}

} // namespace loftscope
