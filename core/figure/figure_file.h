// SPDX-License-Identifier: Apache-2.0
// A figure's plan as JSON: docs/figures.md describes it.
#pragma once

#include "core/base/error.h"
#include "core/figure/figure_plan.h"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace loftscope {

inline constexpr int figureFileVersion = 1;

/// What differs from an empty plan, beginning with "loftscope_figure": 1. The same plan gives the
/// same text.
nlohmann::ordered_json figureJson(const FigurePlan& plan);
std::string figureText(const FigurePlan& plan);

/// The inverse. A "preset" is the plan that the other fields change; `methods` are those that take
/// part. `where` is for messages. Errors: Malformed (an unknown key, a value of the wrong kind,
/// what cannot be drawn), Unsupported (a newer version).
Result<FigurePlan> figureFromJson(const nlohmann::ordered_json& json,
                                  const std::vector<std::string>& methods,
                                  const std::string& where);

/// A file, the name of a preset, or the text of a file itself: "{...}". Errors: as above, NotFound,
/// InvalidArgument (neither).
Result<FigurePlan> readFigurePlan(const std::string& fileOrPreset,
                                  const std::vector<std::string>& methods);
Result<void> writeFigurePlan(const std::filesystem::path& path, const FigurePlan& plan);

} // namespace loftscope
