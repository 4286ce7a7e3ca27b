// SPDX-License-Identifier: Apache-2.0
// The curves of a training run as one HTML page that needs nothing else.
#pragma once

#include <string>

namespace loftscope {

/// `log`: the lines of a run's log.jsonl; `recipe`: as UpsamplerRecipe::describe says it. A chart
/// for every quantity in the log over the steps, with values of many steps averaged; lines that are
/// no JSON objects are left out.
std::string trainingPage(const std::string& log, const std::string& recipe);

} // namespace loftscope
