// SPDX-License-Identifier: Apache-2.0
// Published weights are not part of this repository. Tests that need them run where the environment
// variable LOFTSCOPE_MODELS names a folder that has the files, and are reported as not run
// elsewhere.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace loftscope::test {

/// Empty where there is no such file.
inline std::filesystem::path publishedModel(const std::string& file) {
    const char* const folder = std::getenv("LOFTSCOPE_MODELS");
    if (folder == nullptr) return {};
    const std::filesystem::path path = std::filesystem::path(folder) / file;
    return std::filesystem::exists(path) ? path : std::filesystem::path();
}

} // namespace loftscope::test

#define LOFTSCOPE_NEEDS_PUBLISHED_MODEL(file)                                                      \
    if (::loftscope::test::publishedModel(file).empty())                                           \
    GTEST_SKIP() << "Not run: set LOFTSCOPE_MODELS to a folder that has " << (file)
